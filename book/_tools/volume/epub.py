"""The volume as an EPUB 3: a file for each page, formulas as MathML, written by MathJax."""

from __future__ import annotations

import html
import io
import re
import uuid
import zipfile
from dataclasses import dataclass
from pathlib import Path

from book._tools.volume.browser import opened, scripts
from book._tools.volume.pdf import FONTS, pygments, say
from book._tools.volume.stage import HERE, NAME, Line, Volume, gather, place_images
from companion.files import write_file

TYPES = {
    ".css": "text/css",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".ttf": "font/ttf",
    ".xhtml": "application/xhtml+xml",
}

CONTAINER = """<?xml version="1.0" encoding="UTF-8"?>
<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles>
<rootfile full-path="EPUB/book.opf" media-type="application/oebps-package+xml"/>
</rootfiles>
</container>
"""

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"
 lang="en" xml:lang="en">
<head><title>{title}</title><link rel="stylesheet" type="text/css" href="book.css"/></head>
<body>
{body}
</body>
</html>
"""


@dataclass
class Report:
    """What was made: the EPUB, and how many documents and formulas it holds."""

    path: Path
    documents: int
    formulas: int

    @property
    def summary(self) -> str:
        size = self.path.stat().st_size / 2**20
        counts = f"{self.documents} documents, {self.formulas} formulas"
        return f"{self.path}: {counts}, {size:.0f} MB"


def make(root: Path, folder: Path) -> Report:
    """Write `images-from-noise.epub` from the built site.

    Args:
        root: the repository, with the site in `_build/html`.
        folder: where the EPUB goes, and below `volume` what it is made of.

    Raises:
        MissingPageError: if the site is not built.
        NoBrowserError: if there is no Chromium.
    """
    site, stage, target = root / "_build" / "html", folder / "volume", folder / f"{NAME}.epub"
    say("gathering the pages of the site")
    volume = gather(root, site)
    place_images(volume, site, stage)
    outline = volume.outline()
    source = stage / "epub.html"
    source.write_text(document(volume, outline, site), encoding="utf-8")
    with opened(source) as page:
        say("writing the formulas as MathML")
        markup: dict[str, str] = page.evaluate('toXHTML(".file")')
        page.set_viewport_size({"width": 800, "height": 1200})
        page.evaluate(
            "document.querySelectorAll('.file:not(#file-title)').forEach(e => e.remove())"
        )
        cover = page.screenshot(scale="css")
    files = {f"{name.removeprefix('file-')}.xhtml": text for name, text in markup.items()}
    say("packing")
    images = sorted((stage / "images").iterdir())
    write_file(target, pack(volume, outline, files, images, cover, style(site)))
    return Report(target, len(files), sum(text.count("<math") for text in files.values()))


def style(site: Path) -> str:
    names = ("volume.css", "epub.css")
    return pygments(site) + "".join((HERE / name).read_text("utf-8") for name in names)


# ---- The documents -------------------------------------------------------------------------------


def document(volume: Volume, outline: list[Line], site: Path) -> str:
    """All documents of the EPUB as one, for Chromium to write MathML and XHTML."""
    bodies = {"title": volume.fill("title.html")}
    for line in outline:
        if line.page:
            bodies[line.anchor] = str(line.page.body)
        elif line.anchor.startswith("part-"):
            title = html.escape(line.title)
            bodies[line.anchor] = f'<section><h1 id="{line.anchor}">{title}</h1></section>'
    files = "".join(f'<div class="file" id="file-{name}">{b}</div>' for name, b in bodies.items())
    head = f"<style>{style(site)}</style>{scripts(volume.imprint.mathjax, site)}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}</head>'
        f"<body>{files}</body></html>"
    )


def _places(files: dict[str, str]) -> dict[str, str]:
    """For each anchor the name of the file where it stands."""
    return {
        anchor: name
        for name, text in files.items()
        for anchor in re.findall(r' id="([^"]+)"', text)
    }


def _link(files: dict[str, str], places: dict[str, str]) -> dict[str, str]:
    """The documents, each link `#anchor` with the name of the file where the anchor stands."""

    def to_file(match: re.Match[str]) -> str:
        return f'href="{places[match[1]]}#{match[1]}"'

    return {name: re.sub(r'href="#([^"]+)"', to_file, text) for name, text in files.items()}


def _document(title: str, body: str) -> str:
    return DOCUMENT.format(title=html.escape(title), body=body)


def nav(outline: list[Line], places: dict[str, str]) -> str:
    """The table of contents as nested lists."""
    items, level = [], 0
    for line in outline:
        deeper = line.level - level
        items.append("<ol>" * deeper if deeper > 0 else "</li>" + "</ol></li>" * -deeper)
        address = f"{places[line.anchor]}#{line.anchor}"
        items.append(f'<li><a href="{address}">{html.escape(line.title)}</a>')
        level = line.level
    items.append("</li></ol>" * level)
    return f'<nav epub:type="toc" id="toc"><h1>Contents</h1>{"".join(items)}</nav>'


# ---- The package ---------------------------------------------------------------------------------


def pack(
    volume: Volume,
    outline: list[Line],
    files: dict[str, str],
    images: list[Path],
    cover: bytes,
    css: str,
) -> bytes:
    """The bytes of the EPUB."""
    titles = {f"{line.anchor}.xhtml": line.title for line in outline}
    imprint = volume.imprint
    contents: dict[str, bytes] = {"book.css": css.encode(), "images/cover.png": cover}
    contents["fonts/STIXGeneral.ttf"] = (FONTS / "STIXGeneral.ttf").read_bytes()
    contents |= {f"images/{path.name}": path.read_bytes() for path in images}
    places = _places(files)
    for name, body in _link(files, places).items():
        contents[name] = _document(titles.get(name, imprint.title), body).encode()
    contents["nav.xhtml"] = _document("Contents", nav(outline, places)).encode()
    spine = list(files)
    spine.insert(2, "nav.xhtml")  # after the title and what is said about this edition
    day = tuple(map(int, imprint.released.split("-")))
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:

        def add(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> None:
            # The day of the release as every file's time: the same book gives the same bytes.
            info = zipfile.ZipInfo(name, (*day, 0, 0, 0))  # type: ignore[arg-type]
            archive.writestr(info, content, method)

        add("mimetype", b"application/epub+zip", zipfile.ZIP_STORED)  # first, and not compressed
        add("META-INF/container.xml", CONTAINER.encode())
        add("EPUB/book.opf", opf(volume, contents, spine).encode())
        for name, content in contents.items():
            add(f"EPUB/{name}", content)
    return data.getvalue()


def opf(volume: Volume, contents: dict[str, bytes], spine: list[str]) -> str:
    """The package document: what the book is, which files it has, and in which order."""
    imprint = volume.imprint
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{imprint.repository}#{imprint.version}")
    said = {
        "dc:title": f"{imprint.title}: {imprint.subtitle[:1].lower()}{imprint.subtitle[1:]}",
        "dc:creator": imprint.author,
        "dc:language": "en",
        "dc:date": imprint.released,
        "dc:description": imprint.abstract,
        "dc:source": imprint.repository,
        "dc:rights": f"© {imprint.year} {imprint.author}. Text and figures CC BY 4.0, code MIT.",
    }
    lines = [f"<{tag}>{html.escape(value)}</{tag}>" for tag, value in said.items()]
    lines += [f"<dc:subject>{html.escape(word)}</dc:subject>" for word in imprint.keywords]
    access = [("accessMode", "textual"), ("accessMode", "visual"), ("accessibilityHazard", "none")]
    access += [("accessModeSufficient", "textual")]
    for feature in ("alternativeText", "MathML", "structuralNavigation", "tableOfContents"):
        access.append(("accessibilityFeature", feature))
    summary = "Formulas are MathML with their TeX as alternative text; every figure is described."
    access.append(("accessibilitySummary", summary))
    lines += [f'<meta property="schema:{name}">{value}</meta>' for name, value in access]
    manifest = [_item(file, content) for file, content in contents.items()]
    order = [f'<itemref idref="{_id(file)}"/>' for file in spine]
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id"'
            ' xml:lang="en">',
            '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">',
            f'<dc:identifier id="id">urn:uuid:{name}</dc:identifier>',
            f'<meta property="dcterms:modified">{imprint.released}T00:00:00Z</meta>',
            *lines,
            "</metadata><manifest>",
            *manifest,
            "</manifest><spine>",
            *order,
            "</spine></package>\n",
        ]
    )


def _id(name: str) -> str:
    return "f-" + re.sub(r"[^A-Za-z0-9.-]", "-", name)


def _item(name: str, content: bytes) -> str:
    """A line of the manifest, with what a reading system must know of the file."""
    marks = {"nav": name == "nav.xhtml", "cover-image": name == "images/cover.png"}
    if name.endswith(".xhtml"):
        marks |= {"mathml": b"<math" in content, "svg": b"<svg" in content}
    properties = " ".join(mark for mark, holds in marks.items() if holds)
    extra = f' properties="{properties}"' if properties else ""
    kind = TYPES[Path(name).suffix.lower()]
    return f'<item id="{_id(name)}" href="{name}" media-type="{kind}"{extra}/>'
