"""The measures of a first read, on a small chapter whose numbers are counted by hand."""

import ast
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from book._tools import gate
from book._tools import measure as measures


def chapter() -> nbformat.NotebookNode:
    fence = "```python\na = 1\n\nb = 2\n```"
    title = {"tags": ["hide-input"], "mystnb": {"code_prompt_show": "Check the loss"}}
    return new_notebook(
        cells=[
            new_markdown_cell(f"# A title\n\nSee [this page](a-b.md): $x + y$ grows.\n\n{fence}"),
            new_markdown_cell("$$\nx = y\n$$"),
            new_code_cell("train(model)\n\nprint(1)"),
            new_code_cell("expect('x', 1, below=2, control=3)"),
            new_code_cell("plots.curves({})", metadata={"tags": ["hide-input"]}),
            new_code_cell("expect('x', 1, below=2)\nassert True", metadata=title),
            new_markdown_cell("## Going deeper\n\nfour more words here\n\n### A part\n\nlast"),
            new_code_cell("print(2)"),
            new_markdown_cell("## Summary\n\nback again"),
        ]
    )


def test_the_measures_are_those_counted_by_hand() -> None:
    found = measures.measure(chapter())
    # "A title", "See this page: formula grows.", "Summary", "back again"
    assert found.first_words == 2 + 5 + 1 + 2
    assert found.words == found.first_words + 2 + 4 + 2 + 1
    assert found.first_lines == 2 + 2 + 1
    assert (found.controls, found.trains) == (1, True)
    assert (found.unfolded, found.untitled) == ((3,), (4,))


@pytest.mark.parametrize(
    ("source", "words", "lines"),
    [
        ("```{admonition} A title\n:class: tip\nThree more words\n```", 5, 0),
        (":::{note}\nTwo words\n:::\nafter it", 4, 0),
        ("````{exercise} Title\n:label: ex-a\nWrite it:\n```python\nx = 1\n```\ndone\n````", 4, 1),
        ("::::{dropdown} Why\n:::{tip}\nNested words\n:::\nback\n::::\nout", 5, 0),
        ("```{figure} a.png\n:alt: what it shows\nIts caption\n```", 2, 0),
        ("```{code-block} python\nx = 1\n```", 0, 1),
        ("```\nx = 1\n\ny = 2\n```\nprose", 1, 2),
        ("~~~python\n# no heading\n~~~", 0, 1),
        ("```{math}\nx = y\n```", 0, 0),
        ("$$\nx = y\n$$ (eq)\nprose $$x$$ goes on", 3, 0),
    ],
)
def test_prose_in_directives_are_words_and_fenced_code_is_code(
    source: str, words: int, lines: int
) -> None:
    found = measures.measure(new_notebook(cells=[new_markdown_cell(source)]))
    assert (found.words, found.first_words, found.first_lines) == (words, words, lines)


def test_the_limits_hold_for_the_chapters_that_are_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "chapter.ipynb"
    notebook = chapter()
    notebook.cells[0].source += "\n\n" + "word " * 4500
    notebook.cells[2].source += "\nprint(1)" * 150
    nbformat.write(notebook, path)
    before = gate.problems(path)
    monkeypatch.setattr(gate, "done", lambda: [gate.name_of(path)])
    added = gate.problems(path)[len(before) :]
    assert len(added) == 6
    for said in (
        "the first read has 45",
        "155 lines",
        "the page has 45",
        "1 expect()",
        "cell 3 only",
        "cell 4 is folded without a title",
    ):
        assert any(said in problem for problem in added), said


def test_the_list_of_done_chapters_can_be_read() -> None:
    assert {*measures.done()} <= {gate.name_of(path) for path in gate.notebooks()}


@pytest.mark.parametrize(
    ("source", "shows"),
    [
        ("plots.sheet(images)", True),
        ("figure, axes = subplots(1, 2)\naxes[0].plot(x, y)\nfigure", True),
        ("for a in axes:\n    a.plot(x)", False),  # too much to tell; it may be read
        ("for x in y:\n    axes.plot(x)", True),
        ("expect('x', 1, below=2)\nassert a == b", True),
        ("loss = model.loss(x)\nexpect('x', loss, below=2)", False),
        ("print(2)", False),
        ("", False),
    ],
)
def test_a_cell_that_only_draws_or_checks_is_known(source: str, shows: bool) -> None:
    assert measures._only_shows(ast.parse(source)) == shows
