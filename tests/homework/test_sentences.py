"""What a student is told who is wrong in a way that no list has, or right in an unusual form."""

import functools

import pytest
import torch
from torch import Tensor

from companion.homework import WrongAnswerError, check


def told(homework: str, name: str, answer: object) -> str:
    with pytest.raises(WrongAnswerError) as raised:
        check(homework, name, answer)
    return str(raised.value)


def sides(start: int, layers: Tensor) -> list[int]:
    found = []
    for kernel, stride, padding, more in layers.tolist():
        start = (start - 1) * stride - 2 * padding + 2 * (kernel - 1) + 1 + more
        found.append(start)
    return found


def rate(mu: Tensor, logvar: Tensor, mean: float = 0.5) -> Tensor:
    return 0.5 * ((mu - mean) ** 2 + logvar.exp() - 1 - logvar).sum(1)


def test_right_numbers_as_floats_are_no_integers() -> None:
    check("hw6", "sides", lambda start, layers: torch.tensor(sides(start, layers)))
    said = told("hw6", "sides", lambda start, layers: torch.tensor(sides(start, layers)) / 1)
    assert "must return integers, got float32" in said


def test_answers_may_be_more_than_functions() -> None:
    class Called:
        def __call__(self, mu: Tensor, logvar: Tensor) -> Tensor:
            return rate(mu, logvar)

    class Module(torch.nn.Module):
        def forward(self, mu: Tensor, logvar: Tensor) -> Tensor:
            return rate(mu, logvar)

    for answer in (Called(), Module(), functools.partial(rate, mean=0.5)):
        check("hw4", "rate", answer)


def test_a_mistake_in_them_is_shown_where_it_is() -> None:
    class Called:
        def __call__(self, mu: Tensor, logvar: Tensor) -> Tensor:
            return mu + "logvar"  # type: ignore[operator]

    class Module(torch.nn.Module):
        def forward(self, mu: Tensor, logvar: Tensor) -> Tensor:
            return mu @ logvar

    assert "raises TypeError in line 2 of __call__, `return mu +" in told("hw4", "rate", Called())
    assert "raises RuntimeError in line 2 of forward" in told("hw4", "rate", Module())
    assert "raises TypeError in line 2 of rate" in told(
        "hw4", "rate", functools.partial(rate, mean="a")
    )
    assert "cannot be called as asked" in told("hw4", "rate", torch.exp)
    assert "cannot be called as asked" in told("hw4", "rate", Called)
