"""Plain notebooks: a chapter as every editor shows it, made from its page of the site.

The chapters are written for the site: macros, roles, directives, captions in the metadata of cells.
When the site is built, `book/_ext/plain_notebooks.py` hands each resolved page to `plain_notebook`,
which puts the page's Markdown between the chapter's own code cells. Solutions stay on the site,
behind a link. `without_outputs` makes the second set, for a class that is to see its own numbers.
"""

from __future__ import annotations

import copy
import tomllib
from dataclasses import dataclass, field

import nbformat
from docutils import nodes
from nbformat import NotebookNode

from book._tools import INSTALL_CELL, ROOT
from book._tools.cells import tags
from book._tools.plain_text import Writer
from book._tools.plain_words import Page

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
REPOSITORY = str(PROJECT["urls"]["Repository"])
RELEASE = str(PROJECT["version"])
# The repository as it was when the site of this release was built, with the notebooks beside it:
# what Colab opens, what Binder builds and what pip installs are the same commit.
TAG = f"notebooks-v{RELEASE}"
WITH, WITHOUT = "notebooks/with-outputs", "notebooks/without-outputs"  # folders of the site
FOLDED = {"hide-input", "hide-cell"}

# The first code cell. Where a chapter's own installs on Colab only, this one also says what to do
# elsewhere, and takes the package of its release.
PINNED_INSTALL_CELL = f"""\
import sys

BOOK = "images-from-noise @ git+{REPOSITORY}@{TAG}"
if "google.colab" in sys.modules:  # Google Colab does not have the book's package yet
    %pip install -q "$BOOK"
try:
    import companion.zoo
except ImportError:  # there is none, or it is another "companion"
    raise ModuleNotFoundError(
        "This notebook needs the package images-from-noise, whose module is called companion; run "
        f'%pip install "{{BOOK}}" in a cell (about 6 GB with torch), then restart the kernel.'
    ) from None"""


@dataclass
class Text:
    """The Markdown of one cell to be."""

    index: int  # of the source cell it comes from
    parts: list[str] = field(default_factory=list)
    attachments: dict[str, dict[str, str]] = field(default_factory=dict)


class _Cells:
    """Walks through a page and collects its cells: `Text`, or the index of a code cell."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.cells: list[Text | int] = []
        self.index = 0

    def walk(self, parent: nodes.Element, depth: int) -> None:
        for node in parent.children:
            assert isinstance(node, nodes.Element)
            self.index = _cell_of(node, self.index)
            if isinstance(node, nodes.section):
                self.walk(node, depth + 1)
            elif isinstance(node, nodes.title):
                self.add(f"{'#' * depth} {Writer(self.page).inlines(node.children)}")
            elif node.get("nb_element") == "cell_code":
                self.cells.append(int(node["cell_index"]))
                self.index = int(node["cell_index"])
                self.captions(node)
            elif type(node).__name__ == "solution_node":
                self.add(f"[Solution]({self.page.url}#{node['ids'][0]}) on the site", here=True)
            else:
                writer = Writer(self.page)
                self.add(writer.blocks([node]), writer.attachments)

    def captions(self, cell: nodes.Element) -> None:
        """What stands under the figures that a code cell draws."""
        texts = [Writer(self.page).caption(figure) for figure in cell.findall(nodes.figure)]
        if text := "\n\n".join(text for text in texts if text):
            self.cells.append(Text(self.index, [text]))

    def add(
        self,
        text: str,
        attachments: dict[str, dict[str, str]] | None = None,
        *,
        here: bool = False,
    ) -> None:
        """Add Markdown to the cell that its source stands in, or, if `here`, to the last one."""
        if not text.strip():
            return
        last = self.cells[-1] if self.cells else None
        if not isinstance(last, Text) or (last.index != self.index and not here):
            self.cells.append(last := Text(self.index))
        last.parts.append(text)
        last.attachments.update(attachments or {})


def _cell_of(node: nodes.Element, before: int) -> int:
    """The index of the source cell: myst-nb counts the lines of cell i from (i + 1) * 10,000."""
    line = next((n.line for n in node.findall(nodes.Element) if n.line), None)
    return before if line is None or line < 10_000 else line // 10_000 - 1


def plain_notebook(document: nodes.document, chapter: NotebookNode, page: Page) -> NotebookNode:
    """The plain notebook of a chapter.

    Args:
        document: its page, references resolved.
        chapter: its notebook, from which the code cells and their outputs are taken.
        page: where the page is, its numbers and the macros.

    Raises:
        UnknownNodeError: the page holds a kind of node that no Markdown is known for.
        ValueError: a code cell of the chapter is not on its page.
    """
    found = _Cells(page)
    found.walk(document, 0)
    coded = [
        i
        for i, cell in enumerate(chapter.cells)
        if cell.cell_type == "code" and cell.source.strip()
    ]
    if (shown := [cell for cell in found.cells if isinstance(cell, int)]) != coded:
        raise ValueError(
            f"{page.url}: the page shows the code cells {shown}, the notebook has {coded}; a code "
            "cell may stand neither in a directive nor be tagged remove-cell"
        )
    cells = []
    for number, cell in enumerate(found.cells):
        if isinstance(cell, Text):
            new = nbformat.v4.new_markdown_cell("\n\n".join(cell.parts), id=f"text-{number}")
            if cell.attachments:
                new.attachments = cell.attachments
        else:
            new = _code(chapter.cells[cell])
        cells.append(new)
    if cells and cells[0].cell_type == "markdown":
        title, _, rest = cells[0].source.partition("\n")
        origin = f"*Images from Noise {RELEASE}: [this chapter on the site]({page.url})*"
        cells[0].source = f"{title}\n\n{origin}\n{rest}".rstrip()
    plain = nbformat.v4.new_notebook(cells=cells, metadata=copy.deepcopy(chapter.metadata))
    plain.nbformat_minor = 5
    return plain


def _code(cell: NotebookNode) -> NotebookNode:
    """A code cell of the chapter, folded in JupyterLab, VS Code and Colab as it is on the site."""
    new = copy.deepcopy(cell)
    if cell.source.strip() == INSTALL_CELL:
        new.source = PINNED_INSTALL_CELL
    new.metadata = NotebookNode({"tags": tags(cell)} if tags(cell) else {})
    if FOLDED & set(tags(cell)):
        new.metadata["jupyter"] = NotebookNode(source_hidden=True)
        new.metadata["cellView"] = "form"
    return new


def without_outputs(notebook: NotebookNode) -> NotebookNode:
    """The same notebook as if it had never run."""
    stripped = copy.deepcopy(notebook)
    for cell in stripped.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return stripped
