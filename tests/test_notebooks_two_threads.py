"""Every notebook gives its stored outputs with two threads, too, whose sums round differently."""

from __future__ import annotations

from pathlib import Path

import pytest

from book._tools import name_of, notebooks
from book._tools.verify import verify


@pytest.mark.timeout(900)
@pytest.mark.parametrize("path", notebooks(), ids=name_of)
def test_two_threads_give_the_stored_outputs(path: Path) -> None:
    verdict = verify(path, threads=2)
    assert verdict.passed, verdict.report
