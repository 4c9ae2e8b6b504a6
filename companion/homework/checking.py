"""``check``: what a student runs below each answer."""

from typing import Any

from companion import checks
from companion.homework import assignments
from companion.homework.guard import guard
from companion.homework.judging import draws, judge
from companion.homework.running import run

KNOWN_VARIANTS = 10  # an answer of another variant is recognized up to this number


class WrongAnswerError(AssertionError):
    """An answer that is wrong; the message says in one sentence why, or what to do."""

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows: the sentence, without the frames of the checker."""
        return [f"wrong: {self}"]


def check(
    homework: str, name: str, answer: Any, *, variant: int = 0, seed: int = 0, count: int = 3
) -> None:
    """Check an answer on random inputs, and say in one sentence what is wrong, or that it is right.

    >>> check("hw4", "rate", rate)
    rate: right (3 points)

    Args:
        homework: its short name, such as ``"hw4"``.
        name: the question: the name of the function that is asked for.
        answer: the function.
        variant: the number of the homework's variant; the notebook has it.
        seed: of the random inputs.
        count: how many inputs are drawn.

    Raises:
        WrongAnswerError: the answer is wrong: the sentence says why and, of a known mistake, where
            the book explains it.
        ValueError: there is no homework or question of that name.
    """
    questions = assignments.questions(homework, variant)
    question = questions[checks.one_of("name", name, list(questions))]
    inputs = draws(question, seed, count)
    with guard(banned(questions)):
        outputs = [run(name, answer, x, question.call) for x in inputs]
    says = judge(
        question, inputs, outputs, seed=seed, others=other_variants(homework, name, variant)
    )
    if says is not None:
        raise WrongAnswerError(f"{name}: {says}")
    print(f"{name}: right ({question.points} point{'s' * (question.points != 1)})")


def banned(questions: dict[str, Any]) -> list[str]:
    """What refuses while any answer of a homework runs: what one of its questions asks for."""
    return list(dict.fromkeys(dotted for q in questions.values() for dotted in q.banned))


def other_variants(homework: str, name: str, variant: int) -> list[tuple[int, Any]]:
    """The same question of other variants, with their numbers."""
    numbers = [number for number in range(KNOWN_VARIANTS) if number != variant]
    return [(number, assignments.questions(homework, number)[name]) for number in numbers]
