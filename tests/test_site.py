"""The built site, as a reader's browser meets it: every page, over http and from the file system.

`make book` builds it into ``_build/html``. One Chromium visits each page once and notes what it
finds; each test then asks one question of these notes. Without a browser the tests that need one
are skipped, unless ``BROWSER_REQUIRED`` is set, as ``.ci/run`` does.
"""

import functools
import http.server
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup, Tag
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from pybtex.database import parse_string

from book._ext.page_head import citation, descriptions
from book._ext.reading import minutes
from book._ext.reading_marks import spoken
from book._tools.plain import TAG, WITH, WITHOUT

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
ADDRESS = "https://images-from-noise.github.io/images-from-noise/"
GITHUB = "github/images-from-noise/images-from-noise"
CHAPTERS = [
    "start/quickstart",
    "start/data",
    "start/distances",
    "start/make_it_yours",
    *(f"vae/{name}" for name in ("elbo", "vae", "beta_vae", "iwae", "vq_vae")),
    *(f"gan/{name}" for name in ("minimax", "dcgan", "stability", "infogan", "evaluation")),
    *(f"rnn/{name}" for name in ("recurrence", "gates", "rows", "pixels", "video", "draw")),
    "rnn/side_by_side",
]
API = [f"api/{path.stem}" for path in sorted((ROOT / "book/reference/api").glob("*.md"))]
PATIENCE = 0  # no limit: a busy machine is no fault of the site
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# The first test waits for the visits to all pages.
pytestmark = pytest.mark.slow

# What the theme brings along and the book cannot mend without forking it.
THEME_RULES = {
    "aria-required-children": "the bibliography's list is written by docutils, links included",
}

# Nothing is fetched a second time (preload), and only faults are written up.
AXE_OPTIONS = {"preload": False, "resultTypes": ["violations"]}

# Everything that one visit wants to know about the page itself.
LOOK = r"""
async () => {
  if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
  const article = document.querySelector("article") || document.body;
  const prose = article.cloneNode(true);
  prose.querySelectorAll("pre, code, script, style, mjx-container").forEach((e) => e.remove());
  const math = [...document.querySelectorAll(".math.notranslate")];
  return {
    title: document.title,
    formulas: math.length,
    untypeset: math.filter((e) => !e.querySelector("mjx-container")).map((e) => e.textContent),
    errors: [...document.querySelectorAll("mjx-merror, .MathJax_Error")].map((e) => e.textContent),
    raw: (prose.textContent.match(/\$\$|\\\(|\\\[|\\begin\{/g) || []),
    images: [...document.querySelectorAll("img")].map((e) => [e.getAttribute("src"), e.alt]),
  };
}
"""


# The spacing of text that a reader may set (WCAG 1.4.12), which stands for wide fonts, too.
SPACED = """
() => {
  const style = document.createElement("style");
  style.textContent = `body *:not(mjx-container, mjx-container *) {
    letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }`;
  document.head.append(style);
}
"""

# By how much a page is too wide, and the first elements that are.
WIDTH = """
() => {
  const overflow = document.documentElement.scrollWidth - window.innerWidth;
  const wide = [...document.querySelectorAll("article *")]
    .filter((e) => e.getBoundingClientRect().right > window.innerWidth)
    .slice(0, 3).map((e) => e.outerHTML.slice(0, 120));
  return overflow > 0 ? [`${overflow} px`, ...wide] : [];
}
"""


@dataclass
class Visit:
    """What the browser met on one page."""

    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    look: dict[str, Any] = field(default_factory=dict)
    too_wide: list[str] = field(default_factory=list)
    too_wide_when_spaced: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


def html_pages() -> list[str]:
    """Every page of the site; ``index.html`` only leads to the landing page."""
    pages = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    return [page for page in pages if not page.startswith("_") and page != "index.html"]


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    if not (SITE / "index.html").exists():
        pytest.fail(f"the site is not built: expected {SITE}/index.html; run 'make book'")


@pytest.fixture(scope="module")
def pages() -> list[str]:
    return html_pages()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = (
        os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    )
    found = found or shutil.which("google-chrome")
    if not found:
        reason = "no browser: put chromium on the PATH, or its path into $CHROMIUM"
        if os.environ.get("BROWSER_REQUIRED"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        with playwright.chromium.launch(executable_path=found, args=CHROMIUM_FLAGS) as chromium:
            yield chromium


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The site over http, at a free port."""
    handler = functools.partial(QuietHandler, directory=str(SITE))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def watch(page: Page, base: str) -> Visit:
    """Note what ``page`` says and asks for from now on; nothing outside ``base`` is let through."""
    visit = Visit()
    page.set_default_timeout(PATIENCE)

    def guard(route: Any) -> None:
        url = route.request.url
        if url.startswith((base, "data:", "blob:")):
            route.continue_()
        else:
            visit.foreign.append(url)
            route.abort()

    page.route("**/*", guard)
    page.on("console", lambda m: visit.console.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: visit.console.append(str(error)))
    page.on("requestfailed", lambda request: visit.failed.append(request.url))
    page.on("response", lambda r: visit.failed.append(r.url) if r.status >= 400 else None)
    return visit


@pytest.fixture(scope="module")
def visits(browser: Browser, address: str, pages: list[str]) -> dict[str, Visit]:
    """Each page once over http: on a desktop, examined by axe-core, then on a phone."""
    axe, visits = Axe(), {}
    for name in pages:
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        visit = visits[name] = watch(page, address)
        page.goto(address + name, wait_until="load")
        visit.look = page.evaluate(LOOK)
        for violation in axe.run(page, options=AXE_OPTIONS).response["violations"]:
            if violation["impact"] in ("serious", "critical"):
                targets = "; ".join(str(node["target"]) for node in violation["nodes"][:3])
                visit.violations.append(f"{violation['id']}: {violation['help']} ({targets})")
        page.set_viewport_size({"width": 390, "height": 844})
        visit.too_wide = page.evaluate(WIDTH)
        page.evaluate(SPACED)
        visit.too_wide_when_spaced = page.evaluate(WIDTH)
        page.close()
    return visits


@pytest.fixture(scope="module")
def file_visits(browser: Browser, pages: list[str]) -> dict[str, Visit]:
    """Each page once from the file system."""
    visits = {}
    base = SITE.as_uri() + "/"
    for name in pages:
        page = browser.new_page()
        visits[name] = watch(page, base)
        page.goto(base + name, wait_until="load")
        visits[name].look = page.evaluate(LOOK)
        page.close()
    return visits


def faults(visits: dict[str, Visit], what: str) -> dict[str, Any]:
    """The pages where the list ``what`` of the visit is not empty."""
    return {name: getattr(v, what) for name, v in visits.items() if getattr(v, what)}


def is_hash(alt: str) -> bool:
    """True for what Sphinx puts where nobody wrote alternative text: a path or a checksum."""
    return bool(re.search(r"[0-9a-f]{16,}|\.(png|svg|jpe?g|gif|webp)$", alt))


# ---- Over http -----------------------------------------------------------------------------------


def test_the_chapters_are_there(pages: list[str]) -> None:
    reference = ["notation", "glossary", "api", "model_cards", "times", "bibliography"]
    reference += ["troubleshooting"]
    wanted = {
        f"book/{name}.html" for name in ["index", "vae/index", "gan/index", "rnn/index", *CHAPTERS]
    }
    wanted |= {f"book/reference/{name}.html" for name in ["field_guide", *reference, *API]}
    assert wanted <= set(pages), f"missing: {sorted(wanted - set(pages))}"


def test_nothing_but_the_book_is_published(pages: list[str]) -> None:
    stray = [page for page in pages if not page.startswith("book/")]
    assert set(stray) <= {"search.html", "genindex.html"}
    assert not [page for page in pages if page.startswith(("book/_", "book/index/"))]


def test_no_console_error(visits: dict[str, Visit]) -> None:
    assert not faults(visits, "console")


def test_no_request_to_another_host(visits: dict[str, Visit]) -> None:
    assert not faults(visits, "foreign")


def test_no_failed_request(visits: dict[str, Visit]) -> None:
    assert not faults(visits, "failed")


@pytest.mark.parametrize("what", ["untypeset", "errors", "raw"])
def test_all_mathematics_is_typeset(visits: dict[str, Visit], what: str) -> None:
    assert sum(visit.look["formulas"] for visit in visits.values()) > 100
    assert not {name: visit.look[what] for name, visit in visits.items() if visit.look[what]}


@pytest.mark.parametrize("what", ["too_wide", "too_wide_when_spaced"])
def test_no_horizontal_scrolling_on_a_phone(visits: dict[str, Visit], what: str) -> None:
    assert not faults(visits, what)


def test_axe_finds_nothing_serious(visits: dict[str, Visit]) -> None:
    found = {
        name: [line for line in visit.violations if line.split(":")[0] not in THEME_RULES]
        for name, visit in visits.items()
    }
    assert not {name: lines for name, lines in found.items() if lines}


def test_images_have_alternative_text(visits: dict[str, Visit]) -> None:
    bad = {
        name: [src for src, alt in visit.look["images"] if not alt.strip() or is_hash(alt)]
        for name, visit in visits.items()
    }
    assert not {name: sources for name, sources in bad.items() if sources}


@pytest.mark.parametrize("word", ["autoencoder", "discriminator", "fashion_mnist"])
@pytest.mark.parametrize("place", ["http", "file"])
def test_search_finds(browser: Browser, address: str, place: str, word: str) -> None:
    page = browser.new_page()
    base = address if place == "http" else SITE.as_uri() + "/"
    visit = watch(page, base)
    page.goto(base + "book/reference/notation.html")
    page.keyboard.press("Control+k")
    page.keyboard.type(word)
    page.keyboard.press("Enter")
    page.wait_for_selector("#search-results ul.search li a", timeout=PATIENCE)
    assert page.locator("#search-results ul.search li").count() >= 1
    assert not visit.console
    assert not visit.foreign
    page.close()


@pytest.mark.parametrize("place", ["http", "file"])
def test_the_front_door_leads_to_the_landing_page(
    browser: Browser, address: str, place: str
) -> None:
    page = browser.new_page()
    page.goto((address if place == "http" else SITE.as_uri() + "/") + "index.html")
    page.wait_for_url("**/book/index.html")
    page.close()


@pytest.mark.parametrize(
    "name", ["book/gan/dcgan.html", "book/vae/index.html", "book/reference/notation.html"]
)
def test_dark_mode_has_contrast(browser: Browser, address: str, name: str) -> None:
    context = browser.new_context(color_scheme="dark", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(address + name)
    page.evaluate(LOOK)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    options = AXE_OPTIONS | {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
    violations = Axe().run(page, options=options).response["violations"]
    assert not [node["html"] for violation in violations for node in violation["nodes"]]
    for background in page.evaluate(
        """[...document.querySelectorAll(".cell_output img")]
           .map((e) => getComputedStyle(e).backgroundColor + getComputedStyle(e).filter)"""
    ):
        assert background == "rgb(255, 255, 255)none", "figures keep their white card in the dark"
    context.close()


def test_print_shows_the_page_alone(browser: Browser, address: str) -> None:
    page = browser.new_page()
    page.goto(address + "book/vae/vae.html")
    page.emulate_media(media="print")
    for part in (".bd-sidebar-primary", ".bd-header-article", ".prev-next-footer"):
        assert not page.locator(part).first.is_visible(), f"{part} is printed"
    titles = page.locator("h1")
    assert [i for i in range(titles.count()) if titles.nth(i).is_visible()] == [0]
    page.close()


# ---- From the file system ------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["console", "foreign", "failed"])
def test_pages_open_from_the_file_system(file_visits: dict[str, Visit], what: str) -> None:
    assert not faults(file_visits, what)


def test_mathematics_is_typeset_from_the_file_system(file_visits: dict[str, Visit]) -> None:
    assert not {name: v.look["untypeset"] for name, v in file_visits.items() if v.look["untypeset"]}


# ---- Without a browser ---------------------------------------------------------------------------


@functools.cache
def soup(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


@functools.cache
def anchors(path: Path) -> set[str]:
    named = {str(tag["id"]) for tag in soup(path).find_all(id=True)}
    return named | {str(tag["name"]) for tag in soup(path).find_all("a", attrs={"name": True})}


def test_internal_links_resolve(pages: list[str]) -> None:
    broken = []
    for name in pages:
        here = SITE / name
        for link in soup(here).find_all("a", href=True):
            parts = urlsplit(str(link["href"]))
            if parts.scheme or parts.netloc:
                continue
            target = (here.parent / unquote(parts.path)).resolve() if parts.path else here
            if not target.is_file():
                broken.append(f"{name} -> {link['href']}")
            elif parts.fragment and target.suffix == ".html":
                if unquote(parts.fragment) not in anchors(target):
                    broken.append(f"{name} -> {link['href']} (no such anchor)")
    assert not broken


def test_a_folded_cell_is_called_by_its_title(pages: list[str]) -> None:
    folds = [fold for page in pages for fold in soup(SITE / page).select("details.hide > summary")]
    assert folds
    assert not [fold for fold in folds if fold.get("aria-label") or not fold.get_text(strip=True)]


def test_no_page_names_a_foreign_resource(pages: list[str]) -> None:
    """Scripts, styles, fonts, images and frames are local; what a reader clicks may lead out."""
    foreign = []
    for name in pages:
        for tag in soup(SITE / name).find_all(
            ["script", "img", "iframe", "source", "link", "video"]
        ):
            assert isinstance(tag, Tag)
            if tag.name == "link" and "canonical" in str(tag.get("rel")):
                continue
            url = str(tag.get("src") or tag.get("href") or "")
            if re.match(r"(https?:)?//", url):
                foreign.append(f"{name}: {url}")
    for style in SITE.rglob("*.css"):
        for url in re.findall(r"url\(['\"]?((?:https?:)?//[^)'\"]+)", style.read_text("utf-8")):
            foreign.append(f"{style.relative_to(SITE)}: {url}")
    assert not foreign


def test_chapters_are_numbered_one_after_the_other() -> None:
    """The opening page of a part has no number, and does not break the count."""
    links = soup(SITE / "book/index.html").select("nav.bd-links .toctree-l1 > a")
    titles = [link.get_text(" ", strip=True) for link in links]
    numbers = [int(match[1]) for match in map(re.compile(r"(\d+)\. ").match, titles) if match]
    assert numbers == list(range(1, len(CHAPTERS) + 1))
    assert "Overview" in titles


def test_the_map_of_a_part_leads_to_its_chapters() -> None:
    page = soup(SITE / "book/vae/index.html")
    drawing = page.find("svg", class_="chapter-map")
    assert isinstance(drawing, Tag)
    targets = {str(link["href"]).removesuffix(".html") for link in drawing.find_all("a")}
    assert targets == {name.split("/")[1] for name in CHAPTERS if name.startswith("vae/")}
    assert all(name in str(drawing["aria-label"]) for name in ("A tighter bound", "Discrete codes"))


def test_the_cards_stand_in_the_order_of_the_sidebar() -> None:
    page = soup(SITE / "book/index.html")
    cards = [str(link["href"]) for link in page.select("article .sd-card a.sd-stretched-link")]
    parts = [link for link in cards if link.endswith("/index.html")]
    sidebar = [str(link["href"]) for link in page.select("nav.bd-links a")]
    overviews = [link for link in sidebar if link.endswith("/index.html")]
    assert parts == [link for link in overviews if not link.startswith("homework/")]
    assert len(parts) == 3


@pytest.mark.parametrize("name", ["vae/index", *CHAPTERS])
def test_pages_lead_on_to_the_next(name: str) -> None:
    assert soup(SITE / f"book/{name}.html").find("a", class_="right-next")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_chapters_have_their_buttons(chapter: str) -> None:
    """They give the plain notebook, from elsewhere that of the page's release."""
    links = {str(a["href"]) for a in soup(SITE / f"book/{chapter}.html").find_all("a", href=True)}
    with_outputs, without = (f"{folder}/{chapter}.ipynb" for folder in (WITH, WITHOUT))
    assert {f"../../{with_outputs}", f"../../{without}"} <= links
    assert f"https://colab.research.google.com/{GITHUB}/blob/{TAG}/{with_outputs}" in links
    binder = f"https://mybinder.org/v2/{GITHUB.replace('github', 'gh', 1)}/{TAG}"
    assert f"{binder}?urlpath=lab/tree/{with_outputs}" in links
    assert not [link for link in links if "_sources" in link]


def test_mathjax_and_its_fonts_are_local() -> None:
    folder = SITE / "_static" / "mathjax"
    assert (folder / "tex-chtml.js").stat().st_size > 1_000_000
    assert len(list((folder / "output/chtml/fonts/woff-v2").glob("*.woff"))) >= 20


# ---- What a page says of itself ------------------------------------------------------------------


def own_pages() -> list[str]:
    """Every page with a source, so not the search."""
    return [page for page in html_pages() if page.startswith("book/")]


def meta(page: str, key: str) -> list[str]:
    """The contents of all tags ``<meta>`` of that name or property."""
    head = soup(SITE / page).head
    assert head
    tags = [*head.find_all("meta", attrs={"name": key}), *head.find_all("meta", property=key)]
    return [str(tag["content"]) for tag in tags]


def test_each_page_states_its_viewport_once(pages: list[str]) -> None:
    assert not {page: found for page in pages if len(found := meta(page, "viewport")) != 1}


def test_each_page_is_described_and_no_two_alike() -> None:
    found = {page: meta(page, "description") for page in own_pages()}
    assert not {page: texts for page, texts in found.items() if len(texts) != 1}
    assert not {page: text for page, (text,) in found.items() if not 50 <= len(text) <= 160}
    assert len({text for (text,) in found.values()}) == len(found)
    assert {f"book/{name}.html" for name in descriptions()} <= set(found), "of pages that are gone"


def test_each_page_has_what_a_chat_shows() -> None:
    for page in own_pages():
        (title,) = meta(page, "og:title")
        assert title in re.sub(r"\s+", " ", soup(SITE / page).h1.get_text()), page  # type: ignore[union-attr]
        assert meta(page, "og:description") == meta(page, "description"), page
        (picture,) = meta(page, "og:image")
        with Image.open(SITE / picture.removeprefix(ADDRESS)) as image:
            assert [str(side) for side in image.size] == [
                *meta(page, "og:image:width"),
                *meta(page, "og:image:height"),
            ]
        part = page.split("/")[1]
        assert part not in ("vae", "gan", "rnn") or f"/{part}.png" in picture, page


def test_each_page_names_its_one_address() -> None:
    for page in own_pages():
        links = soup(SITE / page).select('head > link[rel="canonical"]')
        assert [str(link["href"]) for link in links] == [ADDRESS + page]
        assert meta(page, "og:url") == [ADDRESS + page]


def test_the_title_of_the_book_is_said_once() -> None:
    titles = {page: soup(SITE / page).title for page in ("book/index.html", "book/gan/dcgan.html")}
    assert [title.get_text() for title in titles.values() if title] == [
        "Images from Noise",
        "11. A GAN with convolutions — Images from Noise",
    ]


def test_each_page_can_be_cited() -> None:
    cited, keys = citation(), set()
    for page in own_pages():
        (fold,) = soup(SITE / page).select("article details.cite")
        assert not fold.has_attr("open")
        assert fold.select("div.highlight pre"), "the copy button finds its text there"
        ((key, entry),) = parse_string(fold.select("pre")[0].get_text(), "bibtex").entries.items()
        keys.add(key)
        assert str(entry.persons["author"][0]) == f"{{{cited['authors'][0]['name']}}}"
        assert f"ersion {cited['version']}" in entry.fields["howpublished"]
        assert entry.fields["year"] == str(cited["date-released"].year)
        assert entry.fields["url"] == ADDRESS + page
        assert entry.fields["title"].strip("{}") in (meta(page, "og:title")[0], cited["title"])
    assert len(keys) == len(own_pages())


def test_bibtex_has_a_button_to_copy_it(browser: Browser) -> None:
    page = browser.new_page()
    page.goto((SITE / "book/vae/vae.html").as_uri())
    fold = page.locator("details.cite")
    assert not fold.locator("pre").is_visible()
    fold.locator("summary").click()
    assert fold.locator("pre").is_visible()
    assert fold.locator("button.copybtn").count() == 1
    page.close()


# ---- Minutes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_says_how_long_it_is_to_read(chapter: str) -> None:
    (line,) = soup(SITE / f"book/{chapter}.html").select("h1 + p.reading-time")
    wanted = f"{spoken(minutes(ROOT / f'book/{chapter}.ipynb'))} to read"
    assert line.get_text().split(" · ")[0] == wanted


@pytest.mark.parametrize("part", ["vae", "gan", "rnn"])
def test_a_part_says_how_long_it_is_and_so_does_the_landing_page(part: str) -> None:
    chapters = [minutes(ROOT / f"book/{name}.ipynb") for name in CHAPTERS if name.startswith(part)]
    found = [tag.get_text() for tag in soup(SITE / f"book/{part}/index.html").select(".minutes")]
    assert found == [spoken(sum(chapters)), *map(spoken, chapters)]
    assert spoken(sum(chapters)) in soup(SITE / "book/index.html").get_text()


def test_an_evening_has_three_hours() -> None:
    (path,) = soup(SITE / "book/index.html").select(".generated table")
    *rows, total = [[cell.get_text() for cell in row.select("td")] for row in path.select("tr")[1:]]
    assert sum(int(row[-1]) for row in rows) == int(total[-1])
    assert 120 <= int(total[-1]) <= 165, "the rest of the three hours is for running cells"


# ---- The reference of the package ----------------------------------------------------------------


def test_an_old_address_of_the_reference_leads_to_the_name() -> None:
    index = soup(SITE / "book/reference/api.html")
    for name in ("companion.data.fashion_mnist", "companion.models.vae.VAE.encode"):
        place = index.find(id=name)
        assert place, f"api.html#{name} leads nowhere"
        item = place.find_parent("li") if place.name != "li" else place
        assert item
        assert "api/" in str(item.select("a")[0]["href"])


def test_the_reference_has_no_text_of_torch() -> None:
    pages = [(SITE / f"book/reference/{name}.html").read_text("utf-8") for name in API]
    assert not [page for page in pages if "recipe for forward pass" in page]


@pytest.mark.parametrize(
    "name",
    [
        *("vae.VAE.encoder", "vae.VAE.decoder", "vae.VAE.latent_dim", "gan.GAN.learning_rate"),
        *("dcgan.DCGAN.generator", "dcgan.DCGAN.discriminator", "dcgan.Generator.forward"),
    ],
)
def test_the_reference_has_what_users_exchange(name: str) -> None:
    model = name.split(".")[0]
    page = "vae" if model == "vae" else "gan"
    assert f"companion.models.{name}" in anchors(SITE / f"book/reference/api/{page}.html")
