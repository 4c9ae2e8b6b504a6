"""companion.notebook: what `expect` prints is a claim that others may check."""

from __future__ import annotations

import configparser
import math
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from book._tools import ROOT
from book._tools.claims import claim_fault
from companion.notebook import expect, seed


def said(capsys: pytest.CaptureFixture[str], *args: Any, **bounds: Any) -> str:
    expect(*args, **bounds)
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("value", "bounds", "line"),
    [
        (4.312, {"below": 4.6}, "x ≈ 4.31  (< 4.6 holds)"),
        (4.312, {"above": 4}, "x ≈ 4.31  (> 4 holds)"),
        (0.9, {"above": 0.8, "below": 1.2}, "x ≈ 0.900  (0.8 < · < 1.2 holds)"),
        (1.32, {"near": 1.3, "within": 0.05}, "x ≈ 1.32  (1.3 ± 0.05 holds)"),
        (4.312, {"below": 4.6, "unit": "nats"}, "x ≈ 4.31 nats  (< 4.6 holds)"),
        (12345.6, {"above": 0}, "x ≈ 12346  (> 0 holds)"),
        (8, {"above": 7}, "x ≈ 8  (> 7 holds)"),
        (-0.5, {"below": 0}, "x ≈ -0.500  (< 0 holds)"),
        (3e-7, {"below": 1e-6}, "x ≈ 3.00e-07  (< 1e-06 holds)"),
        (0.0, {"below": 1}, "x ≈ 0  (< 1 holds)"),
        (torch.tensor(2.5), {"below": 3}, "x ≈ 2.50  (< 3 holds)"),
        (torch.tensor([2.5], requires_grad=True), {"below": 3}, "x ≈ 2.50  (< 3 holds)"),
        (np.float32(2.5), {"below": 3}, "x ≈ 2.50  (< 3 holds)"),
        # Three digits would print a number that breaks the bound, so there are more.
        (4.5999, {"below": 4.6}, "x ≈ 4.5999  (< 4.6 holds)"),
        (3.3996, {"below": 3.4}, "x ≈ 3.3996  (< 3.4 holds)"),
    ],
)
def test_expect_prints_the_number_and_its_claim(
    value: Any, bounds: dict[str, Any], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, "x", value, **bounds) == line + "\n"


@pytest.mark.parametrize(
    ("value", "bounds", "message"),
    [
        (4.7, {"below": 4.6, "unit": "nats"}, "x is 4.7 nats, expected < 4.6 nats"),
        (4.6, {"below": 4.6}, "x is 4.6, expected < 4.6"),
        (4.6, {"above": 4.6}, "x is 4.6, expected > 4.6"),
        (0.7, {"above": 0.8, "below": 1.2}, "x is 0.7, expected 0.8 < · < 1.2"),
        (1.4, {"near": 1.3, "within": 0.05}, "x is 1.4, expected 1.3 ± 0.05"),
        (math.nan, {"below": 4.6}, "x is nan, expected < 4.6"),
        (math.inf, {"above": 4.6}, "x is inf, expected > 4.6"),
    ],
)
def test_expect_raises_and_prints_nothing_when_the_bound_fails(
    value: float, bounds: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError, match=f"^{re.escape(message)}$"):
        expect("x", value, **bounds)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "x: give a bound"),
        ({"near": 1.0}, "give near= and within= together"),
        ({"within": 1.0}, "give near= and within= together"),
        ({"near": 1.0, "within": 0.1, "below": 2.0}, "together and no other bound"),
        ({"near": 1.0, "within": -0.1}, "no number is near=1.0 within=-0.1"),
        ({"above": 2, "below": 1}, "no number is above 2 and below 1"),
        ({"above": math.nan, "below": 1}, "no number is above nan"),
    ],
)
def test_expect_refuses_bounds_that_say_nothing(bounds: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        expect("x", 1.0, **bounds)


@pytest.mark.parametrize("value", [torch.zeros(2), "4.3", True, None, [1.0]])
def test_expect_refuses_what_is_not_one_number(value: Any) -> None:
    with pytest.raises(TypeError, match="x must be one number, got"):
        expect("x", value, below=5)


@pytest.mark.parametrize("name", ["", "a ≈ b", "two\nlines"])
def test_expect_refuses_a_name_that_the_gate_could_not_read(name: str) -> None:
    with pytest.raises(ValueError, match="one line of text"):
        expect(name, 1.0, below=5)


@pytest.mark.parametrize(
    ("bounds", "control", "line"),
    [
        ({"above": 0.8}, 0.1, "(> 0.8 holds; fails for the control ≈ 0.100)"),
        (
            {"above": 0.8},
            {"shuffled labels": 0.1, "untrained": torch.tensor(0.25)},
            "(> 0.8 holds; fails for shuffled labels ≈ 0.100, untrained ≈ 0.250)",
        ),
        # Three digits would print a control that keeps the bound.
        (
            {"near": 0.9, "within": 0.05},
            0.95004,
            "(0.9 ± 0.05 holds; fails for the control ≈ 0.95004)",
        ),
        ({"near": 0.9, "within": 0.05}, 0, "(0.9 ± 0.05 holds; fails for the control ≈ 0)"),
    ],
)
def test_expect_prints_a_control_that_breaks_the_bound(
    bounds: dict[str, Any], control: Any, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, "accuracy", 0.91, control=control, **bounds)
    assert text == f"accuracy ≈ 0.910  {line}\n"
    assert claim_fault(text.rstrip("\n")) == ""


@pytest.mark.parametrize(
    ("control", "error", "message"),
    [
        (0.85, AssertionError, "the check cannot tell"),
        ({"untrained": 0.1, "shuffled": 0.9}, AssertionError, "x for shuffled is 0.9 and keeps"),
        (math.nan, AssertionError, "is nan, which proves nothing"),
        ({"untrained": -math.inf}, AssertionError, "is -inf, which proves nothing"),
        ({}, ValueError, "control is empty"),
        ({"a, b": 0.1}, ValueError, "one line of text without"),
        ({"a ≈ b": 0.1}, ValueError, "one line of text without"),
        ({1: 0.1}, ValueError, "one line of text without"),
        ("0.1", TypeError, "must be one number, got '0.1'"),
    ],
)
def test_expect_refuses_a_control_that_proves_nothing(
    control: Any, error: type[Exception], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(error, match=re.escape(message)) as caught:
        expect("x", 0.91, above=0.8, control=control)
    assert "\n" not in str(caught.value)
    assert capsys.readouterr().out == ""


def test_the_sanitizer_masks_the_numbers_of_controls_and_nothing_else() -> None:
    rules = configparser.ConfigParser()
    rules.read(ROOT / "book" / "_tools" / "sanitize.cfg", encoding="utf-8")
    pattern = rules["approximate"]["regex"].replace(r"\u2248", "≈")
    line = "x ≈ 0.91  (> 0.8 holds; fails for 2 epochs ≈ -1.5e-05, untrained ≈ 0)"
    masked = re.sub(pattern, "NUMBER", line)
    assert masked == "x ≈ NUMBER  (> 0.8 holds; fails for 2 epochs ≈ NUMBER, untrained ≈ NUMBER)"


def test_expect_without_a_name_says_what_comes_first() -> None:
    with pytest.raises(TypeError, match="the name of what was measured comes first, got 3; use"):
        expect(3, below=4)  # type: ignore[arg-type]


def test_expect_refuses_a_bound_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="x: below must be one number, got '4'"):
        expect("x", 3, below="4")  # type: ignore[arg-type]


@given(
    value=st.floats(-1e9, 1e9, allow_subnormal=False),
    room=st.floats(1e-6, 1e6),
    unit=st.sampled_from(["", "nats", "bits per dimension"]),
)
def test_the_gate_reads_what_expect_prints(value: float, room: float, unit: str) -> None:
    import contextlib
    import io

    bound = float(f"{value + room:.9g}")
    if not value < bound:
        return
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        expect("a number", value, below=bound, unit=unit)
    assert claim_fault(text.getvalue().rstrip("\n")) == ""


def test_seed_repeats_both_generators() -> None:
    with torch.random.fork_rng():
        first = seed(3)
        a = (torch.rand(4), torch.rand(4, generator=first))
        second = seed(3)
        b = (torch.rand(4), torch.rand(4, generator=second))
    assert first.initial_seed() == 3
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("n", [-1, 1.5, True, "0", 2**63])
def test_seed_refuses_what_is_no_seed(n: Any) -> None:
    with pytest.raises(ValueError, match="a seed is an integer"):
        seed(n)
