"""The plain notebooks of the built site: nothing of the site's own Markdown is left in any of them.

How each construct is written is in ``test_plain.py``; here all chapters are read, and two short
ones are run from an empty folder, as a reader who has downloaded them does.
"""

import functools
import html
import os
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from nbclient import NotebookClient
from nbformat import NotebookNode
from playwright.sync_api import Browser

from book._tools import INSTALL_CELL, ROOT, name_of, notebooks
from book._tools.cells import codes, images, tags
from book._tools.plain import PINNED_INSTALL_CELL, WITH, WITHOUT
from tests.test_site import browser, built  # noqa: F401  fixtures

pytestmark = pytest.mark.slow

SITE = ROOT / "_build" / "html"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
ADDRESS = CONFIG["html"]["baseurl"].rstrip("/") + "/"
MACROS = CONFIG["sphinx"]["config"]["mathjax3_config"]["tex"]["macros"]
CHAPTERS = {name_of(path): path for path in notebooks()}
each_chapter = pytest.mark.parametrize("name", CHAPTERS)

CODE = re.compile(r"^( *(?:> ?)*)(`{3,}).*?^\1\2$|(`+)(?!`).*?(?<!`)\3(?!`)", re.M | re.S)
# What only the site's Markdown has; the first two stand in backquotes.
LEFT = {
    "role": r"\{[A-Za-z][\w:.+-]*\}`",
    "directive": r"^[ >]*(?:[`~]{3,} *\{|:{3,})",
    "option": r"^[ >]*:[\w-]+:(?: |$)",
    "label": r"^[ >]*\([\w:./ -]+\)=",
    "label of an equation": r"\$\$ *\([\w:-]+\)",
    "reference in a formula": r"\\(?:label|ref|eqref|cite)\b",
    "footnote": r"\[\^[^\]]+\]",
    "comment": r"^% |^\+\+\+",
    "substitution": r"\{\{[ \w]+\}\}",
}
FORMULA = re.compile(r"(?<!\\)\$\$(.+?)(?<!\\)\$\$|(?<!\\)\$(.+?)(?<!\\)\$", re.S)


@functools.cache
def chapter(name: str) -> NotebookNode:
    return nbformat.read(CHAPTERS[name], as_version=4)


@functools.cache
def plain(name: str, folder: str = WITH) -> NotebookNode:
    return nbformat.read(SITE / folder / f"{name}.ipynb", as_version=4)


def whole(name: str) -> str:
    """All Markdown of a plain notebook."""
    return "\n\n".join(c.source for c in plain(name).cells if c.cell_type == "markdown")


@functools.cache
def words(name: str) -> str:
    """All Markdown of a plain notebook, without code."""
    return CODE.sub("", whole(name))


def formulas(name: str) -> list[tuple[str, bool]]:
    """The formulas of a plain notebook, and whether they are displayed."""
    return [(shown or inline, bool(shown)) for shown, inline in FORMULA.findall(words(name))]


def test_every_chapter_has_its_two_notebooks_and_nothing_else_has() -> None:
    folders = [SITE / WITH, SITE / WITHOUT]
    found = {f.relative_to(SITE).as_posix() for folder in folders for f in folder.rglob("*.*")}
    assert found == {f"{folder}/{name}.ipynb" for folder in (WITH, WITHOUT) for name in CHAPTERS}
    assert not list((SITE / "_sources").rglob("*.ipynb"))


@each_chapter
@pytest.mark.parametrize("folder", [WITH, WITHOUT])
def test_it_is_a_valid_notebook(name: str, folder: str) -> None:
    nbformat.validate(plain(name, folder))
    ids = [cell.id for cell in plain(name, folder).cells]
    assert len(set(ids)) == len(ids)


@each_chapter
def test_its_code_is_the_chapters(name: str) -> None:
    expected = [cell.source for _, cell in codes(chapter(name))]
    if expected[0].strip() == INSTALL_CELL:
        expected[0] = PINNED_INSTALL_CELL
    for folder in (WITH, WITHOUT):
        assert [cell.source for _, cell in codes(plain(name, folder))] == expected
    outputs = [cell.outputs for _, cell in codes(chapter(name))]
    assert [cell.outputs for _, cell in codes(plain(name))] == outputs
    assert not any(cell.outputs for _, cell in codes(plain(name, WITHOUT)))
    assert {cell.execution_count for _, cell in codes(plain(name, WITHOUT))} == {None}


@each_chapter
def test_folded_cells_stay_folded(name: str) -> None:
    for _, cell in codes(plain(name)):
        folded = bool({"hide-input", "hide-cell"} & set(tags(cell)))
        assert bool(cell.metadata.get("jupyter", {}).get("source_hidden")) == folded
        assert (cell.metadata.get("cellView") == "form") == folded
        assert set(cell.metadata) <= {"tags", "jupyter", "cellView"}
    of_chapter = [tags(cell) for _, cell in codes(chapter(name))]
    assert [tags(cell) for _, cell in codes(plain(name))] == of_chapter


@each_chapter
@pytest.mark.parametrize("what", LEFT)
def test_nothing_of_the_sites_markdown_is_left(name: str, what: str) -> None:
    text = whole(name) if what in ("role", "directive") else words(name)
    assert re.findall(LEFT[what], text, re.MULTILINE) == []


@each_chapter
def test_no_macro_of_the_book_is_left_and_no_command_is_unknown(name: str) -> None:
    used = {command for tex, _ in formulas(name) for command in re.findall(r"\\([A-Za-z]+)", tex)}
    assert not used & set(MACROS)
    mathjax = (SITE / "_static/mathjax/tex-chtml.js").read_text("utf-8")
    unknown = {c for c in used if not re.search(rf'[{{,]"?{c}"?:|"\\\\{c}"', mathjax)}
    assert unknown - {"begin", "end", "tag", "big", "Big"} == set()


def test_mathjax_without_macros_typesets_all_formulas(browser: Browser) -> None:  # noqa: F811
    """What JupyterLab and Colab do: an unknown command would be red, a fault `merror`."""
    every = [formula for name in CHAPTERS for formula in formulas(name)]
    body = "".join(
        f"<p>\\[{html.escape(tex)}\\]</p>" if shown else f"<p>\\({html.escape(tex)}\\)</p>"
        for tex, shown in every
    )
    script = (SITE / "_static/mathjax/tex-chtml.js").as_uri()
    page = browser.new_page()
    page.set_default_timeout(0)  # a busy machine is no fault of a formula
    page.goto((SITE / "search.html").as_uri())  # from a file, whose scripts may come from files
    page.set_content(f"<body>{body}<script src='{script}'></script></body>")
    page.wait_for_function("window.MathJax && MathJax.startup && MathJax.startup.promise")
    faults: Any = page.evaluate(
        """async () => {
          await MathJax.startup.promise;
          const paragraphs = [...document.querySelectorAll("p")];
          const bad = (p) => !p.querySelector("mjx-container") || p.querySelector("mjx-merror") ||
            [...p.querySelectorAll("*")].some((e) => getComputedStyle(e).color == "rgb(255, 0, 0)");
          return paragraphs.map(bad).map((fault, i) => fault ? i : -1).filter((i) => i >= 0);
        }"""
    )
    page.close()
    assert len(every) > 1500
    assert [every[i][0] for i in faults] == []


@each_chapter
def test_every_link_to_the_site_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", words(name))
    ours = [link for link in links if link.startswith(ADDRESS)]
    assert ours
    assert [link for link in links if not re.match(r"https?://|attachment:", link)] == []
    broken = []
    for link in ours:
        address, anchor = urldefrag(link.removeprefix(ADDRESS))
        page = SITE / address
        if not page.is_file() or (anchor and unquote(anchor) not in anchors(page)):
            broken.append(link)
    assert broken == []


@functools.cache
def anchors(page: Path) -> frozenset[str]:
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    return frozenset(str(tag["id"]) for tag in soup.find_all(id=True))


@each_chapter
def test_numbers_are_those_of_the_site(name: str) -> None:
    """Of equations, figures and exercises, and each figure's caption stands below it."""
    soup = BeautifulSoup((SITE / f"book/{name}.html").read_text("utf-8"), "html.parser")
    for solution in soup.select(".solution"):
        solution.decompose()
    text = words(name)
    shown = [tag.get_text().strip("()#¶") for tag in soup.select(".eqno")]
    assert re.findall(r"\\tag\{(.+?)\}", text) == shown
    numbers = [tag.get_text().strip() for tag in soup.select(".caption-number")]
    found = re.findall(r"\*\*((?:Fig\.|Table|Exercise|Theorem) [\d.]+)", text)
    assert Counter(found) == Counter(numbers)

    cells = plain(name).cells
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if images(cell):
            assert following is not None
            assert following.source.startswith("**Fig. ")


@each_chapter
def test_solutions_stay_on_the_site(name: str) -> None:
    texts = [cell.source for cell in chapter(name).cells if cell.cell_type == "markdown"]
    solutions = len(re.findall(r"^[`:]{3,}\{solution\}", "\n".join(texts), re.MULTILINE))
    assert words(name).count("[Solution](") == solutions


@pytest.mark.parametrize("name", ["start/data", "start/quickstart"])  # the second raises errors
def test_it_runs_from_an_empty_folder(tmp_path: Path, name: str) -> None:
    shutil.copy(SITE / WITHOUT / f"{name}.ipynb", tmp_path / "chapter.ipynb")
    notebook = nbformat.read(tmp_path / "chapter.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", resources=resources)
    client.execute(env=os.environ | {"OMP_NUM_THREADS": "1"})  # threads that wait for each other
    counts = [cell.execution_count for _, cell in codes(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    drawn = [images(cell) for cell in notebook.cells if cell.cell_type == "code"]
    assert drawn == [images(cell) for _, cell in codes(chapter(name))]
