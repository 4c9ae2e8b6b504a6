"""Terms of the glossary in the chapters: `python -m book._tools.terms` links them.

In each chapter, a term of `book/reference/glossary.md` is linked where it first stands in prose,
as `` {term}`latent variable` ``, in any case, in the plural, or by its short name (VAE). Headings,
titles, tables, code, formulas, links, captions and the box of goals are no prose. `SENSES` lists
the chapters in which a word is not meant as the glossary defines it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from book._tools import ROOT, name_of, notebooks
from book._tools.measure import kinds

GLOSSARY = ROOT / "book" / "reference" / "glossary.md"
SENSES = {
    "start/quickstart": {"precision"},  # mixed precision
    "vae/elbo": {"precision"},  # of the arithmetic
    "vae/vq_vae": {"precision", "posterior collapse"},  # of a code; no posterior collapses
    "gan/stability": {"blind spot"},  # of a penalty
    "rnn/gates": {"recall"},  # to recall symbols
    "rnn/video": {"encoder", "generator"},  # of frames; of moves
}
LINK = re.compile(r"\{term\}`([^`<]+?)(?: <([^`>]+)>)?`")
NO_PROSE = re.compile(r"\s*(\||#+ |\([\w-]+\)=)")  # a row of a table, a heading, a label
GOALS = re.compile(r"^(:{3,})\{admonition\} Goals$.*?^\1$", re.MULTILINE | re.DOTALL)
# What stands within a line of prose and is none.
INLINE = re.compile(
    r"(?:\{[\w:-]+\})?(`+).+?\1"  # code, roles
    r"|\$\$.*?\$\$|\$[^$]+\$"
    r"|!?\[[^\]]*\]\([^)]*\)|<[^<>\n]+>",
    re.DOTALL,
)


@cache
def spellings() -> dict[str, str]:
    """How the terms are written, in small letters and single spaces, and the entry of each."""
    found: dict[str, str] = {}
    for block in GLOSSARY.read_text("utf-8").split("```{glossary}\n")[1].split("\n\n"):
        entry, text = block.split("\n", 1)
        short = re.search(r"Short:\s+(\w+)\.", text)
        for name in (entry, *(short.groups() if short else ())):
            for form in (name, re.sub(r"y$", "ie", name) + "s"):
                found[form.lower()] = entry
    return found


@cache
def pattern() -> re.Pattern[str]:
    longest_first = sorted(map(re.escape, spellings()), key=len, reverse=True)
    words = "|".join(longest_first).replace(r"\ ", r"\s+")
    return re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.IGNORECASE)


def prose(source: str) -> str:
    """The Markdown with all that is no prose blotted out, each character at its place."""
    lines = [
        line if kind == "prose" and not NO_PROSE.match(line) else "\0" * len(line)
        for (kind, _), line in zip(kinds(source), source.splitlines(), strict=True)
    ]
    text = "\n".join(lines)
    for goals in GOALS.finditer(source):
        text = text[: goals.start()] + "\0" * len(goals[0]) + text[goals.end() :]
    return INLINE.sub(lambda match: "\0" * len(match[0]), text)


def occurrences(notebook: NotebookNode, name: str) -> Iterator[tuple[int, int, str, str]]:
    """Cell, position, text and entry of each term in prose."""
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for match in pattern().finditer(prose(cell.source)):
                entry = spellings()[" ".join(match[0].lower().split())]
                if entry not in SENSES.get(name, ()):
                    yield i, match.start(), match[0], entry


def links(notebook: NotebookNode) -> Iterator[tuple[int, int, str]]:
    """Cell, position and entry of each link to the glossary."""
    for i, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            for match in LINK.finditer(cell.source):
                yield i, match.start(), match[2] or match[1]


def unlinked(notebook: NotebookNode, name: str) -> Iterator[str]:
    """What is wrong with the links of a chapter to the glossary, one sentence each."""
    linked: dict[str, tuple[int, int]] = {}
    for i, position, entry in links(notebook):
        if entry in linked:
            yield f"cell {i} links the term {entry!r} again; link it once, where it first occurs"
        linked.setdefault(entry, (i, position))
    for i, position, text, entry in occurrences(notebook, name):
        if entry not in linked or (i, position) < linked[entry]:
            linked[entry] = (i, position)
            yield (
                f"cell {i} is the first to say {text!r} and does not link it to the glossary; "
                "run book._tools.terms"
            )


def link(notebook: NotebookNode, name: str) -> None:
    """Link each term where it first occurs, and nowhere else."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(r"\1", cell.source)
    first: dict[str, tuple[int, int, str]] = {}
    for i, position, text, entry in occurrences(notebook, name):
        first.setdefault(entry, (i, position, text))
    for entry, (i, position, text) in sorted(first.items(), key=lambda x: x[1], reverse=True):
        cell = notebook.cells[i]
        written = " ".join(text.split())
        target = written if written == entry else f"{written} <{entry}>"
        # What was broken over two lines stands on the second one.
        before = cell.source[:position]
        if "\n" in text:
            before = before.rstrip(" ") + "\n"
        cell.source = before + f"{{term}}`{target}`" + cell.source[position + len(text) :]


def main(arguments: list[str]) -> int:
    for path in [Path(argument) for argument in arguments] or notebooks():
        notebook = nbformat.read(path, as_version=4)
        link(notebook, name_of(path))
        path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
        print(f"{name_of(path)}: {sum(1 for _ in links(notebook))} terms linked")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
