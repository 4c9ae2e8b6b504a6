"""Every notebook of the book: fit to be stored, and verified by running it again.

`NOTEBOOK_THREADS=2` runs them under two threads, whose sums round differently: `make test-threads`.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from book._tools import ROOT, gate, name_of, notebooks
from book._tools.verify import verify

pytestmark = pytest.mark.slow

THREADS = int(os.environ.get("NOTEBOOK_THREADS", "1"))
TIMES = ROOT / "book" / "reference" / "times.json"
SECONDS = {
    name: row["seconds"] for name, row in json.loads(TIMES.read_text("utf-8"))["notebooks"].items()
}
each_notebook = pytest.mark.parametrize("path", notebooks(), ids=name_of)
# The longest first: then the workers end at about the same time.
longest_first = sorted(notebooks(), key=lambda path: -SECONDS.get(name_of(path), 0))


def test_every_chapter_of_the_contents_exists() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    pages = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    missing = [
        p for p in pages if not any((ROOT / f"{p}{end}").exists() for end in (".ipynb", ".md"))
    ]
    assert missing == []


def test_every_notebook_is_in_the_contents() -> None:
    stored = {p for p in (ROOT / "book").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts}
    assert stored == set(notebooks())


@each_notebook
def test_the_notebook_is_fit_to_be_stored(path: Path) -> None:
    assert gate.problems(path) == []


@each_notebook
def test_the_site_tells_how_long_the_notebook_takes(path: Path) -> None:
    assert SECONDS[name_of(path)] <= 90


@pytest.mark.parametrize("path", longest_first, ids=name_of)
def test_the_notebook_gives_its_stored_outputs(path: Path) -> None:
    verdict = verify(path, threads=THREADS)
    assert verdict.passed, verdict.report
