"""How a page of the site becomes a part of the PDF and the EPUB, on a small site of two pages."""

from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Tag
from PIL import Image

from book._tools.volume.browser import NoBrowserError, chromium
from book._tools.volume.contents import Entry, Imprint, entries
from book._tools.volume.epub import nav
from book._tools.volume.pages import MissingPageError, Page, read
from book._tools.volume.stage import Line, Volume, strip

ROOT = Path(__file__).resolve().parents[1]
ENTRIES = [Entry("book/vae/elbo", "Autoencoders", 0), Entry("book/vae/vae", "Autoencoders", 0)]
SLUGS = {entry.name: entry.slug for entry in ENTRIES}

ELBO = r"""
<html><head>CANONICAL</head><body><article class="bd-article"><section id="a-bound">
<h1><span class="section-number">4. </span>A bound<a class="headerlink" href="#a-bound">#</a></h1>
<p>See <a class="reference internal" href="vae.html#the-loss">the loss</a>, <a href="vae.html">the
chapter</a>, <a href="#equation-eq">(4.1)</a>, <a href="https://example.org/x">a paper</a> and
<a href="../../_downloads/figures.zip">all figures</a>.</p>
<p>Take the mean (<span class="math">\(\mu\)</span>), the
<span class="math">\(k\)</span>th of them.</p>
<div class="math" id="equation-eq"><span class="eqno">(4.1)</span>\[x\]</div>
<div class="cell"><details class="hide"><summary>Show</summary><pre>draw()</pre></details>
<div class="cell_output"><a class="image-reference" href="../../_images/a.png"><img
alt="A curve" src="../../_images/a.png" style="width: 350px;"/></a></div></div>
<div class="cell"><details class="hide"><summary>Show</summary><pre>check()</pre></details></div>
<svg viewBox="0 0 9 9"><defs><marker id="tip"></marker></defs><path marker-end="url(#tip)"></path>
<a href="vae.html"><text>The autoencoder</text></a></svg>
<section id="exercises"><h2>Exercises</h2>
<div class="exercise admonition" id="elbo-exercise"><p class="admonition-title">Exercise 4.1</p>
<section id="exercise-content"><p>Why?</p></section></div>
<div class="solution dropdown admonition" id="book/vae/elbo-solution-1">
<p class="admonition-title">Solution to<a href="#elbo-exercise"> Exercise 4.1</a></p>
<section id="solution-content"><p>Because.</p></section></div>
<div class="solution dropdown admonition" id="book/vae/elbo-solution-2">
<p class="admonition-title">Solution to<a href="#elbo-exercise"> Exercise 4.1</a></p>
<section id="solution-content"><p>Or not.</p></section></div>
</section></section></article></body></html>
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "book/vae").mkdir(parents=True)
    (tmp_path / "book/vae/elbo.html").write_text(ELBO.replace("CANONICAL", ""), "utf-8")
    return tmp_path


@pytest.fixture
def page(site: Path) -> Page:
    return read(site, ENTRIES[0], SLUGS)


def links(page: Page) -> dict[str, str]:
    return {a.get_text(" ", strip=True): str(a["href"]) for a in page.body.find_all("a")}


def test_the_title_has_its_number_and_no_sign_of_a_link(page: Page) -> None:
    assert page.title == "4. A bound"
    assert [title for _, title in page.sections] == ["Exercises"]


def test_links_between_pages_lead_to_anchors_of_the_volume(page: Page) -> None:
    found = links(page)
    assert found["the loss"] == "#vae-vae--the-loss"
    assert found["the chapter".replace(" ", "\n")] == "#vae-vae"
    assert found["(4.1)"] == "#vae-elbo--equation-eq"
    assert page.body.find(id="vae-elbo--equation-eq")
    assert page.body.find("h1")["id"] == "vae-elbo"  # type: ignore[index]


def test_links_out_of_the_book_stay(page: Page) -> None:
    assert links(page)["a paper"] == "https://example.org/x"


def test_a_file_of_the_site_is_linked_where_the_site_lives(site: Path) -> None:
    canonical = '<link rel="canonical" href="https://example.org/b/book/vae/elbo.html">'
    text = ELBO.replace("CANONICAL", canonical)
    (site / "book/vae/elbo.html").write_text(text, "utf-8")
    found = links(read(site, ENTRIES[0], SLUGS))
    assert found["all figures"] == "https://example.org/b/_downloads/figures.zip"


def test_without_an_address_of_the_site_its_files_are_words_only(page: Page) -> None:
    assert "all figures" in page.body.get_text()
    assert "all figures" not in links(page)


def test_anchors_are_unique_and_valid_names(page: Page) -> None:
    content = [page.body, *page.solutions]
    names = [str(tag["id"]) for part in content for tag in part.find_all(id=True)]
    names += [str(part["id"]) for part in content if part.has_attr("id")]
    assert len(names) == len(set(names))
    assert not [name for name in names if "/" in name]


def test_folded_code_is_left_out_and_what_it_drew_is_not(page: Page) -> None:
    assert "draw()" not in page.body.get_text()
    assert "check()" not in page.body.get_text()
    assert len(page.body.select("div.cell")) == 1, "a cell with nothing left in it is taken away"
    image = page.body.find("img")
    assert isinstance(image, Tag)
    assert image["src"] == "_images/a.png"
    assert image["style"] == "width: 50%"
    assert not image.find_parent("a")


def test_punctuation_stays_beside_its_formula(page: Page) -> None:
    bound = [tag.get_text() for tag in page.body.select("span.bound")]
    assert bound == [r"(\(\mu\)),", r"\(k\)th"]
    assert r"the mean (\(\mu\)), the \(k\)th of them." in " ".join(page.body.get_text().split())


def test_the_parts_of_a_drawing_find_each_other(page: Page) -> None:
    marker, path = page.body.find("marker"), page.body.find("path")
    assert isinstance(marker, Tag)
    assert isinstance(path, Tag)
    assert path["marker-end"] == f"url(#{marker['id']})"


def test_a_solution_leaves_its_exercise_and_each_leads_to_the_other(page: Page) -> None:
    assert "Because" not in page.body.get_text()
    assert [s.get_text().split()[-1] for s in page.solutions] == ["Because.", "not."]
    exercise = page.body.select_one("div.exercise")
    assert isinstance(exercise, Tag)
    forth = [str(a["href"])[1:] for a in exercise.select(".to-solution a")]
    assert forth == [str(solution["id"]) for solution in page.solutions]
    back = [str(a["href"])[1:] for s in page.solutions for a in s.select(".admonition-title a")]
    assert back == [exercise["id"]] * 2


def test_a_page_that_is_not_built_is_said(site: Path) -> None:
    with pytest.raises(MissingPageError, match=r"vae\.html, as _toc.yml says.*run 'make book'"):
        read(site, ENTRIES[1], SLUGS)


# ---- The whole -----------------------------------------------------------------------------------


def a_page(name: str, part: str, title: str, depth: int = 0) -> Page:
    body = BeautifulSoup(f"<section><h1>{title}</h1></section>", "html.parser").section
    assert body
    return Page(Entry(name, part, depth), title, body)


def test_the_outline_of_parts_chapters_and_pages_below_them() -> None:
    pages = [
        a_page("book/index", "", "The book"),
        a_page("book/start/data", "Start", "1. Data"),
        a_page("book/vae/index", "Autoencoders", "Autoencoders"),
        a_page("book/vae/elbo", "Autoencoders", "2. A bound"),
        a_page("book/vae/more", "Autoencoders", "More of it", depth=1),
        a_page("solutions", "", "Solutions"),
    ]
    outline = Volume(Imprint(ROOT), pages).outline()
    assert [(line.level, line.title) for line in outline] == [
        (1, "The book"),
        (1, "Start"),
        (2, "1. Data"),
        (1, "Autoencoders"),  # its opening page, which has the part's name
        (2, "2. A bound"),
        (3, "More of it"),
        (1, "Solutions"),
    ]
    assert [line.title for line in outline if not line.page] == ["Start"]


def test_the_contents_of_an_epub_are_nested_lists() -> None:
    outline = [Line(1, "a", "A"), Line(2, "b", "B & C"), Line(3, "b--1", "D"), Line(1, "e", "E")]
    found = nav(outline, {"a": "a.xhtml", "b": "b.xhtml", "b--1": "b.xhtml", "e": "e.xhtml"})
    assert found.partition("</h1>")[2] == (
        '<ol><li><a href="a.xhtml#a">A</a><ol><li><a href="b.xhtml#b">B &amp; C</a>'
        '<ol><li><a href="b.xhtml#b--1">D</a></li></ol></li></ol></li>'
        '<li><a href="e.xhtml#e">E</a></li></ol></nav>'
    )


def test_the_pages_are_those_of_the_table_of_contents() -> None:
    found = entries(ROOT)
    names = [entry.name for entry in found]
    assert len(names) == len(set(names))
    assert names[0] == "book/index"
    assert not [name for name in names if not list(ROOT.glob(f"{name}.*"))]
    parts = {entry.name: entry.part for entry in found}
    assert parts["book/vae/index"] == parts["book/vae/elbo"] != ""


@pytest.mark.parametrize(("height", "frames"), [(30, [0, 2, 5]), (60, [0, 5])])
def test_a_moving_picture_becomes_a_strip(tmp_path: Path, height: int, frames: list[int]) -> None:
    colors = [(40 * number, 0, 0) for number in range(6)]
    moving = [Image.new("RGB", (100, height), color) for color in colors]
    moving[0].save(tmp_path / "a.png", save_all=True, append_images=moving[1:])
    with Image.open(tmp_path / "a.png") as image:
        sheet = strip(image, gap=5)
    middles = [height // 2 + row * (height + 5) for row in range(len(frames))]
    assert sheet.size == (100, len(frames) * (height + 5) - 5)
    assert [sheet.getpixel((50, y)) for y in middles] == [colors[frame] for frame in frames]


def test_a_missing_browser_is_said_and_the_remedy_works(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CHROMIUM", raising=False)
    with pytest.raises(NoBrowserError, match="expected one of chromium.*got none; install it"):
        chromium()
    own = tmp_path / "mine.exe"  # Windows finds programs by their extension
    monkeypatch.setenv("CHROMIUM", str(own))
    with pytest.raises(NoBrowserError, match=r"got .*mine\.exe; install it"):
        chromium()
    own.touch()
    own.chmod(0o755)
    assert chromium() == str(own)
