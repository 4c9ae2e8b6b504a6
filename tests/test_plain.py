"""Each construct of a chapter as its plain notebook shows it: one small site is built, and read."""

import base64
import re
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from book._tools import INSTALL_CELL, ROOT
from book._tools.cells import parse
from book._tools.plain import PINNED_INSTALL_CELL, PROJECT, RELEASE, TAG, without_outputs
from book._tools.plain_math import display, expand, inline
from book._tools.plain_words import escaped

MACROS = {
    "E": r"\mathbb{E}",
    "R": r"\mathbb{R}",
    "KL": [r"\operatorname{KL}\!\left(#1\,\middle\|\,#2\right)", 2],
    "twice": [r"\KL{#1}{#1}", 1],
}
SITE = "https://example.org/book/"
HERE, OTHER = SITE + "book/part/chapter.html", SITE + "book/part/other.html"
PIXEL = (  # a PNG
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5"
    "ErkJggg=="
)

# ---- Formulas ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tex", "expanded"),
    [
        (r"\E_x[f]", r"\mathbb{E}_x[f]"),
        (r"\Epsilon \R^n", r"\Epsilon \mathbb{R}^n"),
        (r"\KL{q_{\phi}}{p}", r"\operatorname{KL}\!\left(q_{\phi}\,\middle\|\,p\right)"),
        (r"\KL q p", r"\operatorname{KL}\!\left(q\,\middle\|\,p\right)"),
        (r"\KL {a} \beta", r"\operatorname{KL}\!\left(a\,\middle\|\,\beta\right)"),
        (r"\KL{\E\{x\}}{b}", r"\operatorname{KL}\!\left(\mathbb{E}\{x\}\,\middle\|\,b\right)"),
        (r"\twice{\R}", r"\operatorname{KL}\!\left(\mathbb{R}\,\middle\|\,\mathbb{R}\right)"),
        (r"a \\ \E", r"a \\ \mathbb{E}"),
    ],
)
def test_macros_are_expanded(tex: str, expanded: str) -> None:
    assert expand(tex, MACROS) == expanded


@pytest.mark.parametrize(
    ("tex", "sentence"), [(r"\KL{a}", "lacks an argument"), (r"\KL{a}{b", "never closed")]
)
def test_a_macro_without_its_arguments_is_named(tex: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        expand(tex, MACROS)


def test_a_formula_in_the_line_stays_on_one_and_opens_no_tag() -> None:
    assert inline("x_{<t}\n < 1", {}) == r"$x_{\lt t} < 1$"


@pytest.mark.parametrize(
    ("tex", "shown"),
    [
        ("a", "$$\na \\tag{4.3}\n$$"),
        ("a \\\\\nb", "$$\n\\begin{split}\na \\\\\nb\n\\end{split} \\tag{4.3}\n$$"),
        (
            "\\begin{align*}\na &= b\n\\end{align*}",
            "$$\n\\begin{aligned}\na &= b\n\\end{aligned} \\tag{4.3}\n$$",
        ),
        ("\\begin{equation}\na\n\\end{equation}", "$$\na \\tag{4.3}\n$$"),
        ("a\n\nb", "$$\n\\begin{gathered}\na \\\\\nb\n\\end{gathered} \\tag{4.3}\n$$"),
    ],
)
def test_a_displayed_formula_carries_its_number(tex: str, shown: str) -> None:
    assert display(tex, {}, number="4.3") == shown


def test_a_formula_in_a_quotation_has_no_comment_and_no_break() -> None:
    assert display("a % why\n+ 50\\%", {}, one_line=True) == "$$ a + 50\\% $$"


def test_words_are_not_taken_for_markdown() -> None:
    assert escaped("2 * 3, _x_, snake_case, $5, a`b") == r"2 \* 3, \_x\_, snake_case, \$5, a\`b"
    assert escaped("<b> & x < y &amp;") == "&lt;b> & x < y &amp;amp;"
    assert escaped("f[0](1)") == "f[0]&#40;1)"
    assert escaped("a | b", in_table=True) == r"a \| b"


# ---- A chapter -----------------------------------------------------------------------------------

# What stands in a cell of the chapter, and what in the plain one.
CASES: dict[str, tuple[str, str]] = {
    "title": (
        "# A chapter with $\\E$\n\nIt begins.",
        "# A chapter with $\\mathbb{E}$\n\n"
        f"*Images from Noise {RELEASE}: [this chapter on the site]({HERE})*\n\nIt begins.",
    ),
    "headings": ("## Section\n\n(label)=\n### Below it", "## Section\n\n### Below it"),
    "cite": (
        "{cite:t}`kingma2014auto`, {cite:p}`kingma2014auto`",
        f"Kingma and Welling [[2014]({OTHER}#id2)], [[Kingma and Welling, 2014]({OTHER}#id2)]",
    ),
    "doc": (
        "{doc}`/book/part/other`, {doc}`that <other>`, [so](other.md)",
        f"[Another chapter]({OTHER}), [that]({OTHER}), [so]({OTHER})",
    ),
    "eq": ("{eq}`eq-a`", f"[(1.1)]({HERE}#equation-eq-a)"),
    "numref": (
        "{numref}`fig-drawn`, {numref}`fig-file`, {numref}`table-one`",
        f"[Fig. 1.1]({HERE}#fig-drawn), [Fig. 1.2]({HERE}#fig-file), [Table 1.1]({HERE}#table-one)",
    ),
    "ref": (
        "{ref}`there`, {ref}`a place <there>`, [it](#there), {ref}`ex-one`, {prf:ref}`theorem-one`",
        f"[A place]({OTHER}#there), [a place]({OTHER}#there), [it]({OTHER}#there), "
        f"[Exercise 1.1]({HERE}#ex-one), [Theorem 1.1]({HERE}#theorem-one)",
    ),
    "term": ("{term}`latent variable`", f"[latent variable]({OTHER}#term-latent-variable)"),
    "words": (
        "*a* **b** `c | _d_` {kbd}`e` {abbr}`f (g)` {sub}`h` 2 * 3, a_b, \\$4 ``i`j``, {bdg}`k`",
        "*a* **b** `c | _d_` `e` f <sub>h</sub> 2 \\* 3, a_b, \\$4 ``i`j``, k",
    ),
    "download": ("{download}`a picture <pixel.png>`", f"[`a picture`]({SITE}_downloads/pixel.png)"),
    "line starts": ("1990\\. was\n\\# a year\n\\- so", "1990\\. was\n\\# a year\n\\- so"),
    "formula": (
        "$$\n\\E[f] &= \\KL{p}{q_{z}} \\\\\n&= 0 .\n$$ (eq-a)\n\n$$ a $$",
        "$$\n\\begin{split}\n\\mathbb{E}[f] &= "
        "\\operatorname{KL}\\!\\left(p\\,\\middle\\|\\,q_{z}\\right) \\\\\n&= 0 .\n\\end{split} "
        "\\tag{1.1}\n$$\n\n$$\na\n$$",
    ),
    "exercise": (
        "```{exercise} A *new* $\\R$\n:label: ex-one\nDo it:\n\n$$ a \\\\\nb $$\n\n    code\n\n"
        "- a\n- b\n```\n\n"
        "```{solution} ex-one\n:class: dropdown\nDone: 42.\n```",
        "> **Exercise 1.1 (A *new* $\\mathbb{R}$)**\n>\n> Do it:\n>\n"
        "> $$ \\begin{split} a \\\\ b \\end{split} $$\n>\n> ```\n> code\n> ```\n>\n> - a\n> - b\n\n"
        f"[Solution]({HERE}#book/part/chapter-solution-1) on the site",
    ),
    "note": (":::{note}\nOne `x`.\n:::", "> **Note**\n>\n> One `x`."),
    "admonition": (
        ":::{admonition} A box $\\E$\n:class: tip dropdown\nText.\n\n1. one\n2. two\n:::",
        "> **A box $\\mathbb{E}$**\n>\n> Text.\n>\n> 1. one\n> 2. two",
    ),
    "theorem": (
        "```{prf:theorem} Name\n:label: theorem-one\nSo.\n```\n\n```{prf:proof}\nClear.\n```",
        "> **Theorem 1.1 (Name)**\n>\n> So.\n\n> Proof. Clear.",
    ),
    "figure": (
        "```{figure} pixel.png\n:name: fig-file\n:alt: One pixel\nA *pixel*.\n\nA legend.\n```",
        "![One pixel](attachment:book-part-pixel.png)\n\n**Fig. 1.2** A *pixel*.\n\nA legend.",
    ),
    "image": ("![One](pixel.png)", "![One](attachment:book-part-pixel.png)"),
    "table": (
        "```{table} A table\n:name: table-one\n| a | b |\n|:--|--:|\n"
        "| $\\vert x\\vert$, `c\\|d` | 1 |\n```",
        "**Table 1.1** A table\n\n| a | b |\n| :--- | ---: |\n| $\\vert x\\vert$, `c\\|d` | 1 |",
    ),
    "list table": (
        "```{list-table}\n:header-rows: 1\n* - a\n  - b\n* - $|x|$\n  - one\n\n    two\n```",
        "| a | b |\n| --- | --- |\n| $\\vert x\\vert $ | one<br>two |",
    ),
    "tabs": (
        "::::{tab-set}\n:::{tab-item} One\n```python\nx = 1\n```\n:::\n"
        ":::{tab-item} Two\n2\n:::\n::::",
        "**One**\n\n```python\nx = 1\n```\n\n**Two**\n\n2",
    ),
    "cards": (
        "::::{grid} 2\n:::{grid-item-card} Title\nBody\n:::\n:::{grid-item}\nItem\n:::\n::::",
        "**Title**\n\nBody\n\nItem",
    ),
    "dropdown": (":::{dropdown} More\nof it\n:::", "> **More**\n>\n> of it"),
    "footnote": ("A word[^1].\n\n[^1]: Its *note*.", "A word<sup>1</sup>."),
    "definitions": ("term\n: what it is", "- **term**: what it is"),
    "lists": (
        "1. one\n\n   more\n2. two\n   - inner\n   - again",
        "1. one\n\n   more\n\n2. two\n\n   - inner\n   - again",
    ),
    "quotation": ("> Words.\n> More.", "> Words.\n> More."),
    "listing": (
        "```{code-block} bash\n:caption: How\nls\n```\n\n````\n```\n````",
        "**How**\n\n```bash\nls\n```\n\n````\n```\n````",
    ),
    "html": ("<b>x</b> y\n\n% a comment\n\n---", "<b>x</b> y\n\n---"),
}
CAPTION = "A pixel of $\\E$, see {eq}`eq-a`."

CONF = f"""
extensions = ["sphinx_togglebutton", "myst_nb", "sphinx_design", "sphinx_proof", "sphinx_exercise",
              "sphinx_book_theme", "sphinxcontrib.bibtex", "book._ext.plain_notebooks"]
html_theme = "sphinx_book_theme"
html_theme_options = {{
    "repository_url": "https://github.com/a/b",
    "launch_buttons": {{"binderhub_url": "https://mybinder.org",
                       "colab_url": "https://colab.research.google.com"}},
}}
html_baseurl = {SITE!r}
numfig = math_numfig = True
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
bibtex_bibfiles = ["all.bib"]
bibtex_reference_style = "author_year"
nb_execution_mode = "off"
mathjax3_config = {{"tex": {{"macros": {MACROS!r}}}}}
"""
FILES = {
    "conf.py": CONF,
    "index.md": "# Home\n\n```{toctree}\n:numbered:\nbook/part/chapter\nbook/part/other\n```\n",
    "all.bib": "@book{kingma2014auto, author={Kingma, D. and Welling, M.}, title={T}, year={2014},"
    " publisher={P}}\n",
    "book/part/other.md": "# Another chapter\n\n(there)=\n## A place\n\n```{glossary}\n"
    "latent variable\n  hidden\n```\n\n```{bibliography}\n```\n",
}


def chapter() -> NotebookNode:
    cells = [nbformat.v4.new_markdown_cell(source) for source, _ in CASES.values()]
    install = nbformat.v4.new_code_cell(INSTALL_CELL, metadata={"tags": ["hide-cell"]})
    figure = {"caption": CAPTION, "name": "fig-drawn"}
    drawn = nbformat.v4.new_code_cell(
        "draw()",
        execution_count=2,
        metadata={"tags": ["hide-input"], "mystnb": {"figure": figure, "image": {"alt": "One"}}},
        outputs=[nbformat.v4.new_output("display_data", {"image/png": PIXEL})],
    )
    bare = nbformat.v4.new_code_cell("1 + 1", execution_count=3)
    language = {"name": "python", "pygments_lexer": "ipython3"}
    return nbformat.v4.new_notebook(
        cells=[*cells[:1], install, drawn, bare, *cells[1:]], metadata={"language_info": language}
    )


def build(folder: Path, notebook: NotebookNode) -> Path:
    """A small site with one chapter; gives the folder that it is built into."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    (folder / "book/part/pixel.png").write_bytes(base64.b64decode(PIXEL))
    nbformat.write(notebook, folder / "book/part/chapter.ipynb")
    source, out = str(folder), folder / "out"
    Sphinx(source, source, str(out), str(folder / "trees"), "html", status=None).build()
    return out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("book"), chapter())


@pytest.fixture(scope="module")
def plain(site: Path) -> NotebookNode:
    return nbformat.read(site / "notebooks/with-outputs/part/chapter.ipynb", as_version=4)


@pytest.mark.parametrize("name", CASES)
def test_a_construct(plain: NotebookNode, name: str) -> None:
    texts = [cell for cell in plain.cells if cell.cell_type == "markdown"]
    texts = [texts[0], *texts[2:]]  # the second is the caption of what a cell draws
    found = texts[list(CASES).index(name)].source
    assert re.sub(r"(?<=_downloads/)[0-9a-f]+/", "", found) == CASES[name][1]


def test_a_caption_stands_under_its_figure(plain: NotebookNode) -> None:
    after = [b.source for a, b in pairwise(plain.cells) if a.source == "draw()"]
    assert after == [f"**Fig. 1.1** A pixel of $\\mathbb{{E}}$, see [(1.1)]({HERE}#equation-eq-a)."]


def test_a_footnote_is_kept(plain: NotebookNode) -> None:
    assert plain.cells[-1].source == "<sup>1</sup> Its *note*."


def test_an_image_travels_with_its_cell(plain: NotebookNode) -> None:
    cells = [cell for cell in plain.cells if "attachment:" in cell.source]
    assert len(cells) == 2
    assert all(cell.attachments == {"book-part-pixel.png": {"image/png": PIXEL}} for cell in cells)


def test_code_is_the_chapters_and_folded_as_it_is_there(plain: NotebookNode) -> None:
    install, drawn, bare = [cell for cell in plain.cells if cell.cell_type == "code"]
    assert (install.source, drawn.source, bare.source) == (PINNED_INSTALL_CELL, "draw()", "1 + 1")
    folded = {"jupyter": {"source_hidden": True}, "cellView": "form"}
    assert install.metadata == {"tags": ["hide-cell"], **folded}
    assert drawn.metadata == {"tags": ["hide-input"], **folded}
    assert bare.metadata == {}
    assert drawn.outputs[0].data == {"image/png": PIXEL}


def test_both_sets_are_valid_and_differ_in_what_a_run_leaves(
    site: Path, plain: NotebookNode
) -> None:
    stripped = nbformat.read(site / "notebooks/without-outputs/part/chapter.ipynb", as_version=4)
    for notebook in (plain, stripped):
        nbformat.validate(notebook)
    assert stripped == without_outputs(plain) != plain
    code = [cell for cell in stripped.cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * 3


def test_the_buttons_lead_to_the_plain_notebook(site: Path) -> None:
    page = (site / "book/part/chapter.html").read_text("utf-8")
    repository = "images-from-noise/images-from-noise"
    file = "notebooks/with-outputs/part/chapter.ipynb"
    assert f'href="../../{file}"' in page
    assert f'href="../../{file.replace("with", "without", 1)}"' in page
    assert f"https://colab.research.google.com/github/{repository}/blob/{TAG}/{file}" in page
    assert f"https://mybinder.org/v2/gh/{repository}/{TAG}?urlpath=lab/tree/{file}" in page
    assert "_sources/book/part/chapter.ipynb" not in page
    assert not (site / "_sources/book/part/chapter.ipynb").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (":::{hlist}\n- a\n- b\n:::", "does not know how to write <hlist>"),
        ("$\\KL{a}$", "lacks an argument"),
    ],
)
def test_what_cannot_be_written_ends_the_build(tmp_path: Path, text: str, sentence: str) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# T\n\n" + text)])
    with pytest.raises(ExtensionError, match=sentence):
        build(tmp_path, notebook)


def test_a_code_cell_that_the_page_does_not_show_ends_the_build(tmp_path: Path) -> None:
    notebook = chapter()
    notebook.cells[2].metadata["tags"] = ["remove-cell"]
    with pytest.raises(ExtensionError, match="may stand neither in a directive nor"):
        build(tmp_path, notebook)


# ---- The first cell, Binder, and where the notebooks are published -------------------------------


def run_install_cell() -> None:
    exec(compile(parse(PINNED_INSTALL_CELL), "cell", "exec"), {})  # %pip becomes `pass`


def test_the_first_cell_is_silent_where_the_package_is(capsys: pytest.CaptureFixture[str]) -> None:
    run_install_cell()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["companion", "companion.zoo"])  # none, or somebody else's
def test_the_first_cell_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ModuleNotFoundError) as caught:
        run_install_cell()
    remedy = re.search(r'%pip install "(.*?)"', str(caught.value))
    assert remedy
    wanted = Requirement(remedy[1])
    assert wanted.name == "images-from-noise"
    assert str(wanted.url).endswith(f"/images-from-noise@{TAG}")


def test_binder_installs_the_notebooks_extra_for_the_cpu() -> None:
    lines = (ROOT / "binder/requirements.txt").read_text("utf-8").splitlines()
    lines = [line for line in lines if not line.startswith("#")]
    assert [line for line in lines if not line.startswith("-")] == [".[notebooks]"]
    options = dict(line.split() for line in lines if line.startswith("-"))
    assert options["--extra-index-url"].endswith("/cpu")
    assert (ROOT / "binder" / options["-c"]).resolve() == ROOT / "constraints.txt"
    python = (ROOT / "binder/runtime.txt").read_text("utf-8").strip().removeprefix("python-")
    assert SpecifierSet(PROJECT["requires-python"]).contains(python)
    notebooks = PROJECT["optional-dependencies"]["notebooks"]
    assert "jupyterlab" in {Requirement(line).name for line in notebooks}


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
@pytest.mark.skipif(sys.platform == "win32", reason="the script is for CI, on Linux")
def test_the_notebooks_are_published_beside_the_sources(tmp_path: Path) -> None:
    def git(*arguments: str, folder: Path = tmp_path / "copy") -> str:
        command = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    git("init", "--quiet", "--bare", "origin", folder=tmp_path)
    git("clone", "--quiet", "origin", "copy", folder=tmp_path)
    copy = tmp_path / "copy"
    for name in (".ci/notebooks", "pyproject.toml", ".gitignore"):
        (copy / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, copy / name)
    git("add", ".")
    git("commit", "--quiet", "-m", "The sources")
    head = git("rev-parse", "HEAD")

    unbuilt = subprocess.run([copy / ".ci/notebooks"], capture_output=True, text=True)
    assert unbuilt.returncode == 1
    assert "run 'make book' first" in unbuilt.stderr

    for round in ("first", "second"):  # the tag follows the site
        file = copy / "_build/html/notebooks/with-outputs/part/chapter.ipynb"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(round, "utf-8")
        subprocess.run([copy / ".ci/notebooks"], capture_output=True, check=True)
        for name in ("notebooks", TAG):
            git("fetch", "--quiet", "--force", "origin", f"{name}:found")
            assert git("rev-parse", "found^") == head
            assert git("show", "found:notebooks/with-outputs/part/chapter.ipynb") == round
            assert git("show", "found:pyproject.toml")
    assert git("status", "--porcelain") == ""
    assert git("rev-parse", "HEAD") == head
