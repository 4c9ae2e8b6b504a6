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
from playwright.sync_api import Browser, Page, sync_playwright

from book._tools.plain import TAG, WITH, WITHOUT

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
GITHUB = "github/images-from-noise/images-from-noise"
CHAPTERS = [
    "start/quickstart",
    "start/data",
    "start/distances",
    *(f"vae/{name}" for name in ("elbo", "vae", "beta_vae", "iwae", "vq_vae")),
    *(f"gan/{name}" for name in ("minimax", "dcgan", "stability", "infogan", "evaluation")),
    *(f"rnn/{name}" for name in ("recurrence", "gates", "rows", "pixels", "video", "draw")),
    "rnn/side_by_side",
]
PATIENCE = 120_000  # milliseconds; a busy machine is no fault of the site
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
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

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


@dataclass
class Visit:
    """What the browser met on one page."""

    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    look: dict[str, Any] = field(default_factory=dict)
    overflow: int = 0
    too_wide: list[str] = field(default_factory=list)
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
        visit.overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if visit.overflow > 0:
            visit.too_wide = page.evaluate(
                """[...document.querySelectorAll("article *")]
                   .filter((e) => e.getBoundingClientRect().right > window.innerWidth)
                   .slice(0, 3).map((e) => e.outerHTML.slice(0, 120))"""
            )
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
    wanted = {
        f"book/{name}.html" for name in ["index", "vae/index", "gan/index", "rnn/index", *CHAPTERS]
    }
    wanted |= {f"book/reference/{name}.html" for name in ["field_guide", *reference]}
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


def test_no_horizontal_scrolling_on_a_phone(visits: dict[str, Visit]) -> None:
    assert not {n: (v.overflow, v.too_wide) for n, v in visits.items() if v.overflow > 0}


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
