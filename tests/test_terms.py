"""Links from the chapters to the glossary: each term once, where it first stands in prose."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from book._tools import name_of, notebooks, terms


def chapter(*sources: str) -> nbformat.NotebookNode:
    return new_notebook(cells=[new_markdown_cell(source) for source in sources])


def linked(*sources: str, name: str = "part/chapter") -> list[str]:
    notebook = chapter(*sources)
    terms.link(notebook, name)
    assert not list(terms.unlinked(notebook, name)), "what the tool links, the gate accepts"
    return [cell.source for cell in notebook.cells]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("the prior is", "the {term}`prior` is"),
        ("The *Prior* is", "The *{term}`Prior <prior>`* is"),
        ("two priors", "two {term}`priors <prior>`"),
        ("their densities", "their {term}`densities <density>`"),
        ("a VAE's code", "a {term}`VAE <variational autoencoder>`'s code"),
        ("a latent\nvariable is", "a\n{term}`latent variable` is"),
        ("an exponential moving average", "an {term}`exponential moving average`"),
        ("prior, then prior", "{term}`prior`, then prior"),
        (
            "```{note}\n:class: prior\na prior\n```",
            "```{note}\n:class: prior\na {term}`prior`\n```",
        ),
    ],
)
def test_a_term_is_linked_where_it_first_stands(before: str, after: str) -> None:
    assert linked(before) == [after]


@pytest.mark.parametrize(
    "source",
    [
        "# The prior",
        "the `prior` and $prior$ and {doc}`prior`",
        "the [prior](prior.md) and ![a prior](prior.png)",
        "```python\nprior = 1\n```",
        "$$\nprior\n$$ (eq-prior)",
        "```{math}\nprior\n```",
        "```{admonition} The prior\n```",
        "| prior | 1 |\n|---|---|\n| prior | 2 |",
        "(prior)=",
        "a prior-free, non-prior word, and priority",
        ":::{admonition} Goals\n:name: goals-x\n\n- **G1** sample the prior;\n:::",
    ],
)
def test_what_is_no_prose_is_left_alone(source: str) -> None:
    assert linked(source) == [source]


def test_only_the_first_of_several_cells_has_the_link() -> None:
    assert linked("a prior", "a {term}`prior`") == ["a {term}`prior`", "a prior"]


def test_code_cells_are_left_alone() -> None:
    notebook = new_notebook(cells=[new_code_cell("prior = 1  # the prior")])
    terms.link(notebook, "part/chapter")
    assert notebook.cells[0].source == "prior = 1  # the prior"


def test_a_word_in_another_sense_is_left_alone() -> None:
    assert linked("mixed precision", name="start/quickstart") == ["mixed precision"]


@pytest.mark.parametrize(
    ("sources", "said"),
    [
        (["a prior"], "cell 0 is the first to say 'prior' and does not link it"),
        (["a prior", "a {term}`prior`"], "cell 0 is the first to say 'prior'"),
        (["{term}`prior`", "{term}`Priors <prior>`"], "cell 1 links the term 'prior' again"),
    ],
)
def test_the_gate_says_what_is_missing(sources: list[str], said: str) -> None:
    (problem,) = terms.unlinked(chapter(*sources), "part/chapter")
    assert said in problem


def test_every_exception_is_one() -> None:
    """A word of `SENSES` still stands in its chapter; otherwise the exception can go."""
    paths = {name_of(path): path for path in notebooks()}
    for name, words in terms.SENSES.items():
        found = terms.occurrences(nbformat.read(paths[name], as_version=4), "")
        assert words <= {entry for *_, entry in found}, name
