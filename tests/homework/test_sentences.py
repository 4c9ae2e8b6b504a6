"""What a student is told who is wrong in a way that no list has, or right in an unusual form."""

import functools
import math

import pytest
import torch
from torch import Tensor

from companion.homework import WrongAnswerError, assignments, check


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


def test_a_factor_or_a_summand_is_named() -> None:
    assert "every number is 3 times the right one" in told(
        "hw4", "rate", lambda mu, logvar: 3 * rate(mu, logvar)
    )
    assert "every number is 1.5 less than" in told(
        "hw4", "rate", lambda mu, logvar: rate(mu, logvar) - 1.5
    )
    assert "none of the known mistakes" in told(
        "hw4", "rate", lambda mu, logvar: rate(mu, logvar) ** 2
    )


def test_what_a_call_makes_of_a_result_has_a_name() -> None:
    def loss(vectors: Tensor, entries: Tensor) -> Tensor:
        return 1.25 * (vectors.detach() - entries.detach()).square().sum((1, 2)).mean()

    def points(real: Tensor, fake: Tensor) -> Tensor:
        epsilon = torch.rand(2, len(real), 1, 1, 1) / 2
        return epsilon * real + (1 - epsilon) * fake

    assert "in the gradient in the vectors: gives 0," in told("hw5", "codebook_loss", loss)
    said = told("hw7", "points_between", points)
    assert "in whether they are spread evenly over [0, 1] (1 is yes): gives 0, expected 1" in said
    said = told("hw7", "points_between", lambda *x: points(*x).transpose(0, 1))
    assert "in the points: must return shape (2, 400, 1, 2, 2)" in said
    assert "the dimensions stand in another order" in said


def test_a_tuple_or_a_list_too_much_is_called_so() -> None:
    said = told("hw5", "straight_through", lambda z, codebook: (z, codebook))
    assert "must return one tensor, got a tuple of 2; return the result alone" in said
    assert "got a list of numbers" in told("hw6", "sides", sides)


def test_the_logarithm_of_the_share_is_not_another_variant() -> None:
    said = told("hw6", "generator_loss", lambda real, fake: share_loss(fake))
    assert "the logarithm of pi was subtracted" in said


def share_loss(fake: Tensor) -> Tensor:
    return torch.nn.functional.softplus(-(fake - math.log(1 / 4))).mean()


def test_a_share_and_the_rest_differ() -> None:
    """An answer that exchanges them must not be right by chance."""
    for variant in range(50):
        assert assignments.constants("hw5", variant)["share"] < 0.5
