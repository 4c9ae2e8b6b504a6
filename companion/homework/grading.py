"""A submission is graded: its answers run in a child process, and are judged here."""

import csv
import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from companion import checks
from companion.homework import assignments, submission
from companion.homework.checking import banned, other_variants
from companion.homework.isolation import LIMITS, Limits, execute
from companion.homework.judging import draws, judge
from companion.homework.running import Failure


@dataclass(frozen=True)
class Mark:
    """What one answer is worth, and why not more.

    Attributes:
        name: the question.
        points: what a right answer is worth.
        says: what is wrong, in one sentence; None if the answer is right.
    """

    name: str
    points: int
    says: str | None

    @property
    def earned(self) -> int:
        """All points or none."""
        return self.points if self.says is None else 0

    def __str__(self) -> str:
        return f"{self.name}: {self.earned}/{self.points} {self.says or 'right'}"


@dataclass(frozen=True)
class Report:
    """What a submission has earned.

    Attributes:
        submission: the file.
        homework: its short name.
        variant: its number.
        seed: of the inputs; the same seed gives the same report.
        marks: one for each question, in order.
        notes: what a person should look at, such as suspicious imports.
        isolation: by what network and answers were kept from the submission.
    """

    submission: Path
    homework: str
    variant: int
    seed: int
    marks: tuple[Mark, ...]
    notes: tuple[str, ...]
    isolation: str

    @property
    def earned(self) -> int:
        """The sum of the points earned."""
        return sum(mark.earned for mark in self.marks)

    @property
    def points(self) -> int:
        """The sum of the points that could be earned."""
        return sum(mark.points for mark in self.marks)

    def __getitem__(self, name: str) -> Mark:
        marks = {mark.name: mark for mark in self.marks}
        return marks[checks.one_of("name", name, list(marks))]

    def __str__(self) -> str:
        lines = [
            f"{self.submission}: {self.earned} of {self.points} points "
            f"({self.homework}, variant {self.variant}, seed {self.seed}; {self.isolation})",
            *(f"  {mark}" for mark in self.marks),
            *(f"  look at: {note}" for note in self.notes),
        ]
        return "\n".join(lines)


def grade(
    homework: str,
    path: str | Path,
    *,
    variant: int = 0,
    seed: int | None = None,
    count: int = 10,
    limits: Limits = LIMITS,
) -> Report:
    """Grade a notebook or a Python file: definitions only, in a child process, judged outside.

    Of a submission imports, functions, classes and constants are executed; what else it has,
    training among it, is not. The child gets inputs and returns tensors, and the truth is computed
    in this process.

    Args:
        homework: its short name, such as ``"hw4"``.
        path: a notebook, or a Python file.
        variant: the number of the variant that was given out.
        seed: of the inputs; a random one if it is not given, which the report names.
        count: how many inputs are drawn for each question.
        limits: of time and memory.

    Raises:
        SubmissionError: the file cannot be read.
        ValueError: there is no homework of that name.
    """
    questions = assignments.questions(homework, variant)
    cells = submission.cells(path)
    seed = secrets.randbelow(2**31) if seed is None else checks.seed(seed)
    inputs = {name: draws(question, seed, count) for name, question in questions.items()}
    executed = execute(cells, questions, inputs, banned(questions), limits)
    marks = []
    for name, question in questions.items():
        outputs = executed.outputs[name]
        if len(outputs) != count and not any(isinstance(x, Failure) for x in outputs):
            outputs = [Failure("wrote over the results of the grader; a person should look at it")]
        others = other_variants(homework, name, variant)
        says = judge(question, inputs[name], outputs, seed=seed, others=others)
        marks.append(Mark(name, question.points, says))
    return Report(
        Path(path),
        homework,
        variant,
        seed,
        tuple(marks),
        (*submission.notes(cells), *executed.failed),
        executed.isolation,
    )


def table(reports: Sequence[Report]) -> str:
    """The points as a table in CSV: a row for each submission, a column for each question."""
    names = list(dict.fromkeys(mark.name for report in reports for mark in report.marks))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["submission", *names, "earned", "points", "look at"])
    for report in reports:
        earned = [report[name].earned for name in names]
        notes = "; ".join(report.notes)
        writer.writerow([report.submission, *earned, report.earned, report.points, notes])
    return text.getvalue()
