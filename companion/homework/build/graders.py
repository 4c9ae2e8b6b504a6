"""Graders from the source of a homework: for nbgrader, otter, pytest and GitHub Classroom.

All of them ask :func:`companion.homework.check` or :func:`companion.homework.grade`, so that a
student reads the same sentence everywhere.
"""

from collections.abc import Iterable
from typing import Any

from companion.homework import assignments
from companion.homework.build.links import addresses
from companion.homework.build.notebook import Notebook, check_call
from companion.homework.build.source import Cell

HIDDEN = ", seed=100, count=20"  # inputs that the student's notebook does not show


def nbgrader(homework: str, variant: int, cells: Iterable[Cell]) -> str:
    """The instructor's notebook for nbgrader, with solutions and hidden tests between markers."""
    questions = assignments.questions(homework, variant)
    built = Notebook()
    for number, cell in enumerate(cells):
        if cell.kind == "markdown":
            built.markdown(f"text-{number}", addresses(cell.text), **_answer(number, cell))
            continue
        graded = {"nbgrader": _marks(cell.question, solution=True)} if cell.question else {}
        built.code(cell.question or f"code-{number}", cell.text, **graded)
        if cell.question:
            hidden = check_call(homework, cell.question, variant, HIDDEN)
            lines = [
                "from companion.homework import check",
                "",
                check_call(homework, cell.question, variant),
                "### BEGIN HIDDEN TESTS",
                hidden,
                "### END HIDDEN TESTS",
            ]
            name, points = f"check-{cell.question}", questions[cell.question].points
            marks = _marks(name, grade=True, locked=True, points=points)
            built.code(name, "\n".join(lines), nbgrader=marks)
    return built.text()


NBGRADER_CONFIG = '''\
"""A course: `nbgrader generate_assignment hw4` releases, `nbgrader autograde hw4` grades."""

c = get_config()  # noqa: F821
c.CourseDirectory.course_id = "images-from-noise"
c.ClearSolutions.code_stub = {"python": "raise NotImplementedError  # write your answer here"}
'''


def otter(homework: str, variant: int, name: str) -> str:
    """A test file of otter for one question: a public test, and a hidden one with other inputs."""
    points = assignments.questions(homework, variant)[name].points
    return f'''\
from otter.test_files import test_case

from companion.homework import check

OK_FORMAT = False

name = "{name}"
points = {points}


@test_case(name="public", points=0)
def test_public({name}):
    {check_call(homework, name, variant)}


@test_case(name="hidden", points={points}, hidden=True)
def test_hidden({name}):
    {check_call(homework, name, variant, HIDDEN)}
'''


def pytest(homework: str, variant: int) -> str:
    """A grader for pytest alone: definitions only, in a child process."""
    names = list(assignments.questions(homework, variant))
    return f'''\
"""Grades a notebook: SUBMISSION={homework}.ipynb python -m pytest grade_{homework}.py

Definitions are executed, in a process of their own; training is not.
"""

import os

import pytest

from companion.homework import grade


@pytest.fixture(scope="module")
def report():
    return grade("{homework}", os.environ.get("SUBMISSION", "{homework}.ipynb"), variant={variant})


@pytest.mark.parametrize("name", {names!r})
def test_answer(report, name):
    mark = report[name]
    assert mark.says is None, str(mark)
'''


def classroom(homework: str, variant: int) -> str:
    """The workflow of a repository in GitHub Classroom: points for each question at each push."""
    import yaml

    questions = assignments.questions(homework, variant)
    runners = list(questions)
    steps: list[dict[str, Any]] = [
        {"uses": "actions/checkout@v4"},
        {"uses": "actions/setup-python@v5", "with": {"python-version": "3.12"}},
        {"run": "python -m pip install -r requirements.txt"},
    ]
    steps += [
        {
            "name": name,
            "id": name.replace("_", "-"),
            "uses": "classroom-resources/autograding-command-grader@v1",
            "with": {
                "test-name": name,
                "setup-command": "",
                "command": f"python -m pytest -q 'grade_{homework}.py::test_answer[{name}]'",
                "timeout": 10,
                "max-score": question.points,
            },
        }
        for name, question in questions.items()
    ]
    results = {
        f"{name.replace('_', '-').upper()}_RESULTS": f"${{{{ steps.{name.replace('_', '-')}"
        ".outputs.result }}"
        for name in runners
    }
    steps.append(
        {
            "uses": "classroom-resources/autograding-grading-reporter@v1",
            "env": results,
            "with": {"runners": ",".join(name.replace("_", "-") for name in runners)},
        }
    )
    workflow = {
        "name": "Autograding Tests",
        "on": ["push", "workflow_dispatch"],
        "permissions": {"checks": "write", "actions": "read", "contents": "read"},
        "jobs": {
            "run-autograding-tests": {
                "runs-on": "ubuntu-latest",
                "if": "github.actor != 'github-classroom[bot]'",
                "steps": steps,
            }
        },
    }
    return yaml.safe_dump(workflow, sort_keys=False)


REQUIREMENTS = """\
images-from-noise[notebooks] @ git+https://github.com/images-from-noise/images-from-noise
pytest
"""


def _answer(number: int, cell: Cell) -> dict[str, Any]:
    """What nbgrader must know of an answer in words: a person grades it."""
    if not cell.answer:
        return {}
    marks = _marks(f"answer-{number}", grade=True, solution=True, points=cell.points)
    return {"nbgrader": marks}


def _marks(name: str, **given: Any) -> dict[str, Any]:
    plain = {"grade": False, "solution": False, "locked": False, "task": False}
    return {"schema_version": 3, "grade_id": name.replace("_", "-"), **plain, **given}
