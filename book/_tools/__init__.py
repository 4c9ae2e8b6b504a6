"""How the notebooks of this book are executed, stored and checked. No part of `companion`."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]

# The first code cell of every notebook, word for word, tagged `hide-cell`. It does nothing
# where the package is installed.
INSTALL_CELL = """\
import sys

if "google.colab" in sys.modules:  # Google Colab does not have the book's package yet
    %pip install -q git+https://github.com/images-from-noise/images-from-noise"""


def notebooks() -> list[Path]:
    """The notebooks of the book, in reading order, from `_toc.yml`."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]]
    for part in toc.get("parts", [toc]):
        for chapter in part.get("chapters", ()):
            files += [
                chapter["file"],
                *(section["file"] for section in chapter.get("sections", ())),
            ]
    paths = [ROOT / f"{name}.ipynb" for name in files]
    # A page of the book is a notebook or a Markdown file; what is neither, the build reports.
    return [path for path in paths if path.exists()]


def name_of(path: Path) -> str:
    """`gan/dcgan` for `book/gan/dcgan.ipynb`; the bare name for a notebook from elsewhere."""
    path = path.resolve()
    book = ROOT / "book"
    inside = path.is_relative_to(book)
    return path.relative_to(book).with_suffix("").as_posix() if inside else path.stem
