"""Every notebook of the book: fit to be stored, and verified by running it again.

This file runs each notebook with one thread, `test_notebooks_two_threads.py` with two. They are
two files so that two workers of `pytest -n 2 --dist loadfile` share the work.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from book._tools import ROOT, gate, name_of, notebooks
from book._tools.verify import verify

each_notebook = pytest.mark.parametrize("path", notebooks(), ids=name_of)


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
    times = json.loads((ROOT / "book" / "reference" / "times.json").read_text(encoding="utf-8"))
    assert times["notebooks"][name_of(path)]["seconds"] <= 90


@each_notebook
@pytest.mark.timeout(900)
def test_one_thread_gives_the_stored_outputs_within_two_minutes(path: Path) -> None:
    verdict = verify(path, threads=1)
    assert verdict.passed, verdict.report
    # The other worker slows the clock down; one thread's CPU time is what an idle machine takes.
    assert verdict.cpu_seconds <= 120
