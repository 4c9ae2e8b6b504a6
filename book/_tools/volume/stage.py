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
from book._tools.volume.pages import Page, identifier, read, text, title_of

HERE = Path(__file__).resolve().parent
NAME = "images-from-noise"
COVER = "_static/noise.webp"


@dataclass
class Line:
    """A line of the table of contents.

    Attributes:
        level: 1 for a part, 2 for a chapter of it, 3 for a section.
        anchor: what it leads to.
        title: its text.
        page: the page that begins there; none for a section, or for a part that only has a title.
    """

    level: int
    anchor: str
    title: str
    page: Page | None = None


@dataclass
class Volume:
    """The book as one: its imprint, and its pages in reading order, solutions last."""

    imprint: Imprint
    pages: list[Page]

    def outline(self) -> list[Line]:
        """Parts, chapters and sections in reading order.

        A part whose opening page has the part's name begins with that page, any other part with a
        title of its own. Pages outside the parts stand on the level of parts.
        """
        lines = []
        groups = groupby(self.pages, key=lambda page: page.entry.part)
        for number, (part, group) in enumerate(groups):
            pages, base = list(group), 1
            if part and pages[0].title != part:
                lines.append(Line(1, f"part-{number}", part))
                base = 2
            for page in pages:
                level = base + page.entry.depth
                lines.append(Line(level, page.entry.slug, page.title, page))
                lines += [Line(level + 1, anchor, title) for anchor, title in page.sections]
                base = 2 if part else 1
        return lines

    def fill(self, template: str) -> str:
        """A template, a file beside this one, with the data of the imprint."""
        markup = (HERE / template).read_text("utf-8")
        names = ("title", "subtitle", "author", "version", "year", "repository")
        return markup.format(**{n: html.escape(getattr(self.imprint, n)) for n in names})

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
    volume = Volume(imprint, [*pages, _solutions(pages)])
    volume.pages.insert(0, _page("about", volume.fill("about.html")))
    return volume


def _page(name: str, markup: str) -> Page:
    body = BeautifulSoup(markup, "html.parser").find("section")
    assert isinstance(body, Tag)
    return Page(Entry(name, "", 0), text(title_of(body)), body)


def _link_notebook(page: Page, source: str) -> None:
    name = f"{page.entry.name}.ipynb"
    line = BeautifulSoup(
        f'<p class="notebook">Notebook: <a href="{source}/{name}">{name}</a></p>', "html.parser"
    )
    title_of(page.body).insert_after(line)


def _solutions(pages: list[Page]) -> Page:
    """The solutions of all exercises under the titles of their chapters."""
    page = _page("solutions", '<section class="page"><h1 id="solutions">Solutions</h1></section>')
    for chapter in pages:
        if chapter.solutions:
            anchor = identifier("solutions", chapter.entry.slug)
            head = f'<h2 id="{anchor}">{html.escape(chapter.title)}</h2>'
            page.body.append(BeautifulSoup(head, "html.parser"))
            page.body.extend(chapter.solutions)
    return page


def place_images(volume: Volume, site: Path, folder: Path) -> None:
    """Put every image under `images/` of a folder, and name it so in the pages.

    PNG, JPEG and SVG stay as they are, moving pictures become strips, and what an old reader of
    EPUB does not know (WebP) becomes PNG.
    """
    shutil.rmtree(folder / "images", ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    shown = {COVER: Path(COVER)} | {
        str(tag["src"]): Path(str(tag["src"])) for tag in volume.images()
    }
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
