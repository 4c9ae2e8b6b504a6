"""The cells of a notebook and what stands in them."""

import ast
import re

from nbformat import NotebookNode

ANSI = re.compile(r"\x1b\[[0-9;]*m")


def codes(notebook: NotebookNode) -> list[tuple[int, NotebookNode]]:
    """The code cells, each with its position among all cells."""
    return [(i, cell) for i, cell in enumerate(notebook.cells) if cell.cell_type == "code"]


def tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", ()))


def images(cell: NotebookNode) -> int:
    """How many images a cell shows."""
    if cell.cell_type != "code":
        return 0
    return sum(any(m.startswith("image/") for m in out.get("data", ())) for out in cell.outputs)


def text_of(output: NotebookNode) -> str:
    """All that a reader reads of an output."""
    parts = [output.get("text", ""), *output.get("traceback", ())]
    data = output.get("data", {})
    parts += [data[mime] for mime in data if mime.startswith("text/")]
    return ANSI.sub("", "\n".join(parts))


def line_at(text: str, position: int) -> str:
    return text[text.rfind("\n", 0, position) + 1 :].split("\n", 1)[0]


def parse(source: str) -> ast.Module:
    """Python without the lines that only IPython understands, each of which becomes `pass`."""
    return ast.parse(re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.MULTILINE))
