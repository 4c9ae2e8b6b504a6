"""companion homework: list, build, grade."""

import csv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from companion import cli
from companion.homework import assignments, grade
from companion.homework.build import build
from companion.homework.build.page import page
from companion.homework.build.source import read
from companion.homework.submission import SubmissionError, cells, left_out, notes
from tests.homework.cases import CHEATING, solutions


def companion(*arguments: str | Path) -> str:
    result = CliRunner().invoke(cli.app, ["homework", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_list_names_every_homework() -> None:
    said = companion("list")
    for name in assignments.listed():
        assert f"{name}: {assignments.title(name)}" in said


def test_build_writes_the_numbers_of_the_variant(tmp_path: Path) -> None:
    said = companion("build", "hw4", "--variant", "7", "--out", tmp_path)
    assert "variant 7" in said
    text = (tmp_path / "student/hw4.ipynb").read_text("utf-8")
    for number in assignments.constants("hw4", 7).values():
        assert str(number) in text
    assert (tmp_path / "manual/hw4.md").exists()
    before = {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}
    build("hw4", tmp_path, 7)
    assert before == {f: f.read_bytes() for f in tmp_path.rglob("*") if f.is_file()}


def test_no_solution_is_given_out(tmp_path: Path) -> None:
    files = build("hw4", tmp_path)
    secret = "torch.exp(0.5 * logvar) * noise"
    told = {f.relative_to(tmp_path).parts[0] for f in files if secret in f.read_text("utf-8")}
    assert told == {"nbgrader"}  # the instructor's, from which nbgrader makes the release
    assert secret not in page("hw4")


def test_grade_prints_sentences_and_writes_a_table(tmp_path: Path) -> None:
    right, cheat = tmp_path / "right.py", tmp_path / "cheat.py"
    right.write_text("\n\n".join(solutions("hw4")), "utf-8")
    cheat.write_text("\n\n".join([*solutions("hw4"), CHEATING]), "utf-8")
    said = companion("grade", "hw4", right, cheat, "--seed", "5", "--csv", tmp_path / "points.csv")
    assert f"{right}: 10 of 10 points (hw4, variant 0, seed 5; " in said
    assert f"{cheat}: 4 of 10 points" in said  # negative_elbo calls rate
    assert "rate: 0/3 calls companion.models.vae.gaussian_kl" in said
    rows = list(csv.DictReader((tmp_path / "points.csv").open(encoding="utf-8")))
    assert [row["earned"] for row in rows] == ["10", "4"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("build", "hw44"), "did you mean 'hw4'"),
        (("build", "hw4", "--variant", "-1"), "variant must be at least 0"),
    ],
)
def test_a_wrong_call_gets_a_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        companion(*arguments)


def test_a_file_that_is_no_notebook_is_named_and_the_rest_is_graded(tmp_path: Path) -> None:
    bad = tmp_path / "hw4.ipynb"
    bad.write_text("no JSON", "utf-8")
    with pytest.raises(SubmissionError, match="cannot be read as a notebook"):
        cells(bad)
    assert "not graded" in companion("grade", "hw4", bad)


def test_what_only_ipython_understands_is_no_obstacle(tmp_path: Path) -> None:
    file = tmp_path / "hw.ipynb"
    sources = ["%matplotlib inline\nx = 1", "%%bash\nrm -rf .", "if True:\n    !ls", "def broken(:"]
    made = ",".join(
        f'{{"cell_type": "code", "source": {source!r}}}'.replace("'", '"') for source in sources
    )
    file.write_text(f'{{"cells": [{made}]}}', "utf-8")
    found = cells(file)
    assert found[:3] == ["pass\nx = 1", "", "if True:\n    pass"]
    (note,) = notes(found)
    assert note.startswith("code cell 4 is no Python")
    assert left_out(["a = f()\nb = 1\nclass C: pass"]) == {"a"}


def test_a_source_must_ask_each_question(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "source.py").write_text("# %% question=other\nx = VARIANT.prior_mean\n", "utf-8")
    monkeypatch.setattr(assignments, "folder", lambda homework: tmp_path)
    monkeypatch.setattr(assignments, "_module", lambda homework: HW4)
    with pytest.raises(ValueError, match="write '# %% question=NAME'"):
        read("hw4")


class HW4:
    """Stands in for the module of questions."""

    constants = staticmethod(lambda variant: {"prior_mean": 0.5})
    questions = staticmethod(lambda variant: {"rate": None})


def test_an_answer_in_words_has_the_points_of_its_heading() -> None:
    assert [cell.points for cell in read("hw4") if cell.answer] == [2]


def test_what_the_builder_and_matplotlib_do_needs_no_look(tmp_path: Path) -> None:
    build("hw5", tmp_path)
    notebook = tmp_path / "student/hw5.ipynb"
    given = cells(notebook)
    assert notes(given) == []
    assert notes([*given, "def f():\n    return sys.modules"]) == ["code cell 12, line 2: uses sys"]
    assert "matplotlib" in "".join(given)
    assert grade("hw5", notebook, seed=0, count=1).notes == ()
