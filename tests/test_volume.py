"""The whole book as PDF and as EPUB, made from the built site.

Chromium makes both; without one these tests are skipped, unless ``BROWSER_REQUIRED`` is set.
"""

import os
import posixpath
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pikepdf
import pytest
from bs4 import BeautifulSoup

from book._tools.volume import epub, pdf
from book._tools.volume.browser import (
    NoBrowserError,
    StuckBrowserError,
    answering_within,
    chromium,
    opened,
)
from book._tools.volume.contents import entries

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
XHTML = "{http://www.w3.org/1999/xhtml}"
MATHML = "{http://www.w3.org/1998/Math/MathML}"
OPF = "{http://www.idpf.org/2007/opf}"
LAST = "Solutions"  # what stands behind the pages of the site
NCNAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def _possible() -> None:
    if not (SITE / "index.html").exists():
        pytest.fail(f"the site is not built: expected {SITE}/index.html; run 'make book'")
    try:
        chromium()
    except NoBrowserError as error:
        if os.environ.get("BROWSER_REQUIRED"):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def titles() -> list[str]:
    """The title of every page of the book, as the site has it."""
    found = []
    for entry in entries(ROOT):
        soup = BeautifulSoup((SITE / f"{entry.name}.html").read_text("utf-8"), "html.parser")
        title = soup.select_one("article h1")
        assert title
        for sign in title.select(".headerlink"):
            sign.decompose()
        found.append(" ".join(title.get_text().split()))
    return found


# ---- PDF -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> pdf.Report:
    return pdf.make(ROOT, tmp_path_factory.mktemp("pdf"))


def test_a_browser_that_gives_no_answer_is_ended(tmp_path: Path) -> None:
    source = tmp_path / "page.html"
    source.write_text("<p>text</p>", "utf-8")
    with pytest.raises(StuckBrowserError, match="no answer within 1 seconds"):
        with opened(source) as page, answering_within(1):
            page.evaluate("new Promise(() => {})")


@pytest.fixture(scope="module")
def document(printed: pdf.Report) -> Iterator[pikepdf.Pdf]:
    with pikepdf.open(printed.path) as document:
        yield document


@pytest.mark.parametrize(
    "what", ["wider than the page", "not typeset", "missing images", "lost links"]
)
def test_nothing_is_cut_off_raw_or_missing(printed: pdf.Report, what: str) -> None:
    assert not printed.faults[what]


def test_a_formula_is_at_most_a_third_smaller_than_the_text(printed: pdf.Report) -> None:
    assert not [(page, percent) for page, percent in printed.shrunk if percent < 67]


def test_figures_are_sharp(printed: pdf.Report) -> None:
    assert printed.resolution, "no figures at all"
    assert not {name: dpi for name, dpi in printed.resolution.items() if dpi < 149}


def test_every_page_of_the_book_begins_where_the_outline_says(
    document: pikepdf.Pdf, titles: list[str]
) -> None:
    pages = {page.objgen: number for number, page in enumerate(document.pages)}
    found: list[tuple[str, int]] = []

    def walk(items: list[pikepdf.OutlineItem]) -> None:
        for item in items:
            assert isinstance(item.destination, pikepdf.Array)
            found.append((str(item.title), pages[item.destination[0].objgen]))
            walk(item.children)

    with document.open_outline() as outline:
        walk(outline.root)
    rest = iter(found)  # a section may be called as a later page is, so in reading order
    starts = [next((n for name, n in rest if name == title), title) for title in [*titles, LAST]]
    assert not [start for start in starts if isinstance(start, str)], "not in the outline"
    assert starts == sorted(set(starts)), "in reading order, each on a page of its own"
    assert len(document.pages) > 5 * len(titles)


def test_every_link_within_the_pdf_has_its_target(document: pikepdf.Pdf) -> None:
    targets = set(document.Root.Dests.keys())
    inside, outside = [], []
    for page in document.pages:
        for note in page.get("/Annots", []):
            if "/Dest" in note:
                inside.append(str(note.Dest))
            elif "/A" in note and "/URI" in note.A:
                outside.append(str(note.A.URI))
    assert len(inside) > 1000
    assert not [name for name in inside if "/" + name.removeprefix("/") not in targets]
    assert outside
    assert not [address for address in outside if not address.startswith("https://")]


def test_all_fonts_are_in_the_pdf(document: pikepdf.Pdf) -> None:
    fonts = [font for page in document.pages for font in page.resources.get("/Font", {}).values()]
    assert fonts
    for font in {font.objgen: font for font in fonts}.values():
        if font.Subtype == "/Type3":  # its letters are drawings within the file
            continue
        whole = font.DescendantFonts[0] if "/DescendantFonts" in font else font
        assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(whole.FontDescriptor.keys())


def test_the_pdf_says_what_it_is(document: pikepdf.Pdf) -> None:
    with document.open_metadata() as metadata:
        assert metadata["dc:title"] == "Images from Noise"
        assert metadata["dc:creator"] == ["Images from Noise authors"]
    assert document.Root.Lang == "en"
    assert document.Root.MarkInfo.Marked, "tagged, for screen readers"


# ---- EPUB ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> epub.Report:
    return epub.make(ROOT, tmp_path_factory.mktemp("epub"))


@pytest.fixture(scope="module")
def archive(packed: epub.Report) -> Iterator[zipfile.ZipFile]:
    with zipfile.ZipFile(packed.path) as archive:
        yield archive


@pytest.fixture(scope="module")
def trees(archive: zipfile.ZipFile) -> dict[str, ElementTree.Element]:
    """Each document, as a strict reader of XML has it."""
    names = [name for name in archive.namelist() if name.endswith(".xhtml")]
    return {name: ElementTree.fromstring(archive.read(name)) for name in names}


@pytest.fixture(scope="module")
def package(archive: zipfile.ZipFile) -> ElementTree.Element:
    return ElementTree.fromstring(archive.read("EPUB/book.opf"))


def test_the_kind_of_file_comes_first_and_uncompressed(archive: zipfile.ZipFile) -> None:
    first = archive.infolist()[0]
    assert first.filename == "mimetype"
    assert first.compress_type == zipfile.ZIP_STORED
    assert not first.extra
    assert archive.read(first) == b"application/epub+zip"
    container = ElementTree.fromstring(archive.read("META-INF/container.xml"))
    assert [file.get("full-path") for file in container.iter() if file.get("full-path")] == [
        "EPUB/book.opf"
    ]


def test_the_manifest_lists_what_is_there(
    archive: zipfile.ZipFile, package: ElementTree.Element
) -> None:
    listed = [f"EPUB/{item.get('href')}" for item in package.iter(f"{OPF}item")]
    there = [n for n in archive.namelist() if n not in ("mimetype", "META-INF/container.xml")]
    assert sorted([*listed, "EPUB/book.opf"]) == sorted(there)
    marks = [str(item.get("properties")) for item in package.iter(f"{OPF}item")]
    assert marks.count("nav") == marks.count("cover-image") == 1


def test_every_document_is_in_reading_order(
    package: ElementTree.Element, trees: dict[str, ElementTree.Element]
) -> None:
    hrefs = {item.get("id"): item.get("href") for item in package.iter(f"{OPF}item")}
    spine = [f"EPUB/{hrefs[ref.get('idref')]}" for ref in package.iter(f"{OPF}itemref")]
    assert sorted(spine) == sorted(trees)
    book = [f"EPUB/{entry.slug}.xhtml" for entry in entries(ROOT)]
    assert [name for name in spine if name in book] == book


def test_the_contents_name_every_page(
    trees: dict[str, ElementTree.Element], titles: list[str]
) -> None:
    links = trees["EPUB/nav.xhtml"].iter(f"{XHTML}a")
    named = ["".join(link.itertext()) for link in links]
    assert not [title for title in titles if title not in named]


def test_links_and_images_of_the_epub_are_there(
    archive: zipfile.ZipFile, trees: dict[str, ElementTree.Element]
) -> None:
    anchors = {
        name: [e.get("id") for e in tree.iter() if e.get("id")] for name, tree in trees.items()
    }
    for name, found in anchors.items():
        assert len(found) == len(set(found)), name
        assert not [anchor for anchor in found if not NCNAME.fullmatch(str(anchor))]
    files, lost, images = set(archive.namelist()), [], 0
    for name, tree in trees.items():
        for element in tree.iter():
            address = element.get("href") or element.get("src") or ""
            if not address or address.startswith(("https://", "http://")):
                continue
            path, _, anchor = address.partition("#")
            target = posixpath.normpath(posixpath.join("EPUB", path)) if path else name
            images += element.tag == f"{XHTML}img"
            if target not in files or (anchor and anchor not in anchors[target]):
                lost.append(f"{name} -> {address}")
    assert images > 100
    assert not lost


def test_every_formula_is_mathematics(
    packed: epub.Report, trees: dict[str, ElementTree.Element]
) -> None:
    formulas = [math for tree in trees.values() for math in tree.iter(f"{MATHML}math")]
    assert len(formulas) == packed.formulas > 2000
    for math in formulas:
        assert math.get("alttext")
        assert "".join(math.itertext()).strip()
        for part in math.iter():
            assert part.tag != f"{MATHML}merror", math.get("alttext")
            assert not [name for name in part.attrib if name.startswith("data-")]
            # What follows \begin{aligned} in brackets is taken for this, and does not show.
            assert part.get("align", "top") in ("top", "bottom", "center", "baseline", "axis")
    for name, tree in trees.items():
        text = " ".join(
            part
            for element in tree.iter()
            if element.tag not in (f"{XHTML}pre", f"{XHTML}code", f"{XHTML}span")
            for part in (element.text or "", element.tail or "")
        )
        assert not re.search(r"\\\(|\\\[|\$\$|\\begin\{", text), name
