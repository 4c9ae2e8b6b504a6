"""Make it yours: ten assignments, each in at most fifteen lines that run, as its page promises.

That the page gives its stored outputs is tested with all notebooks. Here its code runs with a
step or two of each training, and what each assignment asks for is looked at.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import nbformat
import pytest
import torch
from nbformat import NotebookNode

import companion
from book._tools import ROOT
from book._tools.cells import codes, tags
from companion import notebook as notebook_tools
from companion import training

PAGE = ROOT / "book" / "start" / "make_it_yours.ipynb"
MOST_LINES = 15
ASSIGNMENTS = {
    "a VAE with beta 4, and its loss": "yours-weight",
    "a generator of one's own in the DCGAN": "yours-network",
    "a hinge loss of one's own": "yours-loss",
    "a VAE with labels": "yours-labels",
    "a folder of color pictures": "yours-pictures",
    "the Fréchet distance of samples of it": "yours-distance",
    "save, and load next week": "yours-files",
    "the bound without its rate": "yours-term",
    "exercise solutions of two chapters": "yours-solution",
    "figures for a report, and a GIF": "yours-figures",
}


@cache
def page() -> NotebookNode:
    return nbformat.read(PAGE, as_version=4)


@cache
def sections() -> dict[str, list[NotebookNode]]:
    """The code cells below each labeled heading, up to the next heading."""
    found: dict[str, list[NotebookNode]] = {}
    current = ""
    for cell in page().cells:
        if cell.cell_type == "code":
            found.setdefault(current, []).append(cell)
            continue
        for line in cell.source.splitlines():
            if label := re.fullmatch(r"\((yours-\w+)\)=", line):
                current = label[1]
            elif line.startswith("### ") and not before_is_label(cell.source, line):
                current = line
    return found


def before_is_label(text: str, heading: str) -> bool:
    return bool(re.search(rf"^\(yours-\w+\)=\n{re.escape(heading)}$", text, re.MULTILINE))


def lines(cells: list[NotebookNode]) -> list[str]:
    """What a reader sees: the lines of unfolded cells, but for empty ones and comments."""
    shown = [cell for cell in cells if not {"hide-input", "hide-cell"} & set(tags(cell))]
    written = [line for cell in shown for line in cell.source.splitlines()]
    return [line for line in written if line.strip() and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_an_assignment_takes_at_most_fifteen_lines(assignment: str) -> None:
    count = len(lines(sections()[ASSIGNMENTS[assignment]]))
    assert 1 <= count <= MOST_LINES


def test_the_table_leads_to_every_section() -> None:
    opening = page().cells[0].source
    assert "at most fifteen lines" in opening
    linked = re.findall(r"\]\((yours-\w+)\)", opening)
    labeled = [label for label in sections() if label.startswith("yours-")]
    assert sorted(linked) == sorted(labeled)
    assert set(ASSIGNMENTS.values()) <= set(labeled)


@pytest.mark.parametrize("chapter", ["quickstart", "data"])
def test_what_is_pasted_is_the_solution_of_the_chapter(chapter: str) -> None:
    cells = nbformat.read(ROOT / "book" / "start" / f"{chapter}.ipynb", as_version=4).cells
    solutions = [
        [line.removeprefix("    ") for line in cell.source.splitlines() if line[:4] == "    "]
        for cell in cells
        if cell.source.startswith("```{solution}")
    ]
    pasted = [lines([cell]) for cell in sections()["yours-solution"]]
    assert any(cell[-len(code) :] == code for cell in pasted for code in solutions if code)


@pytest.mark.slow
def test_every_piece_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[str] = []
    real_train = training.train

    def quick(model: Any, *data: torch.Tensor, **options: Any) -> Any:
        """A step or two of each epoch."""
        trained.append(type(model).__name__)
        few = [part[:64] for part in data]
        options |= {"batch_size": min(32, len(few[0])), "progress": False, "device": "cpu"}
        return real_train(model, *few, **options | {"epochs": min(options["epochs"], 3)})

    monkeypatch.setattr(training, "train", quick)
    monkeypatch.setattr(notebook_tools, "expect", lambda *args, **options: None)
    monkeypatch.setattr(companion.evaluation, "fit_features", fewer_steps)
    names: dict[str, Any] = {"__name__": "page"}
    for i, cell in codes(page()):
        if "%pip" in cell.source:
            continue
        exec(compile(cell.source, f"cell {i}", "exec"), names)
    check_what_was_made(names, trained)


def fewer_steps(*data: Any, **options: Any) -> Any:
    from companion.evaluation.own import fit_features

    return fit_features(*data, **options | {"steps": 2, "progress": False})


def check_what_was_made(names: dict[str, Any], trained: list[str]) -> None:
    """What each assignment asks for, from the names that the page has left."""
    work: Path = names["work"]
    report = names["report"]
    assert names["pictures"].shape == (900, 3, 32, 32)
    assert report.classes == ("bags", "boots")
    assert set(report.skipped) == {"bags/cut.png", "boots/empty.jpg", "boots/prices.txt"}
    assert {"HingeDCGAN", "WithoutRate", "ConditionalVAE", "BetaVAE", "ConvLSTM"} <= set(trained)
    assert names["drawn"].shape == (500, 1, 28, 28)
    assert set(names["distance"]) == {"real", "GAN", "untrained GAN", "noise"}
    assert all(value >= 0 for value in names["distance"].values())
    loaded, saved = names["next_week"].state_dict(), names["gan"].state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in saved.items())
    once, stopped = names["resumed"].values()
    assert torch.equal(once, stopped)
    assert list(names["terms"]) == [names["models"].VAE, names["WithoutRate"]]
    assert (work / "loss.pdf").read_bytes().startswith(b"%PDF")
    assert b"<svg" in (work / "samples.svg").read_bytes()
    assert (work / "training.gif").read_bytes().startswith(b"GIF89a")
    assert (work / "log.csv").read_text().count("\n") >= 1
    names["here"].cleanup()
