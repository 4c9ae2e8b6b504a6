"""All figures of the book in one archive: `python -m book._tools.figures [...]`.

    python -m book._tools.figures                       _build/figures.zip, from every notebook
    python -m book._tools.figures --style projector     with larger letters and thicker lines

The notebooks are run, since an image that is stored as pixels cannot become an SVG. What a cell
shows is saved as SVG, an animation as GIF, under the name that the figure has on the page, or the
cell's number. Each SVG has the line of the license inside, and so has a list beside them, with the
captions. The notebooks themselves are not written.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import zipfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode
from tqdm import tqdm

from book._tools import ROOT, name_of, notebooks
from companion import __version__
from companion.files import write_file

LICENSE = (
    f"From the book Images from Noise, version {__version__}, by the Images from Noise authors. "
    "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
)
# Runs in the kernel before the first cell: whatever is shown is saved as well, and what a notebook
# would store says under which number.
HOOK = """
from pathlib import Path as _Path
from companion import plots as _plots
from companion.plots import look as _look
_plots.style({style!r})
_saved = iter(range(10_000))
def _hook(kind, method, save):
    shown = getattr(kind, method)
    def both(self, **_):
        result, number = shown(self), next(_saved)
        save(self, _Path({folder!r}) / str(number))
        data, metadata = result if isinstance(result, tuple) else ({{"image/png": result}}, {{}})
        return data | {{"text/number": str(number)}}, metadata
    kind._repr_mimebundle_ = both
def _svg(figure, path):
    with _look.look():
        figure.savefig(path.with_suffix(".svg"), metadata={{"Rights": {license!r}, "Date": None}})
_hook(_look.figure_class(), "_repr_mimebundle_", _svg)
_hook(_plots.Animation, "_repr_png_", lambda film, path: film.save(path.with_suffix(".gif")))
"""


def draw(path: Path, style: str) -> list[tuple[str, bytes, str]]:
    """Run a notebook; name, content and caption of each of its figures.

    Raises:
        CellExecutionError: a cell failed.
    """
    notebook = nbformat.read(path, as_version=4)
    codes = sum(cell.cell_type == "code" for cell in notebook.cells)
    with (
        tempfile.TemporaryDirectory() as folder,
        tqdm(total=codes, desc=name_of(path), unit="cell", file=sys.stderr) as bar,
    ):
        client = NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_executed=lambda **_: bar.update(),
        )
        hook = HOOK.format(style=style, folder=folder, license=LICENSE)
        notebook.cells.insert(0, nbformat.v4.new_code_cell(hook))
        client.execute()
        return [
            figure
            for number, cell in enumerate(notebook.cells[1:])
            if cell.cell_type == "code"
            for figure in _of_cell(cell, f"cell-{number:02}", Path(folder))
        ]


def _of_cell(cell: NotebookNode, name: str, folder: Path) -> list[tuple[str, bytes, str]]:
    """The figures that a cell has shown, by the name and the caption that it has on the page."""
    about = cell.metadata.get("mystnb", {}).get("figure", {})
    name, caption = about.get("name", name), " ".join(about.get("caption", "").split())
    numbers = [o.data["text/number"] for o in cell.outputs if "text/number" in o.get("data", {})]
    found = []
    for i, number in enumerate(numbers):
        (file,) = folder.glob(f"{number}.*")
        part = f"-{i + 1}" if len(numbers) > 1 else ""
        found.append((f"{name}{part}{file.suffix}", file.read_bytes(), caption))
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m book._tools.figures", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("notebook", nargs="*", type=Path, help="default: all of _toc.yml")
    parser.add_argument("--style", choices=["page", "projector"], default="page")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "figures.zip")
    options = parser.parse_args(arguments)
    paths: list[Path] = options.notebook or notebooks()
    if missing := [str(path) for path in paths if path.suffix != ".ipynb" or not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")
    buffer, lines, failed = io.BytesIO(), [LICENSE, ""], 0
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            try:
                figures = draw(path.resolve(), options.style)
            except CellExecutionError as error:
                failed += 1
                print(f"{name_of(path)}: {error.ename}: {error.evalue}", file=sys.stderr)
                continue
            for name, content, caption in figures:
                archive.writestr(f"{name_of(path)}/{name}", content)
                lines.append(f"{name_of(path)}/{name}" + (f": {caption}" if caption else ""))
        archive.writestr("LICENSE.txt", "\n".join(lines) + "\n")
    if failed:
        print(f"{failed} of {len(paths)} notebooks failed; nothing was written", file=sys.stderr)
        return 1
    write_file(options.out, buffer.getvalue())
    print(f"{options.out} has {len(lines) - 2} figures", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
