"""The volume as a PDF: one HTML document, typeset and printed by Chromium.

Chromium knows no page numbers of what a link leads to. So the document is printed twice: the first
print says on which page each anchor is, the second has these numbers in its table of contents.
"""

from __future__ import annotations

import html
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib
import playwright.sync_api
from bs4 import Tag
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject, BooleanObject

from book._tools.volume.browser import mathjax, opened
from book._tools.volume.pages import HEADINGS, Page, text
from book._tools.volume.stage import TITLE_PAGE, Volume, gather, place_images
from companion.files import write_file

HERE = Path(__file__).resolve().parent
WIDTH, HEIGHT, MARGIN = 7.0, 10.0, 0.75  # inches
COLUMN = round((WIDTH - 2 * MARGIN) * 96)  # CSS pixels

# Typeset all formulas; make those smaller that are wider than the column, and say by how much.
TYPESET = """async () => {
  await MathJax.startup.promise;
  await MathJax.typesetPromise([...document.querySelectorAll(".math")]);
  await document.fonts.ready;
  const shrunk = [];
  for (const box of document.querySelectorAll("mjx-container")) {
    const number = box.parentElement.querySelector(":scope > .eqno");
    const room = box.closest("p, div, li, dd, td, th, figcaption, h1, h2, h3, h4").clientWidth
      - (number && box.hasAttribute("display") ? number.offsetWidth + 12 : 0);
    const wide = box.firstElementChild.getBoundingClientRect().width;
    if (wide > room && room > 0) {
      const scale = Math.floor(100 * room / wide) - 1;
      const size = parseFloat(getComputedStyle(box).fontSize);
      box.style.fontSize = size * scale / 100 + "px";
      shrunk.push([box.closest(".page").querySelector("[id]").id, scale]);
    }
  }
  return shrunk;
}"""

# What a reader would see cut off or not typeset.
FAULTS = """(column) => ({
  wide: [...document.querySelectorAll("body *")]
    .filter((e) => e.getBoundingClientRect().right > column + 1 && !e.closest("svg, mjx-math"))
    .map((e) => e.outerHTML.slice(0, 160)),
  untypeset: [...document.querySelectorAll(".math")].filter((e) => !e.querySelector("mjx-container"))
    .concat([...document.querySelectorAll("mjx-merror")]).map((e) => e.textContent),
  missing: [...document.images].filter((e) => !e.naturalWidth).map((e) => e.src),
  lost: [...document.querySelectorAll('a[href^="#"]')]
    .filter((e) => !document.getElementById(e.getAttribute("href").slice(1))).map((e) => e.outerHTML),
})"""

FILL = """(pages) => document.querySelectorAll("[data-page-of]").forEach((e) => {
  e.textContent = pages[e.dataset.pageOf] || "?";
})"""


@dataclass
class Report:
    """What was made, and what a reader would stumble over.

    Attributes:
        path: the PDF.
        pages: how many it has.
        shrunk: for each formula that was wider than the column the page's anchor and its size in
            percent.
        faults: markup that is too wide or not typeset, images and anchors that are missing.
    """

    path: Path
    pages: int
    shrunk: list[tuple[str, int]]
    faults: dict[str, list[str]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        faults = [f"{what}: {found}" for what, found in self.faults.items() if found]
        size = self.path.stat().st_size / 2**20
        return "\n".join([f"{self.path}: {self.pages} pages, {size:.0f} MB", *faults])


def make(root: Path) -> Report:
    """Write `_build/images-from-noise.pdf` from the built site of a repository.

    Raises:
        MissingPageError: if the site is not built.
        NoBrowserError: if there is no Chromium.
    """
    site, stage = root / "_build" / "html", root / "_build" / "volume"
    target = root / "_build" / "images-from-noise.pdf"
    say("gathering the pages of the site")
    volume = gather(root, site)
    place_images(volume, site, stage)
    source = stage / "book.html"
    source.write_text(document(volume, site), encoding="utf-8")
    with opened(source) as page:
        page.emulate_media(media="print")
        page.set_viewport_size({"width": COLUMN, "height": 1000})
        say("typesetting the formulas")
        shrunk = page.evaluate(TYPESET)
        faults = page.evaluate(FAULTS, COLUMN)
        say("printing, first to learn the page numbers")
        printed = PdfReader(io.BytesIO(_print(page)))
        for _ in range(3):  # numbers of another width could move a line
            numbers = page_numbers(printed)
            page.evaluate(FILL, numbers)
            say(f"printing {len(printed.pages)} pages with their numbers")
            printed = PdfReader(io.BytesIO(_print(page)))
            if page_numbers(printed) == numbers:
                break
    write_file(target, finished(printed, volume))
    return Report(target, len(printed.pages), [tuple(entry) for entry in shrunk], faults)


def say(what: str) -> None:
    print(f"==> {what}", file=sys.stderr, flush=True)


def _print(page: playwright.sync_api.Page) -> bytes:
    return page.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)


def page_numbers(reader: PdfReader) -> dict[str, int]:
    """On which page, counted from 1, each anchor is that a link leads to."""
    numbers = {}
    for name, destination in reader.named_destinations.items():
        number = reader.get_destination_page_number(destination)
        if number is not None:
            numbers[str(name).removeprefix("/")] = number + 1
    return numbers


def finished(printed: PdfReader, volume: Volume) -> bytes:
    """The PDF with what Chromium does not write: author, subject, and how a viewer opens it."""
    imprint = volume.imprint
    writer = PdfWriter(clone_from=printed)
    writer.add_metadata(
        {
            "/Title": imprint.title,
            "/Author": imprint.author,
            "/Subject": imprint.abstract,
            "/Keywords": ", ".join(imprint.keywords),
        }
    )
    writer.page_mode = "/UseOutlines"
    writer.root_object[NameObject("/ViewerPreferences")] = DictionaryObject(
        {NameObject("/DisplayDocTitle"): BooleanObject(True)}
    )
    writer.compress_identical_objects()
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()


# ---- The document --------------------------------------------------------------------------------


def document(volume: Volume, site: Path) -> str:
    """The whole book as one HTML document."""
    about = _sheet(volume.about, 1)
    parts, heads = [], [running_head(volume.about)]
    for number, (caption, pages) in enumerate(volume.parts()):
        if caption and len(pages) > 1:
            parts.append(_part_page(number, caption, pages))
        for page in pages:
            alone = not caption or len(pages) == 1
            parts.append(_sheet(page, 1 if alone else 2 + page.entry.depth))
            heads.append(running_head(page))
    style = (HERE / "volume.css").read_text("utf-8") + (HERE / "pdf.css").read_text("utf-8")
    script = (site / "_static" / "mathjax" / "tex-chtml.js").as_uri()
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            f"<title>{html.escape(volume.imprint.title)}</title>",
            f"<style>{_fonts()}{_pygments(site)}{style}{''.join(heads)}</style>",
            mathjax(volume.imprint.mathjax, script),
            "</head><body>",
            volume.fill(TITLE_PAGE),
            about,
            _contents(volume),
            *parts,
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


def _sheet(page: Page, level: int) -> str:
    """A page of the book, its title a heading of the given level, smaller ones below."""
    for head in page.body.find_all(HEADINGS):
        own = int(head.name[1])
        head["class"] = f"level-{own}"
        head.name = f"h{min(6, own + level - 1)}"
    return f'<div class="sheet page-{page.entry.slug}">{page.body}</div>'


def _part_page(number: int, caption: str, pages: list[Page]) -> str:
    chapters = "".join(
        f'<li><a href="#{page.entry.slug}">{html.escape(page.title)}</a></li>' for page in pages
    )
    return (
        f'<div class="part-page"><p class="part-number">Part {number}</p>'
        f'<h1 id="part-{number}">{html.escape(caption)}</h1><ul>{chapters}</ul></div>'
    )


def _contents(volume: Volume) -> str:
    """The table of contents, page numbers still to be filled in."""
    lines = []

    def line(kind: str, anchor: str, title: str) -> None:
        lines.append(
            f'<li class="{kind}"><a href="#{anchor}"><span>{html.escape(title)}</span>'
            f'<span class="dots"></span><span data-page-of="{anchor}">000</span></a></li>'
        )

    for number, (caption, pages) in enumerate(volume.parts()):
        if caption and len(pages) > 1:
            line("part", f"part-{number}", caption)
        for page in pages:
            alone = not caption or len(pages) == 1
            line("part" if alone else "chapter", page.entry.slug, page.title)
            for anchor, title in page.sections:
                line("section", anchor, title)
    return f'<div class="sheet contents"><h1 id="contents">Contents</h1><ul>{"".join(lines)}</ul></div>'


def _pygments(site: Path) -> str:
    """The colors of code on a light page."""
    lines = (site / "_static" / "pygments.css").read_text("utf-8").splitlines()
    light = 'html[data-theme="light"] '
    return "\n".join(line.removeprefix(light) for line in lines if line.startswith(light))


def _fonts() -> str:
    """The fonts that come with matplotlib, so that every machine sets the same pages."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
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
        f'src: url("{(folder / f"{name}.ttf").as_uri()}") }}\n'
        for (family, style, weight), name in faces.items()
    )
