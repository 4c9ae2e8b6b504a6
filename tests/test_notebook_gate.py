"""The tools that guard the notebooks, tried on planted faults: each must be caught."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from book._tools import INSTALL_CELL, gate, notebooks
from book._tools.cells import ANSI
from book._tools.execute import NotebookError, clean, execute, machine, main, record, tidy
from book._tools.verify import verify

PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
CAPTIONED = {"image": {"alt": "A single pixel, which is black"}, "figure": {"caption": "A pixel."}}
FIGURE, CLAIM = 4, 5  # the positions of two cells in `sound()`


def printed(text: str, name: str = "stdout") -> NotebookNode:
    return new_output("stream", name=name, text=text)


def ran(source: str, *outputs: NotebookNode, count: int, **metadata: Any) -> NotebookNode:
    return new_code_cell(source, outputs=list(outputs), execution_count=count, metadata=metadata)


def sound() -> NotebookNode:
    """A notebook with nothing wrong, as if it had been executed and stored."""
    data = {"image/png": PIXEL, "text/plain": "<Figure size 1x1>"}
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# A title\n\n![A black square, very small](square.png)"),
            ran(INSTALL_CELL, count=1, tags=["hide-cell"]),
            ran("from companion.notebook import expect", count=2),
            ran("print(2 + 2)", printed("4\n"), count=3),
            ran("figure", new_output("display_data", data=data), count=4, mystnb=CAPTIONED),
            ran("expect('x', 0.5, below=1)", printed("x ≈ 0.500  (< 1 holds)\n"), count=5),
        ]
    )
    tidy(notebook)
    return notebook


def stored(folder: Path, notebook: NotebookNode, name: str = "chapter") -> Path:
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook, path)
    return path


def test_a_sound_notebook_passes(tmp_path: Path) -> None:
    assert gate.problems(stored(tmp_path, sound())) == []


def test_a_class_of_the_package_may_be_written_out_where_a_tag_says_so(tmp_path: Path) -> None:
    notebook = sound()
    notebook.cells[2].update(source="class Animation:\n    pass")
    assert len(gate.problems(stored(tmp_path, notebook))) == 1
    notebook.cells[2].metadata.tags = ["own-class"]
    assert gate.problems(stored(tmp_path, notebook)) == []


def error(cell: NotebookNode, *traceback: str) -> None:
    cell.outputs = [new_output("error", ename="ValueError", evalue="no", traceback=[*traceback])]


FAULTS: dict[str, tuple[Callable[[NotebookNode], Any], str]] = {
    "folded on the page only": (
        lambda n: n.cells[3].metadata.update(tags=["hide-input"]),
        "cell 3 must be folded as hide-input says",
    ),
    "folded in JupyterLab only": (
        lambda n: n.cells[3].metadata.update(jupyter={"source_hidden": True}),
        "cell 3 must be folded as hide-input says",
    ),
    "never run": (
        lambda n: [c.update(execution_count=None, outputs=[]) for c in n.cells if "outputs" in c],
        "were not run once, from top to bottom",
    ),
    "run out of order": (lambda n: n.cells[3].update(execution_count=7), "not run once"),
    "one cell not run": (lambda n: n.cells[3].update(execution_count=None), "not run once"),
    "an error": (lambda n: error(n.cells[3]), "ends in an error: ValueError: no"),
    "a warning": (
        lambda n: n.cells[3].outputs.append(printed("UserWarning: old", "stderr")),
        "writes to stderr",
    ),
    "an address": (
        lambda n: n.cells[3].outputs.append(printed("<object at 0x7f12ab34cd56>")),
        "shows an address, 0x7f12ab34cd56",
    ),
    "a local path": (
        lambda n: n.cells[3].outputs.append(printed("saved\nin /home/me/runs/a.png")),
        "shows a path of one machine: 'in /home/me/runs/a.png'",
    ),
    "a path in a traceback": (
        lambda n: error(n.cells[3], "File \x1b[0;32m/usr/lib/x.py"),
        "shows a path of one machine",
    ),
    "a table that nobody compares": (
        lambda n: n.cells[3].outputs.append(
            new_output("display_data", data={"text/html": "<b>4</b>"})
        ),
        "shows ['text/html']",
    ),
    "no alternative text": (
        lambda n: n.cells[FIGURE].metadata["mystnb"].update(image={}),
        "needs alternative text",
    ),
    "alternative text that says nothing": (
        lambda n: n.cells[FIGURE].metadata["mystnb"].update(image={"alt": "plot"}),
        "needs alternative text of 20 letters, has 'plot'",
    ),
    "no caption": (
        lambda n: n.cells[FIGURE].metadata["mystnb"].pop("figure"),
        "needs a caption",
    ),
    "no expect after a figure": (
        lambda n: n.cells[CLAIM].update(source="1", outputs=[]),
        "no expect() on the figure's number",
    ),
    "two figures in a cell": (
        lambda n: n.cells[FIGURE].outputs.append(n.cells[FIGURE].outputs[0]),
        "shows 2 figures",
    ),
    "a number that breaks its claim": (
        lambda n: n.cells[CLAIM].update(outputs=[printed("x ≈ 1.5  (< 1 holds)\n")]),
        "does not keep its claim",
    ),
    "a control that keeps the claim": (
        lambda n: n.cells[CLAIM].update(
            outputs=[printed("x ≈ 0.5  (< 1 holds; fails for noise ≈ 2, untrained ≈ 0.9)\n")]
        ),
        "a control keeps the claim",
    ),
    "a number hidden behind the sign": (
        lambda n: n.cells[3].update(outputs=[printed("four ≈ 5\n")]),
        "only expect() may print",
    ),
    "too large": (lambda n: n.cells[0].update(source="# T\n" + "x" * 2_000_000), "bytes, at most"),
    "verification switched off by a tag": (
        lambda n: n.cells[3].metadata.update(tags=["nbval-skip"]),
        "has the tags ['nbval-skip']",
    ),
    "verification switched off by a comment": (
        lambda n: n.cells[3].update(source="# NBVAL_IGNORE_OUTPUT\nprint(4)"),
        "switches the verification of outputs off",
    ),
    "times in the metadata": (
        lambda n: n.cells[3].metadata.update(execution={"iopub.execute_input": "2020"}),
        "has the metadata ['execution']",
    ),
    "the editor in the metadata": (
        lambda n: n.metadata.update(vscode={}),
        "the notebook's metadata are not the standard ones",
    ),
    "too many imports": (
        lambda n: n.cells[2].update(source="\n".join(f"import m{i}" for i in range(13))),
        "14 import lines, at most 12",
    ),
    "pyplot": (
        lambda n: n.cells[2].update(source="import matplotlib.pyplot as plt"),
        "imports pyplot",
    ),
    "a second copy of a class": (
        lambda n: n.cells[2].update(source="class Animation:\n    pass"),
        "defines Animation, which companion defines, too",
    ),
    "no title": (lambda n: n.cells[0].update(source="Text"), "starts with the title"),
    "no picture at the start": (
        lambda n: n.cells[0].update(source="# A title"),
        "must open with a picture",
    ),
    "another first cell": (
        lambda n: n.cells[1].update(source="import os"),
        "must be book._tools.INSTALL_CELL",
    ),
    "an unfolded first cell": (lambda n: n.cells[1].metadata.pop("tags"), "tag it hide-cell"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_gate_catches(fault: str, tmp_path: Path) -> None:
    plant, message = FAULTS[fault]
    notebook = sound()
    plant(notebook)
    found = gate.problems(stored(tmp_path, notebook))
    assert any(message in problem for problem in found), found


def test_a_picture_needs_no_expect_and_a_wanted_error_is_allowed(tmp_path: Path) -> None:
    notebook = sound()
    notebook.cells[FIGURE].metadata["tags"] = ["picture"]
    notebook.cells[CLAIM].update(source="1", outputs=[])
    error(notebook.cells[3])
    notebook.cells[3].metadata["tags"] = ["raises-exception"]
    assert gate.problems(stored(tmp_path, notebook)) == []


@pytest.mark.slow
def test_strict_nbval_catches_what_the_gate_cannot_see(tmp_path: Path) -> None:
    line = "expect('x', 4.3, below=4.6)"
    # source, what is stored, and what nbval must say: passed or failed
    claims = [
        ("from companion.notebook import expect", "", "."),
        # Another machine may have had another number ...
        ("expect('x', 4.312, below=4.6, unit='nats')", "x ≈ 4.5 nats  (< 4.6 holds)\n", "."),
        # ... but not another claim, name or unit, and the claim must hold here as well.
        (line, "x ≈ 4.30  (< 4.5 holds)\n", "F"),
        (line, "y ≈ 4.30  (< 4.6 holds)\n", "F"),
        (line, "x ≈ 4.30 nats  (< 4.6 holds)\n", "F"),
        ("expect('x', 4.7, below=4.6)", "x ≈ 4.31  (< 4.6 holds)\n", "F"),
        # A number without the sign is compared as it stands.
        ("print(2 + 2)", "4\n", "."),
        ("print(2 + 2)", "5\n", "F"),
        ("print('4.312 and ≈ 5')", "4.313 and ≈ 5\n", "F"),
        ("4.5", "", "F"),
    ]
    cells = [
        ran(source, *([printed(text)] if text else []), count=i)
        for i, (source, text, _) in enumerate(claims, start=1)
    ]
    verdict = verify(stored(tmp_path, new_notebook(cells=cells)))
    assert not verdict.passed
    assert verdict.report.split()[0] == "".join(letter for *_, letter in claims), verdict.report
    assert "AssertionError: x is 4.7, expected < 4.6" in ANSI.sub("", verdict.report)
    assert verdict.cpu_seconds > 0


@pytest.mark.slow
def test_executing_stores_the_same_bytes_each_time(tmp_path: Path) -> None:
    notebook = new_notebook(
        cells=[
            new_markdown_cell("# Title"),
            new_code_cell("x = 2", metadata={"execution": {"shell.execute_reply": "now"}}),
            new_code_cell("print(x)\nx", metadata={"tags": ["hide-input"], "collapsed": False}),
            new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]}),
            new_code_cell("x = 2"),
            new_code_cell("   "),
        ]
    )
    path = stored(tmp_path, notebook)
    assert execute(path) > 0
    first = path.read_bytes()
    done = nbformat.read(path, as_version=4)
    assert [c.execution_count for c in done.cells[1:]] == [1, 2, 3, 4]
    assert [o.output_type for o in done.cells[2].outputs] == ["stream", "execute_result"]
    assert done.cells[2].metadata == {
        "tags": ["hide-input"],
        "jupyter": {"source_hidden": True},  # JupyterLab folds what the page folds
    }
    assert [*gate.metadata(done), *gate.execution(done), *gate.outputs(done)] == []
    ids = [cell.id for cell in done.cells]
    assert len(set(ids)) == len(ids)
    # Ids follow from the text, and a second run changes nothing.
    for cell in done.cells:
        cell.id = f"other-{cell.id}"
    nbformat.write(done, path)
    execute(path)
    assert path.read_bytes() == first
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("assert 4.7 < 4.6, 'x is 4.7, expected < 4.6'", "AssertionError: x is 4.7"),
        ("import warnings\nwarnings.warn('old')", "writes to stderr"),
        ("import time\ntime.sleep(9)", "CellTimeoutError"),
    ],
)
def test_a_notebook_that_fails_or_warns_is_not_written(
    source: str, message: str, tmp_path: Path
) -> None:
    path = stored(tmp_path, new_notebook(cells=[new_markdown_cell("# T"), new_code_cell(source)]))
    before = path.read_bytes()
    with pytest.raises(NotebookError) as caught:
        execute(path, timeout=3)
    assert message in str(caught.value)
    assert "cell 1" in str(caught.value)
    assert "nothing was written" in str(caught.value)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_the_command_refuses_what_is_no_notebook(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["book/nowhere.ipynb"])
    assert caught.value.code == 2
    assert "no such notebook: book/nowhere.ipynb" in capsys.readouterr().err


def test_cleaning_keeps_the_text_and_drops_the_rest() -> None:
    notebook = sound()
    clean(notebook)
    assert [c.source for c in notebook.cells] == [c.source for c in sound().cells]
    assert all(c.outputs == [] for c in notebook.cells if c.cell_type == "code")


def test_times_of_another_machine_keep_its_name(tmp_path: Path) -> None:
    table = tmp_path / "times.json"
    record({"gan/dcgan": 41.234, "vae/vae": 30.0}, table)
    assert json.loads(table.read_text()) == {
        "machine": machine(),
        "notebooks": {"gan/dcgan": {"seconds": 41.2}, "vae/vae": {"seconds": 30.0}},
    }
    elsewhere = {
        "machine": "other",
        "notebooks": {"vae/vae": {"seconds": 9.0}, "a": {"seconds": 1}},
    }
    table.write_text(json.dumps(elsewhere))
    record({"vae/vae": 8.0}, table)
    assert json.loads(table.read_text()) == {
        "machine": machine(),
        "notebooks": {"a": {"machine": "other", "seconds": 1}, "vae/vae": {"seconds": 8.0}},
    }


def test_the_machine_is_named_without_its_host() -> None:
    import platform

    assert re.match(r"\w+-core [\w-]+ CPU", machine())
    assert len(platform.node()) < 4 or platform.node() not in machine()


def test_the_notebooks_come_in_reading_order() -> None:
    assert all(path.is_absolute() and path.suffix == ".ipynb" for path in notebooks())
