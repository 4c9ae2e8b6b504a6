"""Tasks for a memory: what a sequence shows, what is asked for, and what chance reaches."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from companion.data import adding_problem, check_images, copy_chance, copy_task


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("length", [2, 3, 10, 101])
def test_one_number_of_each_half_is_marked_and_their_sum_is_asked_for(length: int) -> None:
    sequences, sums = adding_problem(500, length, rng=rng())
    check_images(sequences, (1, length, 2))
    assert sums.shape == (500,)
    values, marks = sequences[:, 0].unbind(dim=2)
    assert set(marks.unique().tolist()) <= {0.0, 1.0}
    half = length // 2
    assert (marks[:, :half].sum(dim=1) == 1).all()
    assert (marks[:, half:].sum(dim=1) == 1).all()
    torch.testing.assert_close(sums, (values * marks).sum(dim=1))


def test_marks_reach_every_step_and_numbers_fill_the_interval() -> None:
    sequences, _ = adding_problem(5000, 10, rng=rng())
    values, marks = sequences[:, 0].unbind(dim=2)
    torch.testing.assert_close(marks.mean(dim=0), torch.full((10,), 0.2), atol=0.025, rtol=0)
    assert values.mean().item() == pytest.approx(1 / 2, abs=0.005)
    assert values.var().item() == pytest.approx(1 / 12, abs=0.002)


def test_chance_of_the_adding_problem_is_a_sixth() -> None:
    """Not 0.1767, as is sometimes quoted: that value would be 0.01 above the answer 'always 1'."""
    _, sums = adding_problem(200_000, 20, rng=rng())
    assert sums.double().mean().item() == pytest.approx(1, abs=0.003)
    always_one = (sums.double() - 1).square().mean().item()
    assert always_one == pytest.approx(1 / 6, abs=0.002)
    assert abs(always_one - 0.1767) > 0.005


def test_a_sequence_to_copy_shows_symbols_blanks_a_mark_and_blanks() -> None:
    sequences, answers = copy_task(50, 7, count=3, symbols=4, rng=rng())
    check_images(sequences, (1, 7 + 6, 4 + 2))
    assert answers.dtype == torch.int64
    assert answers.shape == (50, 13)
    assert (sequences.sum(dim=3) == 1).all()  # the indicator of one thing at each step
    shown = sequences[:, 0].argmax(dim=2)
    assert shown[:, :3].max() <= 3
    blank, mark = 4, 5
    assert (shown[:, 3:9] == blank).all()  # delay - 1 of them
    assert (shown[:, 9] == mark).all()
    assert (shown[:, 10:] == blank).all()
    assert (answers[:, :10] == blank).all()
    assert torch.equal(answers[:, 10:], shown[:, :3])
    # From the first symbol to its repetition: delay + count steps.
    assert shown.shape[1] - 3 == 7 + 3


def test_the_usual_sizes_of_the_copy_task() -> None:
    sequences, answers = copy_task(1000, 1, rng=rng())
    assert tuple(sequences.shape) == (1000, 1, 21, 10)
    symbols = torch.bincount(answers[:, -10:].flatten(), minlength=9) / 10_000
    torch.testing.assert_close(symbols[:8], torch.full((8,), 1 / 8), atol=0.015, rtol=0)
    assert symbols[8] == 0


@pytest.mark.parametrize(("delay", "count", "symbols"), [(30, 10, 8), (5, 3, 4)])
def test_chance_of_the_copy_task_is_what_no_memory_costs(
    delay: int, count: int, symbols: int
) -> None:
    """An answer that knows when, but not what: blanks for certain, then a uniform guess."""
    _, answers = copy_task(100, delay, count=count, symbols=symbols, rng=rng())
    logits = torch.full((100, delay + 2 * count, symbols + 1), -50.0, dtype=torch.float64)
    logits[:, :-count, symbols] = 50
    logits[:, -count:, :symbols] = 0
    without = F.cross_entropy(logits.flatten(0, 1), answers.flatten()).item()
    chance = copy_chance(delay, count=count, symbols=symbols)
    assert without == pytest.approx(chance, abs=1e-12)


def test_chance_of_the_usual_copy_task() -> None:
    assert copy_chance(1000) == pytest.approx(10 * math.log(8) / 1020, abs=1e-15)


@pytest.mark.parametrize("task", [adding_problem, copy_task])
def test_a_generator_decides_the_draw_and_nothing_else_does(
    task: Callable[..., tuple[Tensor, Tensor]],
) -> None:
    before = torch.get_rng_state()
    first, again = task(10, 12, rng=rng(3)), task(10, 12, rng=rng(3))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    default = task(10, 12)
    torch.manual_seed(5)
    assert all(torch.equal(a, b) for a, b in zip(default, task(10, 12), strict=True))


def test_tasks_that_cannot_be_are_refused() -> None:
    for task in (adding_problem, copy_task):
        with pytest.raises(ValueError, match="n must be at least 1.* got 0"):
            task(0, 10)
    with pytest.raises(ValueError, match="length must be at least 2.* got 1"):
        adding_problem(10, 1)
    for bad in ({"delay": 0}, {"count": 0}, {"symbols": 1}):
        arguments = {"delay": 5} | bad
        (name,) = bad
        for call in (lambda **a: copy_task(10, **a), copy_chance):
            with pytest.raises(ValueError, match=f"{name} must be at least .*, got .*use {name}"):
                call(**arguments)
