"""Notebooks from the source of a homework."""

from collections.abc import Callable, Iterable
from typing import Any

from companion.homework.build.links import addresses
from companion.homework.build.source import Cell
from companion.homework.submission import INSTALL

KERNEL = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def check_call(homework: str, name: str, variant: int, more: str = "") -> str:
    """The line below an answer."""
    said = f", variant={variant}" if variant else ""
    return f'check("{homework}", "{name}", {name}{said}{more})'


def student(homework: str, variant: int, cells: Iterable[Cell]) -> str:
    """The notebook for students, as the text of its file: no solution is in it."""
    built = Notebook()
    built.code("install", INSTALL)
    imported = False
    for number, cell in enumerate(cells):
        if cell.kind == "markdown":
            built.markdown(f"text-{number}", addresses(cell.text))
            continue
        text = cell.starter
        if not imported:
            text, imported = f"{text}\n\nfrom companion.homework import check", True
        built.code(cell.question or f"code-{number}", text)
        if cell.question:
            built.code(f"check-{cell.question}", check_call(homework, cell.question, variant))
    return built.text()


class Notebook:
    """A notebook in the making."""

    def __init__(self) -> None:
        from nbformat import v4

        self.v4, self.notebook = v4, v4.new_notebook(metadata=KERNEL)

    def markdown(self, name: str, text: str, **metadata: Any) -> None:
        """One more cell of text."""
        self._add(self.v4.new_markdown_cell, name, text, metadata)

    def code(self, name: str, text: str, **metadata: Any) -> None:
        """One more cell of code."""
        self._add(self.v4.new_code_cell, name, text, metadata)

    def text(self) -> str:
        """The file's content."""
        import nbformat

        return nbformat.writes(self.notebook) + "\n"

    def _add(self, make: Callable[..., Any], name: str, text: str, metadata: Any) -> None:
        # The name is the cell's id, so that the same source always gives the same file.
        self.notebook.cells.append(make(text, id=name.replace("_", "-")[:64], metadata=metadata))
