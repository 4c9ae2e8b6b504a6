"""The tests of the tests, for every homework that is listed: solution, wrong answers, starter."""

import importlib
import inspect
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from companion.homework import Question, Wrong, WrongAnswerError, assignments, check
from companion.homework.build.links import PAGES, PLACE, ROLE
from companion.homework.build.notebook import student
from companion.homework.build.source import read
from companion.homework.guard import find, guard
from companion.homework.judging import draws, judge
from companion.homework.running import Failure, run
from companion.homework.submission import definitions, notes
from tests.homework.cases import solutions

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
HOMEWORKS = list(assignments.listed())
SEEDS = range(5)
VARIANTS = (0, 7, 8)
ASKED = [(hw, name) for hw in HOMEWORKS for name in assignments.questions(hw)]
MISTAKES = [
    (hw, name, wrong) for hw, name in ASKED for wrong in assignments.questions(hw)[name].wrong
]
by_question = pytest.mark.parametrize(("homework", "name"), ASKED)


@cache
def solved(homework: str, variant: int) -> dict[str, Any]:
    """What the cells with solutions define."""
    space, failed = definitions(solutions(homework, variant))
    assert not failed, failed
    return space


@cache
def question(homework: str, name: str, variant: int = 0) -> Question:
    return assignments.questions(homework, variant)[name]


@by_question
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_solution_is_right(homework: str, name: str, variant: int, capsys: Any) -> None:
    for seed in SEEDS:
        check(homework, name, solved(homework, variant)[name], variant=variant, seed=seed)
    points = question(homework, name).points
    assert capsys.readouterr().out.startswith(f"{name}: right ({points} point")


@pytest.mark.parametrize(("homework", "name", "wrong"), MISTAKES)
def test_a_wrong_answer_is_caught_under_its_own_name(homework: str, name: str, wrong: str) -> None:
    for variant, seeds in ((0, SEEDS), (7, (0,))):
        asked = question(homework, name, variant)
        for seed in seeds:
            inputs = draws(asked, seed, 3)
            outputs = [run(name, asked.wrong[wrong].answer, x, asked.call) for x in inputs]
            says = judge(asked, inputs, outputs, seed=seed)
            assert says is not None, f"passes with seed {seed}"
            assert says.startswith(asked.wrong[wrong].says), f"seed {seed}, variant {variant}"


@by_question
@pytest.mark.parametrize("variant", VARIANTS[1:])
def test_an_answer_of_another_variant_is_wrong(homework: str, name: str, variant: int) -> None:
    with pytest.raises(WrongAnswerError):
        check(homework, name, solved(homework, 0)[name], variant=variant)


@by_question
def test_the_starter_says_that_there_is_no_answer(homework: str, name: str) -> None:
    cells = [cell.starter for cell in read(homework) if cell.kind == "code"]
    assert not any("SOLUTION" in cell for cell in cells)
    space, _ = definitions(cells)
    with pytest.raises(WrongAnswerError, match=f"^{name}: there is no answer yet"):
        check(homework, name, space[name])


@by_question
def test_a_malformed_answer_gets_a_sentence(homework: str, name: str) -> None:
    asked = question(homework, name)
    arity = len(draws(asked, 0, 1)[0])
    plain = asked.call is None

    def returning(value: Any) -> Any:
        return lambda *inputs: value

    cases: dict[str, Any] = {
        "no answer yet": None,
        "must be a function, got int": 3,
        "raises ZeroDivisionError": lambda *inputs: 1 / 0,
        "there is no answer": lambda *inputs: (_ for _ in ()).throw(NotImplementedError),
    }
    if plain:
        cases |= {
            "returned None": returning(None),
            "must return a tensor, got float": returning(1.0),
            "must return a tensor, got ndarray": returning(torch.ones(2).numpy()),
            "cannot be called as asked": eval(
                f"lambda {', '.join('abcdefghijkl'[: arity + 1])}: 0"
            ),
        }
    for sentence, answer in cases.items():
        with pytest.raises(WrongAnswerError, match=f"^{name}: .*{sentence}"):
            check(homework, name, answer)
    if plain:
        odd = torch.full((2, 3, 1, 5), float("nan"))
        with pytest.raises(WrongAnswerError, match=f"^{name}: must return"):
            check(homework, name, returning(odd))
        truth = asked.reference(*draws(asked, 0, 1)[0])
        if isinstance(truth, torch.Tensor) and truth.is_floating_point():
            nan = torch.full_like(truth, float("nan"))
            inputs = draws(asked, 0, 1)
            assert "NaN" in (judge(asked, inputs, [nan]) or "")


@by_question
def test_a_reference_is_double_and_keeps_its_hands_off(homework: str, name: str) -> None:
    asked = question(homework, name)
    for inputs in draws(asked, 0, 3):
        copies = [x.clone() if isinstance(x, torch.Tensor) else x for x in inputs]
        results = asked.reference(*inputs)
        for x in results if isinstance(results, tuple) else (results,):
            exact = not x.is_floating_point() or not x.any()  # whole numbers, or zeros
            assert exact or x.dtype == torch.float64
            assert not x.is_floating_point() or torch.isfinite(x).all()
        for a, b in zip(copies, inputs, strict=True):
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
            assert isinstance(a, torch.Tensor | int | float)


@by_question
def test_what_is_banned_exists_and_refuses(homework: str, name: str) -> None:
    for dotted in question(homework, name).banned:
        _, _, thing = find(dotted)
        with guard([dotted]):
            if inspect.isbuiltin(thing):  # only its names can be exchanged
                _, _, thing = find(dotted)
            says = run("it", lambda thing=thing: thing(), ())
            assert isinstance(says, Failure), dotted
            assert says.says.startswith(f"calls {dotted}"), says


@by_question
def test_a_call_can_travel_and_knows_no_answer(homework: str, name: str) -> None:
    call = question(homework, name).call
    if call is None:
        return
    module = importlib.import_module(call.__module__)
    assert getattr(module, call.__qualname__) is call
    assert not call.__module__.endswith("questions")


@pytest.mark.parametrize(("homework", "name", "wrong"), MISTAKES)
def test_a_sentence_says_what_is_wrong_and_where_to_read(
    homework: str, name: str, wrong: str
) -> None:
    mistake: Wrong = question(homework, name).wrong[wrong]
    assert 20 <= len(mistake.says) <= 300
    assert not mistake.says.endswith(".")
    page, _, label = mistake.see.partition("#")
    assert not label or label in labels(page), f"{mistake.see} is no label of the book"


@cache
def labels(page: str) -> set[str]:
    """The labels and the anchors of headings of a page of the book."""
    path = ROOT / "book" / page
    files = [f for f in (path.with_suffix(".ipynb"), path.with_suffix(".md")) if f.exists()]
    assert files, f"there is no page {page}"
    text = files[0].read_text("utf-8").replace("\\n", "\n").replace("\\\\", "\\")
    found = set(re.findall(r"\((eq-[a-z0-9-]+)\)", text))
    found |= set(re.findall(r"\(([a-z0-9-]+)\)=", text))
    found |= set(re.findall(r":(?:label|name): *([\w-]+)", text))
    found |= set(re.findall(r'"name": *"([\w-]+)"', text))
    for heading in re.findall(r'^[ "]*#+ (.+?)"?,?$', text, re.MULTILINE):
        plain = re.sub(r"[^\w\s-]", "", heading.strip().lower())
        found.add(re.sub(r"[\s-]+", "-", plain).strip("-"))
    return found


@pytest.mark.parametrize("homework", HOMEWORKS)
def test_a_students_notebook_is_plain(homework: str) -> None:
    for variant in VARIANTS:
        text = student(homework, variant, read(homework, variant))
        assert "VARIANT" not in text
        assert "SOLUTION" not in text
        assert not ROLE.search(text)
        for name in assignments.questions(homework):
            said = f", variant={variant}" if variant else ""
            assert f'check(\\"{homework}\\", \\"{name}\\", {name}{said})' in text


@pytest.mark.parametrize("homework", HOMEWORKS)
def test_every_link_of_a_source_leads_somewhere(homework: str) -> None:
    for cell in read(homework):
        for _, page, label in PLACE.findall(cell.text):
            assert not label or label in labels(page), f"{page}#{label}"
        for role, _, target in ROLE.findall(cell.text):
            if role == "doc":
                assert labels(target.removeprefix("/book/"))
            else:
                page = PAGES[target.removeprefix("eq-").split("-")[0]]
                assert target in labels(page), target


@pytest.mark.parametrize("homework", HOMEWORKS)
def test_solutions_are_nothing_to_look_at(homework: str) -> None:
    assert not notes(solutions(homework))
    assert assignments.title(homework)
    assert 3 <= len(assignments.questions(homework)) <= 5
    for name in assignments.questions(homework):
        starter = next(c.starter for c in read(homework) if c.question == name)
        assert "raise NotImplementedError" in starter
        assert inspect.getdoc(solved(homework, 0)[name]), f"{name} needs a docstring"


def test_there_are_many_wrong_answers() -> None:
    assert len(MISTAKES) >= 11 * len(HOMEWORKS) + 2  # ninety over eight homeworks
