"""What instructors get from the chapters: goals, times, a run before class, all figures."""

import io
import re
import zipfile
from pathlib import Path

import nbformat
import pytest
from sphinx.errors import ExtensionError

from book._ext import teaching
from book._tools import ROOT, figures, name_of, notebooks, preflight
from book._tools.verify import Verdict
from companion import __version__

HOW_TO = {"start/make_it_yours"}  # a collection of recipes, not a chapter
CHAPTERS = [path for path in notebooks() if name_of(path) not in HOW_TO]


def notebook(folder: Path, *cells: nbformat.NotebookNode) -> Path:
    path = folder / "small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=[*cells]), path)
    return path


def markdown(text: str) -> nbformat.NotebookNode:
    return nbformat.v4.new_markdown_cell(text)


def code(text: str, **metadata: object) -> nbformat.NotebookNode:
    return nbformat.v4.new_code_cell(text, metadata=metadata)


# ---- Goals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", CHAPTERS, ids=name_of)
def test_each_chapter_has_its_goals_under_its_label(path: Path) -> None:
    box = teaching.goals(path)
    assert box, "a chapter has a box of goals; see any other"
    label, texts = box
    assert label == f"goals-{path.stem.replace('_', '-')}"
    assert 3 <= len(texts) <= 6


def test_goals_out_of_order_stop_the_build(tmp_path: Path) -> None:
    lines = [":::{admonition} Goals", ":name: goals-small", "", "- **G1** add;"]
    path = notebook(tmp_path, markdown("\n".join([*lines, "- **G2** multiply.", ":::"])))
    assert teaching.goals(path) == ("goals-small", ["add", "multiply"])
    path = notebook(tmp_path, markdown("\n".join([*lines, "- **G3** multiply.", ":::"])))
    with pytest.raises(ExtensionError, match=r"small: the goals must be '- \*\*G1\*\*"):
        teaching.goals(path)
    assert teaching.goals(notebook(tmp_path, markdown("# Nothing"))) is None


def test_sections_that_train_are_named_once(tmp_path: Path) -> None:
    path = notebook(
        tmp_path,
        code("x = 1"),
        markdown("# Title\n\n## Live"),
        code("train(model, x, epochs=1)"),
        code("for i in range(3):\n    train(model, x, epochs=1)"),
        markdown("## Later"),
        code("model.train()\ndef fitted(x):\n    return evaluation.fit_features(x)"),
        markdown("## Its own function"),
        code("features = fitted(x)"),
    )
    assert list(teaching.trains(path)) == ["Live", "Its own function"]


def test_the_page_names_every_chapter_in_its_plan_of_a_term() -> None:
    page = (ROOT / "book" / "teach.md").read_text("utf-8")
    term = page.split("### Fourteen weeks")[1].split("### Six weeks")[0]
    assert f"git clone --branch v{__version__} " in page
    named = set(re.findall(r"\{doc\}`([\w/]+)`", term))
    assert named == {name_of(path) for path in CHAPTERS}


# ---- Before class --------------------------------------------------------------------------------


def test_preflight_reports_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    report = "E   ValueError: no\nFAILED book/gan/dcgan.ipynb::Cell 4\n"

    def verify(path: Path) -> Verdict:
        return Verdict(path.stem != "dcgan", report, 46.0, 1.0)

    monkeypatch.setattr(preflight, "verify", verify)
    books = [str(ROOT / "book" / f"{name}.ipynb") for name in ("gan/dcgan", "start/quickstart")]
    assert preflight.main(books) == 1
    told = capsys.readouterr().out
    assert "[1/2] gan/dcgan (the book: " in told
    assert "[2/2] start/quickstart (the book: 23 s) ... runs, 46 s" in told
    assert "This machine takes 2.0 times the book's times." in told
    assert "gan/dcgan: Cell 4; ValueError: no" in told
    assert "1 of 2 notebooks fail; run 'companion doctor'" in told
    assert preflight.main(books[1:]) == 0
    assert "All 1 notebooks run." in capsys.readouterr().out
    with pytest.raises(SystemExit):
        preflight.main(["book/nowhere.ipynb"])


@pytest.mark.slow
def test_preflight_runs_a_notebook_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cell = code("1 + 1")
    cell.outputs = [nbformat.v4.new_output("execute_result", {"text/plain": "3"})]
    cell.outputs[0].execution_count = cell.execution_count = 1
    path = notebook(tmp_path, cell)
    before = path.read_bytes()
    assert preflight.main([str(path)]) == 1
    assert "small: " in capsys.readouterr().out
    cell.outputs[0].data["text/plain"] = "2"
    path = notebook(tmp_path, cell)
    assert preflight.main([str(path)]) == 0
    assert [*tmp_path.iterdir()] == [path]
    assert path.read_bytes() != before


# ---- Figures -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_figures_are_drawn_again_under_their_names_with_the_license(tmp_path: Path) -> None:
    about = {"figure": {"name": "fig-curve", "caption": "A curve,\nand nothing else."}}
    path = notebook(
        tmp_path,
        code("from companion import plots\nimport torch\nfrom IPython.display import display"),
        code("plots.curves({'a': [1.0, 2.0]})", mystnb=about),
        code("for _ in range(2):\n    display(plots.bars({'b': 1.0}, xlabel='bits'))"),
        code("plots.animation([torch.zeros(1, 1, 8, 8), torch.ones(1, 1, 8, 8)])"),
    )
    before = path.read_bytes()
    out = tmp_path / "figures.zip"
    assert figures.main([str(path), "--out", str(out), "--style", "projector"]) == 0
    assert path.read_bytes() == before
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [
            "small/fig-curve.svg",
            "small/cell-02-1.svg",
            "small/cell-02-2.svg",
            "small/cell-03.gif",
            "LICENSE.txt",
        ]
        svg = archive.read("small/fig-curve.svg").decode()
        assert archive.read("small/cell-03.gif").startswith(b"GIF8")
        listed = archive.read("LICENSE.txt").decode()
    assert figures.LICENSE in svg
    width = re.search(r'width="([\d.]+)pt"', svg)
    assert width
    assert float(width[1]) == pytest.approx(7 / 1.5 * 72)  # less paper, so larger letters
    assert listed.startswith(figures.LICENSE)
    assert "small/fig-curve.svg: A curve, and nothing else." in listed


@pytest.mark.slow
def test_a_notebook_that_fails_leaves_the_last_archive(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.zip"
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("last", "time")
    path = notebook(tmp_path, code("1 / 0"))
    assert figures.main([str(path), "--out", str(out)]) == 1
    assert "small: ZeroDivisionError" in capsys.readouterr().err
    with zipfile.ZipFile(io.BytesIO(out.read_bytes())) as archive:
        assert archive.namelist() == ["last"]
