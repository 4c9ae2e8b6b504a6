"""The pages of a volume together with what a site does not have: about this edition, solutions."""

from __future__ import annotations

import html
import shutil
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from PIL import Image

from book._tools.volume.contents import Entry, Imprint, entries
from book._tools.volume.pages import Page, identifier, read

ABOUT = """
<section class="page"><h1 id="about">About this edition</h1>
<p>This file holds the whole of <em>{title}</em>, version {version}, as its site shows it. A page on
paper cannot be unfolded or played, so it differs from the site in three things.</p>
<ul>
<li><strong>Folded code is left out.</strong> The site folds cells that only draw a figure or check
a number. What they print and draw is here; their code is in the chapter's notebook, which is linked
under the chapter's title and runs as it is.</li>
<li><strong>Solutions stand at the end of the book.</strong> Each exercise leads to its solution, and
each solution back to its exercise.</li>
<li><strong>Moving pictures are shown as a strip</strong>: the first frame, one from the middle, and
the last, from top to bottom.</li>
</ul>
<p>Every formula and every output was checked by the tests of the book; what is printed after
the sign ≈ differs from machine to machine within the bound that stands beside it.</p>
<p>Corrections are welcome at <a href="{repository}/issues">the book's repository</a>.</p>
<p class="imprint">© {year} {author}. Text and figures:
<a href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>; code:
<a href="https://opensource.org/license/mit">MIT</a>. Fashion-MNIST: MIT, Zalando SE.</p>
</section>
"""

TITLE_PAGE = """
<section class="title-page"><p class="book-title">{title}</p><p class="book-subtitle">{subtitle}</p>
<img src="images/noise.png" alt=""/>
<p class="book-author">{author}</p><p class="book-version">Version {version}, {year}</p></section>
"""

COVER = "_static/noise.webp"


@dataclass
class Volume:
    """The book as one: its imprint, and its pages in reading order, solutions last."""

    imprint: Imprint
    about: Page
    pages: list[Page]

    def parts(self) -> list[tuple[str, list[Page]]]:
        """The captions of the parts, each with its pages."""
        groups = groupby(self.pages, key=lambda page: page.entry.part)
        return [(part, list(pages)) for part, pages in groups]

    def fill(self, template: str) -> str:
        """A template with the data of the imprint."""
        names = ("title", "subtitle", "author", "version", "year", "repository")
        return template.format(**{n: html.escape(getattr(self.imprint, n)) for n in names})

    def images(self) -> list[Tag]:
        return [image for page in self.pages for image in page.body.find_all("img")]


def gather(root: Path, site: Path) -> Volume:
    """Read every page of `_toc.yml` from the built site."""
    imprint, listed = Imprint(root), entries(root)
    slugs = {entry.name: entry.slug for entry in listed}
    pages = [read(site, entry, slugs) for entry in listed]
    for page in pages:
        notebook = root / f"{page.entry.name}.ipynb"
        if notebook.exists():
            _link_notebook(page, imprint.source)
    pages.append(_solutions(pages))
    volume = Volume(imprint, _page("about", "", "<section></section>"), pages)
    volume.about = _page("about", "", volume.fill(ABOUT))
    return volume


def _page(name: str, part: str, markup: str) -> Page:
    body = BeautifulSoup(markup, "html.parser").find("section")
    assert isinstance(body, Tag)
    head = body.find("h1")
    return Page(Entry(name, part, 0), head.get_text() if head else "", body)


def _link_notebook(page: Page, source: str) -> None:
    name = f"{page.entry.name}.ipynb"
    line = BeautifulSoup(
        f'<p class="notebook">Notebook: <a href="{source}/{name}">{name}</a></p>', "html.parser"
    )
    title = page.body.find("h1")
    assert isinstance(title, Tag)
    title.insert_after(line)


def _solutions(pages: list[Page]) -> Page:
    """The solutions of all exercises under the titles of their chapters."""
    page = _page("solutions", "Solutions", "<section class='page'></section>")
    head = BeautifulSoup('<h1 id="solutions">Solutions</h1>', "html.parser")
    page.body.append(head)
    page.title = "Solutions"
    for chapter in pages:
        if chapter.solutions:
            anchor = identifier("solutions", chapter.entry.slug)
            title = html.escape(chapter.title)
            page.body.append(
                BeautifulSoup(f'<h2 id="{anchor}">{title}</h2>', "html.parser")
            )
            page.body.extend(chapter.solutions)
    return page


def place_images(volume: Volume, site: Path, folder: Path) -> None:
    """Put every image under `images/` of a folder, and name it so in the pages.

    PNG, JPEG and SVG stay as they are, moving pictures become strips, and what an old reader of
    EPUB does not know (WebP) becomes PNG.
    """
    shutil.rmtree(folder / "images", ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    shown = {COVER: Path(COVER)} | {str(tag["src"]): Path(str(tag["src"])) for tag in volume.images()}
    names = {source: _store(site / path, folder / "images") for source, path in shown.items()}
    for tag in volume.images():
        tag["src"] = f"images/{names[str(tag['src'])]}"


def _store(source: Path, folder: Path) -> str:
    if source.suffix == ".svg":
        shutil.copyfile(source, folder / source.name)
        return source.name
    with Image.open(source) as image:
        moves = getattr(image, "is_animated", False)
        if not moves and image.format in ("PNG", "JPEG"):
            shutil.copyfile(source, folder / source.name)
            return source.name
        still = strip(image) if moves else image.convert("RGBA")
        still.save(folder / f"{source.stem}.png", optimize=True)
        return f"{source.stem}.png"


def strip(image: Image.Image, gap: int = 12) -> Image.Image:
    """First, middle and last frame of a moving picture under each other; without the middle one
    if they were much taller than wide."""
    last = image.n_frames - 1  # type: ignore[attr-defined]
    chosen = [0, last // 2, last] if 3 * image.height <= 1.2 * image.width else [0, last]
    sheet = Image.new("RGB", (image.width, len(chosen) * (image.height + gap) - gap), "white")
    for row, frame in enumerate(chosen):
        image.seek(frame)
        sheet.paste(image.convert("RGB"), (0, row * (image.height + gap)))
    return sheet
