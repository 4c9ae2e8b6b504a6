"""The volume as a PDF: one HTML document, typeset and printed by Chromium.

Chromium knows no page numbers of what a link leads to. So the document is printed twice: the first
print says on which page each anchor is, the second has these numbers in its table of contents.
"""

from __future__ import annotations

import html
import io
import sys
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import matplotlib
import pikepdf
import playwright.sync_api

from book._tools.volume.browser import StuckBrowserError, answering_within, opened, scripts
from book._tools.volume.pages import HEADINGS, Page
from book._tools.volume.stage import HERE, NAME, Line, Volume, gather, place_images
from companion.files import write_file

WIDTH, HEIGHT, MARGIN = 7.0, 10.0, 0.75  # inches
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"  # the same on every machine
PRINTING = 1200.0  # seconds for one print, which takes half a minute
ATTEMPTS = 3
COLUMN = round((WIDTH - 2 * MARGIN) * 96)  # CSS pixels


@dataclass
class Report:
    """What was made, and what a reader would stumble over.

    Attributes:
        path: the PDF.
        pages: how many it has.
        shrunk: for each formula that was wider than the column the page's anchor and its size in
            percent.
        resolution: of each image, how many of its pixels are in an inch.
        faults: markup that is too wide or not typeset, images and anchors that are missing.
    """

    path: Path
    pages: int
    shrunk: list[tuple[str, int]]
    resolution: dict[str, int]
    faults: dict[str, list[str]]

    @property
    def summary(self) -> str:
        faults = [f"{what}: {found}" for what, found in self.faults.items() if found]
        size = self.path.stat().st_size / 2**20
        return "\n".join([f"{self.path}: {self.pages} pages, {size:.0f} MB", *faults])


def make(root: Path, folder: Path) -> Report:
    """Write `images-from-noise.pdf` from the built site.

    Args:
        root: the repository, with the site in `_build/html`.
        folder: where the PDF goes, and below `volume` what it is made of.

    Raises:
        MissingPageError: if the site is not built.
        NoBrowserError: if there is no Chromium.
        StuckBrowserError: if it printed nothing, three times.
    """
    site, stage, target = root / "_build" / "html", folder / "volume", folder / f"{NAME}.pdf"
    say("gathering the pages of the site")
    volume = gather(root, site)
    place_images(volume, site, stage)
    source = stage / "book.html"
    source.write_text(document(volume, site), encoding="utf-8")
    for attempt in range(1, ATTEMPTS + 1):
        try:
            printed, shrunk, resolution, faults = _typeset_and_printed(source)
            break
        except StuckBrowserError as error:
            if attempt == ATTEMPTS:
                raise
            say(f"once more: {error}")
    write_file(target, finished(printed, volume))
    sizes = [(str(anchor), int(percent)) for anchor, percent in shrunk]
    return Report(target, len(printed.pages), sizes, resolution, faults)


def say(what: str) -> None:
    print(f"==> {what}", file=sys.stderr, flush=True)


def _typeset_and_printed(source: Path) -> tuple[pikepdf.Pdf, Any, Any, Any]:
    """The PDF as Chromium makes it, and what `Report` says of formulas, images and faults."""
    with opened(source) as page:
        page.emulate_media(media="print")
        page.set_viewport_size({"width": COLUMN, "height": 1000})
        say("typesetting the formulas")
        shrunk = page.evaluate("typeset()")
        resolution = page.evaluate("sharpen()")
        faults = page.evaluate(f"shown(faults({COLUMN}))")
        say("printing, first to learn the page numbers")
        printed = pikepdf.open(io.BytesIO(_print(page)))
        for _ in range(3):  # numbers of another width could move a line
            numbers = page_numbers(printed)
            page.evaluate("(numbers) => fillNumbers(numbers)", numbers)
            say(f"printing {len(printed.pages)} pages with their numbers")
            printed = pikepdf.open(io.BytesIO(_print(page)))
            if page_numbers(printed) == numbers:
                break
    return printed, shrunk, resolution, faults


def _print(page: playwright.sync_api.Page) -> bytes:
    with answering_within(PRINTING):
        return page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)


def page_numbers(document: pikepdf.Pdf) -> dict[str, int]:
    """On which page, counted from 1, each anchor is that a link leads to."""
    pages: dict[Any, int] = {page.objgen: n for n, page in enumerate(document.pages, start=1)}
    targets = document.Root.get("/Dests", pikepdf.Dictionary())
    return {name.removeprefix("/"): pages[where[0].objgen] for name, where in targets.items()}


def finished(printed: pikepdf.Pdf, volume: Volume) -> bytes:
    """The PDF with what Chromium does not write: author, subject, and how a viewer opens it.

    Its objects are compressed, which makes it a third smaller.
    """
    imprint = volume.imprint
    with printed.open_metadata() as metadata:
        metadata["dc:title"] = imprint.title
        metadata["dc:creator"] = [imprint.author]
        metadata["dc:description"] = imprint.abstract
        metadata["pdf:Keywords"] = ", ".join(imprint.keywords)
    _mend_bookmarks(printed, [line.title for line in volume.outline()])
    printed.Root.PageMode = pikepdf.Name.UseOutlines
    printed.Root.ViewerPreferences = pikepdf.Dictionary(DisplayDocTitle=True)
    data = io.BytesIO()
    printed.save(data, object_stream_mode=pikepdf.ObjectStreamMode.generate)
    return data.getvalue()


def _mend_bookmarks(printed: pikepdf.Pdf, titles: list[str]) -> None:
    """Chromium drops the space where a heading breaks into two lines."""
    whole = {"".join(title.split()): title for title in titles}

    def mend(items: list[pikepdf.OutlineItem]) -> None:
        for item in items:
            item.title = whole.get("".join(item.title.split()), item.title)
            mend(item.children)

    with printed.open_outline() as outline:
        mend(outline.root)


# ---- The document --------------------------------------------------------------------------------


def document(volume: Volume, site: Path) -> str:
    """The whole book as one HTML document."""
    outline = volume.outline()
    sheets = [
        _sheet(line) if line.page else _part_page(line, outline)
        for line in outline
        if line.page or line.anchor.startswith("part-")
    ]
    sheets.insert(1, _contents(outline))  # after what is said about this edition
    heads = "".join(running_head(page) for page in volume.pages)
    style = "".join((HERE / name).read_text("utf-8") for name in ("volume.css", "pdf.css"))
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f"<title>{html.escape(volume.imprint.title)}</title>",
            f"<style>{_fonts()}{pygments(site)}{style}{heads}</style>",
            scripts(volume.imprint.mathjax, site),
            "</head><body>",
            volume.fill("title.html"),
            *sheets,
            "</body></html>",
        ]
    )


def running_head(page: Page) -> str:
    """The style of a chapter's pages, with its title in their heads."""
    title = page.title.replace("\\", "\\\\").replace('"', '\\"')
    name = f"page-{page.entry.slug}"
    return (
        f'@page {name} {{ @top-left {{ content: "{title}" }} '
        "@top-right { content: counter(page) } }\n"
        f".{name} {{ page: {name} }}\n"
    )


def _sheet(line: Line) -> str:
    """A page of the book, its title a heading of the line's level, smaller ones below."""
    assert line.page
    for head in line.page.body.find_all(HEADINGS):
        own = int(head.name[1])
        head["class"] = f"level-{own}"
        head.name = f"h{min(6, own + line.level - 1)}"
    return f'<div class="sheet page-{line.anchor}">{line.page.body}</div>'


def _part_page(part: Line, outline: list[Line]) -> str:
    """The title of a part over the titles of its chapters."""
    rest = outline[outline.index(part) + 1 :]
    inside = list(takewhile(lambda line: line.level > 1, rest))
    chapters = "".join(
        f'<li><a href="#{line.anchor}">{html.escape(line.title)}</a></li>'
        for line in inside
        if line.page
    )
    return (
        f'<div class="part-page"><h1 id="{part.anchor}">{html.escape(part.title)}</h1>'
        f"<ul>{chapters}</ul></div>"
    )


def _contents(outline: list[Line]) -> str:
    """The table of contents, page numbers still to be filled in."""
    lines = [
        f'<li class="{"page" if line.page else "section"} in-{line.level}">'
        f'<a href="#{line.anchor}"><span>{html.escape(line.title)}</span>'
        f'<span class="dots"></span><span data-page-of="{line.anchor}">000</span></a></li>'
        for line in outline
    ]
    return (
        '<div class="sheet contents"><h1 id="contents">Contents</h1>'
        f"<ul>{''.join(lines)}</ul></div>"
    )


def pygments(site: Path) -> str:
    """The colors of code on a light page."""
    lines = (site / "_static" / "pygments.css").read_text("utf-8").splitlines()
    light = 'html[data-theme="light"] '
    return "\n".join(line.removeprefix(light) for line in lines if line.startswith(light))


def _fonts() -> str:
    """The fonts that come with matplotlib, so that every machine sets the same pages."""
    faces = {
        ("Book Serif", "normal", 400): "STIXGeneral",
        ("Book Serif", "italic", 400): "STIXGeneralItalic",
        ("Book Serif", "normal", 700): "STIXGeneralBol",
        ("Book Serif", "italic", 700): "STIXGeneralBolIta",
        ("Book Mono", "normal", 400): "DejaVuSansMono",
        ("Book Mono", "normal", 700): "DejaVuSansMono-Bold",
        ("Book Mono", "italic", 400): "DejaVuSansMono-Oblique",
    }
    return "".join(
        f'@font-face {{ font-family: "{family}"; font-style: {style}; font-weight: {weight}; '
        f'src: url("{(FONTS / f"{name}.ttf").as_uri()}") }}\n'
        for (family, style, weight), name in faces.items()
    )
