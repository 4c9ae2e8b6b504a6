"""What a stored notebook must be, checked without running it: `python -m book._tools.gate [...]`.

With `--measure` it prints how long each chapter is to read instead.

nbval compares what a notebook prints now with what it printed when it was stored. It passes a
notebook that was never run, and it never looks at a figure; this gate does.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from book._tools import INSTALL_CELL, ROOT, name_of, notebooks
from book._tools.cells import codes, images, line_at, parse, tags, text_of
from book._tools.claims import claim_fault
from book._tools.measure import done, limits, measure, table
from book._tools.terms import unlinked

MAX_BYTES = 1_500_000
MAX_IMPORTS = 12
MIN_ALT = 20
EXPECT_WITHIN = 2  # code cells after a figure in which its number is checked

# `picture` marks a cell whose image is there to be looked at and claims nothing; `own-class` one
# that writes a class of the package out on the page, for the reader to read.
TAGS = {"picture", "own-class", "hide-cell", "hide-input", "hide-output", "raises-exception"}
MIME_TYPES = {"text/plain", "text/latex", "text/markdown", "image/png"}
CELL_METADATA = {"tags", "mystnb", "jupyter"}
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"file_extension": ".py", "name": "python", "pygments_lexer": "ipython3"}

ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")
LOCAL_PATH = re.compile(
    r"(?<![\w./])/(?:home|root|tmp|work|usr|var|opt|mnt|media|srv|Users|private|content)/"
    r"|\b[A-Z]:\\|site-packages|(?<!\w)~/"
)


def problems(path: Path) -> list[str]:
    """Everything that is wrong with a stored notebook, one sentence each; empty if it is fit."""
    found = []
    if path.stat().st_size > MAX_BYTES:
        found.append(f"the file has {path.stat().st_size} bytes, at most {MAX_BYTES} are allowed")
    notebook = nbformat.read(path, as_version=4)
    for check in (opening, metadata, code, execution, outputs, figures):
        found += check(notebook)
    found += unlinked(notebook, name_of(path))
    if name_of(path) in done():
        found += limits(notebook)
    return found


def opening(notebook: NotebookNode) -> Iterator[str]:
    """A title and a picture come first, then the cell that installs the package on Colab."""
    cells = notebook.cells
    if not cells or cells[0].cell_type != "markdown" or not re.match(r"# \S", cells[0].source):
        yield "the first cell must be Markdown that starts with the title, '# ...'"
    coded = codes(notebook)
    if not coded or coded[0][1].source.strip() != INSTALL_CELL:
        yield "the first code cell must be book._tools.INSTALL_CELL, word for word"
    elif "hide-cell" not in tags(coded[0][1]):
        yield f"cell {coded[0][0]} installs the package on Colab; tag it hide-cell"
    start = coded[0][0] if coded else len(cells)
    pictured = any(
        re.search(r"!\[[^\]]{20,}\]\(|```\{(?:figure|image)\}|:::\{(?:figure|image)\}", cell.source)
        for cell in cells[:start]
    )
    if not pictured and not any(images(cell) for _, cell in coded[1:3]):
        yield (
            "the chapter must open with a picture: in the Markdown before the first code cell, "
            "or drawn by the second or third code cell"
        )


def metadata(notebook: NotebookNode) -> Iterator[str]:
    """Nothing about the machine or the editor is stored."""
    if dict(notebook.metadata) != {"kernelspec": KERNELSPEC, "language_info": LANGUAGE}:
        yield "the notebook's metadata are not the standard ones; run book._tools.execute"
    for i, cell in enumerate(notebook.cells):
        if extra := set(cell.metadata) - CELL_METADATA:
            yield f"cell {i} has the metadata {sorted(extra)}; run book._tools.execute"
        if dict(cell.metadata.get("jupyter", {})) != folded(cell):
            yield f"cell {i} must be folded as hide-input says; run book._tools.execute"
        if unknown := set(tags(cell)) - TAGS:
            yield f"cell {i} has the tags {sorted(unknown)}; allowed are {sorted(TAGS)}"
        if re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)_", cell.source):
            yield f"cell {i} has a comment that switches the verification of outputs off"


def folded(cell: NotebookNode) -> dict[str, bool]:
    """What makes JupyterLab fold the cells that the page folds."""
    return {"source_hidden": True} if "hide-input" in tags(cell) else {}


def code(notebook: NotebookNode) -> Iterator[str]:
    """Few imports, no second copy of a class of the package, no figures behind one's back."""
    count = 0
    for i, cell in codes(notebook):
        for node in ast.walk(parse(cell.source)):
            if isinstance(node, ast.Import | ast.ImportFrom):
                count += 1
                names = [alias.name for alias in node.names]
                if isinstance(node, ast.ImportFrom) and node.module:
                    names = [f"{node.module}.{name}" for name in names]
                if any("pyplot" in name or name.endswith("pylab") for name in names):
                    yield f"cell {i} imports pyplot; use companion.plots.subplots"
            elif isinstance(node, ast.ClassDef) and node.name in _companion_classes():
                if "own-class" not in tags(cell):
                    yield (
                        f"cell {i} defines {node.name}, which companion defines, too; import "
                        "that, or tag the cell own-class if it is to be read here"
                    )
    if count > MAX_IMPORTS:
        yield f"{count} import lines, at most {MAX_IMPORTS} are allowed"


def execution(notebook: NotebookNode) -> Iterator[str]:
    """Every code cell was run, once, from top to bottom."""
    counts = [cell.execution_count for _, cell in codes(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        yield f"the code cells were not run once, from top to bottom: {counts}"


def outputs(notebook: NotebookNode) -> Iterator[str]:
    """No error, warning, address or local path; every number after ≈ keeps its claim."""
    for i, cell in codes(notebook):
        for output in cell.outputs:
            if output.output_type == "error" and "raises-exception" not in tags(cell):
                yield f"cell {i} ends in an error: {output.ename}: {output.evalue}"
            if output.output_type == "stream" and output.name == "stderr":
                said = output.text[:200]
                yield f"cell {i} writes to stderr (a warning? a progress bar?): {said!r}"
            if other := set(output.get("data", ())) - MIME_TYPES:
                yield f"cell {i} shows {sorted(other)}; only {sorted(MIME_TYPES)} are verified"
            if extra := set(output.get("metadata", ())) - {"image/png"}:
                yield f"cell {i} has output metadata {sorted(extra)}; run book._tools.execute"
            text = text_of(output)
            if match := ADDRESS.search(text):
                yield f"cell {i} shows an address, {match[0]}, that changes with every run"
            if match := LOCAL_PATH.search(text):
                yield f"cell {i} shows a path of one machine: {line_at(text, match.start())!r}"
            for line in text.splitlines():
                if "≈" in line and (fault := claim_fault(line)):
                    yield f"cell {i}: {fault}"


def figures(notebook: NotebookNode) -> Iterator[str]:
    """Alternative text and a caption for each figure, and an `expect` on what it shows."""
    coded = codes(notebook)
    for position, (i, cell) in enumerate(coded):
        shown = images(cell)
        if shown == 0:
            continue
        if shown > 1:
            yield f"cell {i} shows {shown} figures; show one a cell, each has its own caption"
        mystnb = cell.metadata.get("mystnb", {})
        alt = mystnb.get("image", {}).get("alt", "")
        if len(alt.strip()) < MIN_ALT:
            yield f"cell {i}: the figure needs alternative text of {MIN_ALT} letters, has {alt!r}"
        if not mystnb.get("figure", {}).get("caption", "").strip():
            yield f"cell {i}: the figure needs a caption (metadata mystnb.figure.caption)"
        near = coded[position : position + 1 + EXPECT_WITHIN]
        if "picture" not in tags(cell) and not any("expect(" in c.source for _, c in near):
            yield (
                f"cell {i}: no expect() on the figure's number in it or the next "
                f"{EXPECT_WITHIN} code cells; tag it 'picture' if it claims nothing"
            )


@cache
def _companion_classes() -> frozenset[str]:
    trees = (ast.parse(path.read_bytes()) for path in (ROOT / "companion").rglob("*.py"))
    return frozenset(n.name for t in trees for n in ast.walk(t) if isinstance(n, ast.ClassDef))


def main(arguments: list[str]) -> int:
    paths = [Path(argument) for argument in arguments if argument != "--measure"] or notebooks()
    if "--measure" in arguments:
        print(table({name_of(path): measure(nbformat.read(path, as_version=4)) for path in paths}))
        return 0
    faults = 0
    for path in paths:
        found = problems(path)
        faults += len(found)
        print(f"{name_of(path)}: {'fit' if not found else f'{len(found)} to mend'}")
        for problem in found:
            print(f"  {problem}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
