"""nbgrader's and otter's own commands, and pytest's, grade what was built for them."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from companion.homework.build import build
from tests.homework.cases import fill, mixed_submission

SCRIPTS = Path(sys.executable).parent  # nbgrader starts alembic by its name
ENVIRONMENT = os.environ | {
    "OMP_NUM_THREADS": "1",
    "MPLBACKEND": "agg",
    "PATH": f"{SCRIPTS}{os.pathsep}{os.environ.get('PATH', '')}",
}
EARNED = {"free_bits": 2, "draw": 0, "rate": 0, "negative_elbo": 0}
SAID = {
    "draw": "the noise is added without its scale sigma",
    "rate": "calls companion.models.vae.gaussian_kl, which does what you are asked to write",
    "negative_elbo": "there is no answer yet",
}


def needs(package: str) -> pytest.MarkDecorator:
    """In CI nothing is skipped for want of a grader: `.ci/run` installs the extra `grading`."""
    missing = importlib.util.find_spec(package) is None and not os.environ.get("GRADERS_REQUIRED")
    return pytest.mark.skipif(
        missing, reason=f"{package} is not installed: pip install -e '.[grading]'"
    )


def command(*arguments: str | Path, cwd: Path, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT | {"HOME": str(cwd), "IPYTHONDIR": str(cwd / ".ipython")} | more,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@needs("nbgrader")
def test_nbgrader_releases_and_grades(tmp_path: Path) -> None:
    mixed_submission(tmp_path)
    course = tmp_path / "built/nbgrader"
    released = command("-m", "nbgrader", "generate_assignment", "hw4", cwd=course)
    assert released.returncode == 0, released.stderr
    release = course / "release/hw4/hw4.ipynb"
    text = release.read_text("utf-8")
    for secret in ("BEGIN SOLUTION", "HIDDEN TESTS", "seed=100", "clamp(min=FREE_NATS)"):
        assert secret not in text
    assert text.count("raise NotImplementedError") == 4

    student = json.loads((tmp_path / "hw4.ipynb").read_text("utf-8"))
    answers = {
        cell["id"]: cell["source"]
        for cell in student["cells"]
        if cell["id"] in ("free-bits", "draw", "rate")
    }
    fill(release, answers, course / "submitted/bitdiddle/hw4/hw4.ipynb")
    graded = command("-m", "nbgrader", "autograde", "hw4", cwd=course)
    assert graded.returncode == 0, graded.stderr
    code = (
        "from nbgrader.api import Gradebook\n"
        "with Gradebook('sqlite:///gradebook.db') as book:\n"
        "    found = book.find_submission_notebook('hw4', 'hw4', 'bitdiddle')\n"
        "    for grade in found.grades: print(grade.name, grade.auto_score, grade.max_score)\n"
    )
    scores = command("-c", code, cwd=course)
    assert scores.returncode == 0, scores.stderr
    lines = [line.split() for line in scores.stdout.splitlines()]
    earned = {name: float(score) for name, score, _ in lines if name.startswith("check-")}
    assert earned == {f"check-{n}".replace("_", "-"): p for n, p in EARNED.items()}
    by_hand = {float(most) for name, _, most in lines if name.startswith("answer-")}
    assert by_hand == {2.0}  # the answer in words, which was left as it was
    autograded = (course / "autograded/bitdiddle/hw4/hw4.ipynb").read_text("utf-8")
    for sentence in SAID.values():
        assert sentence in autograded


@pytest.mark.slow
@needs("otter")
def test_otter_grades(tmp_path: Path) -> None:
    notebook = mixed_submission(tmp_path)
    tests = tmp_path / "built/otter/hw4/tests"
    run = command("-m", "otter", "check", notebook, "-t", tests, cwd=tmp_path)
    said = run.stdout + run.stderr
    for name, points in EARNED.items():
        one = command("-m", "otter", "check", notebook, "-q", name, "-t", tests, cwd=tmp_path)
        text = one.stdout + one.stderr
        assert ("passed!" in text) == bool(points), text
        assert SAID.get(name, "") in text
        assert name in said


@pytest.mark.slow
def test_pytest_grades(tmp_path: Path) -> None:
    notebook = mixed_submission(tmp_path)
    shutil.copy(tmp_path / "built/pytest/grade_hw4.py", tmp_path)
    run = command(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "grade_hw4.py"),
        cwd=tmp_path,
        SUBMISSION=notebook.name,
    )
    assert "3 failed, 1 passed" in run.stdout, run.stdout + run.stderr
    for name, sentence in SAID.items():
        assert re.search(rf"{name}: 0/\d {re.escape(sentence)}", run.stdout), run.stdout


def test_the_workflow_runs_each_question(tmp_path: Path) -> None:
    build("hw4", tmp_path, 7)
    folder = tmp_path / "classroom/hw4"
    workflow = yaml.safe_load((folder / ".github/workflows/classroom.yml").read_text("utf-8"))
    (job,) = workflow["jobs"].values()
    graded = {s["id"]: s for s in job["steps"] if "command-grader" in s.get("uses", "")}
    assert {key: s["with"]["max-score"] for key, s in graded.items()} == {
        "rate": 3,
        "draw": 2,
        "negative-elbo": 3,
        "free-bits": 2,
    }
    reporter = job["steps"][-1]
    assert reporter["with"]["runners"].split(",") == list(graded)
    for key in graded:
        wanted = f"${{{{ steps.{key}.outputs.result }}}}"
        assert reporter["env"][f"{key.upper()}_RESULTS"] == wanted
    collected = command("-m", "pytest", "--collect-only", "-q", "grade_hw4.py", cwd=folder)
    for step in graded.values():
        test = step["with"]["command"].split("'")[1]
        assert test in collected.stdout
