"""One place for each check: it lets through what fits and says what does not, and why."""

from typing import Any

import numpy as np
import pytest
import torch

from companion import checks


@pytest.mark.parametrize("value", [3, np.int64(3), torch.tensor(3)])
def test_whole_numbers_of_any_kind_pass(value: Any) -> None:
    assert checks.integer("n", value) == 3
    assert type(checks.integer("n", value)) is int


@pytest.mark.parametrize("value", [2.0, "2", True, None, (2,), torch.tensor(2.0)])
def test_what_is_no_whole_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=r"n must be a whole number, at least 1, got .*; use n=1"):
        checks.integer("n", value)


def test_whole_numbers_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="n must be at least 1, got -3; give more"):
        checks.integer("n", -3, remedy="give more")
    with pytest.raises(ValueError, match="n must be from 0 to 5, got 6"):
        checks.integer("n", 6, least=0, most=5)


@pytest.mark.parametrize("value", [0.5, 1, np.float32(0.5), torch.tensor(0.5)])
def test_numbers_of_any_kind_pass(value: Any) -> None:
    assert checks.number("x", value, above=0) == float(value)


@pytest.mark.parametrize("value", ["0.5", True, None, [0.5], torch.ones(2)])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="x must be a number, positive, got "):
        checks.number("x", value, above=0)


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_numbers_out_of_range_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="x must be positive, got "):
        checks.number("x", value, above=0)


def test_a_range_with_two_ends() -> None:
    with pytest.raises(ValueError, match="x must be at least 0 and below 1, got 1"):
        checks.number("x", 1, least=0, below=1)


@pytest.mark.parametrize(
    ("value", "remedy"), [("WGAN-GP", "did you mean 'wgan_gp'"), ("zebra", "choose"), (None, "ch")]
)
def test_a_name_in_another_case_is_suggested(value: Any, remedy: str) -> None:
    with pytest.raises(
        ValueError, match=f"model must be one of 'gan', 'wgan_gp', got .*; {remedy}"
    ):
        checks.one_of("model", value, ["gan", "wgan_gp"])


def test_a_seed_is_no_generator() -> None:
    assert checks.generator(None) is None
    with pytest.raises(TypeError, match=r"got 3; use rng=torch.Generator\(\).manual_seed\(3\)"):
        checks.generator(3)
    with pytest.raises(TypeError, match="rng must be a torch.Generator, got Generator; use rng="):
        checks.generator(np.random.default_rng(0))


def test_image_shapes() -> None:
    assert checks.image_shape([1, 28, 28], multiple=4) == (1, 28, 28)
    assert checks.image_shape(torch.rand(5, 3, 8, 8).shape[1:]) == (3, 8, 8)
    with pytest.raises(TypeError, match="must be .channels, height, width.* got 32; give three"):
        checks.image_shape(32)
    with pytest.raises(
        ValueError, match=r"multiples of 4, such as \(1, 28, 28\), got \(1, 30, 28\)"
    ):
        checks.image_shape((1, 30, 28), multiple=4)
    with pytest.raises(ValueError, match=r"must be \(1, height, width\).* got \(3, 8, 8\); use"):
        checks.image_shape((3, 8, 8), channels=1)


def test_codes() -> None:
    checks.codes(torch.zeros(4, 7), 7)
    with pytest.raises(ValueError, match=r"z must have shape \(N, 7\), got \(7,\); draw it"):
        checks.codes(torch.zeros(7), 7)
    with pytest.raises(TypeError, match=r"of shape \(N, 7\), got list"):
        checks.codes([torch.zeros(7)] * 50, 7)


def test_shapes_that_would_broadcast_are_refused() -> None:
    with pytest.raises(ValueError, match=r"got mu \(2, 3\) and logvar \(3,\)"):
        checks.same_shape(mu=torch.zeros(2, 3), logvar=torch.zeros(3))
    with pytest.raises(TypeError, match="mu must be a tensor of floats, got 1.0"):
        checks.same_shape(mu=1.0, logvar=torch.zeros(3))


def test_values_are_looked_at_where_it_is_free() -> None:
    x = torch.zeros(3)
    assert checks.values_are_readable(x)
    assert not checks.values_are_readable(x.to("meta"))
    inside: list[bool] = []

    def look(row: torch.Tensor) -> torch.Tensor:
        inside.append(checks.values_are_readable(row))
        return row

    torch.func.vmap(look)(x)
    assert inside == [False]
