"""The one source of a homework: text, given code, and solutions between two markers."""

import re
from dataclasses import dataclass
from typing import Literal

from companion import checks
from companion.homework import assignments

HEAD = re.compile(r"^# %%[ \t]*(.*)$", re.MULTILINE)
SOLUTION = re.compile(r"^( *)### BEGIN SOLUTION\n.*?^ *### END SOLUTION$", re.MULTILINE | re.DOTALL)
MARKS = re.compile(r"^ *### (?:BEGIN|END) SOLUTION\n?", re.MULTILINE)
POINTS = re.compile(r"^## .*\((\d+) points?\b", re.MULTILINE)  # in the heading of a question
VARIANT = re.compile(r"\bVARIANT\.(\w+)")


@dataclass(frozen=True)
class Cell:
    """A cell of a homework, with the numbers of its variant.

    Attributes:
        kind: ``"markdown"`` or ``"code"``.
        text: as it stands in the source, solutions and all.
        question: the name of the question that the cell answers, or ``""``.
        answer: whether the student writes words here.
        points: of an answer in words, which a person grades.
    """

    kind: Literal["markdown", "code"]
    text: str
    question: str = ""
    answer: bool = False
    points: int = 0

    @property
    def starter(self) -> str:
        """What the student gets: without the solution."""
        return SOLUTION.sub(r"\1raise NotImplementedError  # write your answer here", self.text)

    @property
    def solution(self) -> str:
        """What is right, without the markers."""
        return MARKS.sub("", self.text)


def read(homework: str, variant: int = 0) -> list[Cell]:
    """The cells of a homework with the numbers of a variant.

    Raises:
        TypeError, ValueError: there is no such homework, or its source is not made as it should
            be: a cell asks for an unknown question or number, or a question has no cell.
    """
    numbers = assignments.constants(homework, variant)
    questions = assignments.questions(homework, variant)
    text = (assignments.folder(homework) / "source.py").read_text("utf-8")

    def number(found: re.Match[str]) -> str:
        return str(numbers[checks.one_of("VARIANT", found[1], list(numbers))])

    _, *parts = HEAD.split(VARIANT.sub(number, text))
    cells: list[Cell] = []
    for head, body in zip(parts[::2], parts[1::2], strict=True):
        points = POINTS.findall("\n".join(c.text for c in cells if c.kind == "markdown"))
        cells.append(_cell(head, body, int(points[-1]) if points else 0))
    asked = [cell.question for cell in cells if cell.question]
    if sorted(asked) != sorted(questions):
        raise ValueError(
            f"the source of {homework} has cells for {asked}, expected one for each of "
            f"{list(questions)}; write '# %% question=NAME'"
        )
    return cells


def _cell(head: str, body: str, points: int) -> Cell:
    """A cell from its first line and the rest; the points are those that the text named last."""
    if head.startswith("[markdown]"):
        lines = [re.sub(r"^# ?", "", line) for line in body.strip("\n").splitlines()]
        text = "\n".join(lines).strip()
        if "answer" in head:
            return Cell("markdown", text, answer=True, points=points)
        return Cell("markdown", text)
    question = re.search(r"question=(\w+)", head)
    return Cell("code", body.strip("\n").rstrip(), question[1] if question else "")
