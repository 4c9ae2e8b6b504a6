"""What a notebook needs so that its stored outputs can be verified on any machine.

What is exact (a shape, a count, a formula in float64) a notebook prints, and the printed text is
compared letter by letter. What training produces differs in its last digits between machines;
it goes through `expect`, which states a bound that must hold everywhere:

    >>> from companion.notebook import expect
    >>> expect("test loss", 4.312, below=4.6)
    test loss ≈ 4.31  (< 4.6 holds)

A check that would hold as well if the claim were false checks nothing. So the case in which it
is false is measured, too, and must break the bound:

    >>> expect("test accuracy", 0.912, above=0.8, control={"shuffled labels": 0.104})
    test accuracy ≈ 0.912  (> 0.8 holds; fails for shuffled labels ≈ 0.104)

The numbers after `≈` are the only thing that the comparison leaves out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import SupportsFloat

import torch


def seed(n: int) -> torch.Generator:
    """Seed torch's default generator with `n`, and return a new generator seeded with `n`.

    This acts on the whole process, which is why nothing in `companion` calls it: a notebook
    does, once, in plain sight. Weights are then initialized from the default generator;
    the returned one is for everything that takes `rng=` (or torch's own `generator=`).

    Args:
        n: any integer from 0 to 2**63 - 1.

    Raises:
        ValueError: `n` is not such an integer.
    """
    if isinstance(n, bool) or not isinstance(n, int) or not 0 <= n < 2**63:
        raise ValueError(f"a seed is an integer from 0 to 2**63 - 1, got {n!r}; use seed(0)")
    torch.manual_seed(n)
    return torch.Generator().manual_seed(n)


def expect(
    name: str,
    value: SupportsFloat | None = None,
    *,
    above: float | None = None,
    below: float | None = None,
    near: float | None = None,
    within: float | None = None,
    unit: str = "",
    control: SupportsFloat | Mapping[str, SupportsFloat] | None = None,
) -> None:
    """Print a measured number beside the bound that it keeps, or raise if it does not.

        test loss ≈ 4.31 nats  (< 4.6 holds)                    below=4.6, unit="nats"
        D(x) ≈ 0.512  (0.4 < · < 0.6 holds)                     above=0.4, below=0.6
        KL by Monte Carlo ≈ 1.32 nats  (1.3 ± 0.05 holds)       near=1.3, within=0.05

    Args:
        name: what was measured, in a few words without the sign `≈`.
        value: a number, or a tensor of one element.
        above, below: strict bounds; one of them or both.
        near, within: instead of those, the expected number and the distance allowed from it.
        unit: printed after the number.
        control: the same quantity where the claim is false, such as that of an untrained model;
            several by name, in a few words without the signs `≈` and `,`.

    Raises:
        AssertionError: the bound fails, or the value is NaN or infinite; or a control keeps the
            bound, or is NaN or infinite: a measurement that broke down proves nothing.
        TypeError: the name is no text, or the value, a bound or a control is not one number.
        ValueError: no bound was given, or one that no number can keep; or no control in a mapping.
    """
    if not isinstance(name, str):
        raise TypeError(
            f"the name of what was measured comes first, got {name!r}; "
            'use expect("test loss", value, below=...)'
        )
    if not name or "≈" in name or "\n" in name:
        raise ValueError(
            f"the name must be one line of text without '≈', got {name!r}; "
            "say in a few words what was measured"
        )
    number = _number(name, value)
    claim, low, high = _claim(name, above, below, near, within)
    # `near ± within` includes its ends, `above` and `below` do not.
    inclusive = near is not None

    def holds(x: float) -> bool:
        return low <= x <= high if inclusive else low < x < high

    suffix = f" {unit}" if unit else ""
    if not math.isfinite(number):
        raise AssertionError(f"{name} is {number}, expected {claim}{suffix}")
    if not holds(number):
        raise AssertionError(f"{name} is {number:.6g}{suffix}, expected {claim}{suffix}")
    controls = _controls(name, control, claim, holds)
    print(f"{name} ≈ {_show(number, holds)}{suffix}  ({claim} holds{controls})")


def _number(name: str, value: SupportsFloat | None) -> float:
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        raise TypeError(
            f"{name} must be one number, got a tensor of shape {tuple(value.shape)}; "
            "use its mean(), max() or item()"
        )
    if isinstance(value, (str, bool)):
        raise TypeError(f"{name} must be one number, got {value!r}; pass a float or an int")
    try:
        return float(value.item() if isinstance(value, torch.Tensor) else value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        kind = type(value).__name__
        raise TypeError(f"{name} must be one number, got a {kind}; pass a float") from error


def _controls(
    name: str,
    control: SupportsFloat | Mapping[str, SupportsFloat] | None,
    claim: str,
    holds: Callable[[float], bool],
) -> str:
    """The controls in words, each of which must break the bound; empty if none is given."""
    if control is None:
        return ""
    cases = control if isinstance(control, Mapping) else {"the control": control}
    if not cases:
        raise ValueError(f'{name}: control is empty; name a case, as in {{"untrained": 0.1}}')
    shown = []
    for case, measured in cases.items():
        if not isinstance(case, str) or not case or any(sign in case for sign in "≈,\n"):
            raise ValueError(
                f"{name}: a control's name must be one line of text without '≈' and ',', "
                f"got {case!r}; say in a few words what is different in it"
            )
        number = _number(f"{name} for {case}", measured)
        if not math.isfinite(number):
            raise AssertionError(
                f"{name} for {case} is {number}, which proves nothing; measure it again"
            )
        if holds(number):
            raise AssertionError(
                f"{name} for {case} is {number:.6g} and keeps {claim}, too, so the check cannot "
                "tell them apart; choose a bound between them, or another quantity"
            )
        shown.append(f"{case} ≈ {_show(number, lambda x: not holds(x))}")
    return "; fails for " + ", ".join(shown)


def _claim(
    name: str,
    above: float | None,
    below: float | None,
    near: float | None,
    within: float | None,
) -> tuple[str, float, float]:
    """The claim in words, and the interval that it allows."""
    bounds = {"above": above, "below": below, "near": near, "within": within}
    above, below, near, within = (
        None if bound is None else _number(f"{name}: {key}", bound) for key, bound in bounds.items()
    )
    if near is not None or within is not None:
        if near is None or within is None or above is not None or below is not None:
            raise ValueError(f"{name}: give near= and within= together and no other bound")
        if not (math.isfinite(near) and 0 <= within < math.inf):
            raise ValueError(f"{name}: no number is near={near} within={within}")
        return f"{near:.12g} ± {within:.12g}", near - within, near + within
    if above is not None and below is not None:
        if not above < below:
            raise ValueError(f"{name}: no number is above {above:g} and below {below:g}")
        return f"{above:.12g} < · < {below:.12g}", above, below
    if above is not None:
        return f"> {above:.12g}", above, math.inf
    if below is not None:
        return f"< {below:.12g}", -math.inf, below
    raise ValueError(f"{name}: give a bound: above=, below=, or near= with within=")


def _show(number: float, fits: Callable[[float], bool]) -> str:
    """`number` to three significant digits, or as many as it takes for the text to fit as well."""
    return next(text for digits in range(3, 18) if fits(float(text := _digits(number, digits))))


def _digits(number: float, digits: int) -> str:
    """`number` to so many significant digits, never cutting the digits before the point."""
    if number.is_integer() and abs(number) < 1e7:
        return str(int(number))
    magnitude = math.floor(math.log10(abs(number)))
    if -4 < magnitude < 7:
        return f"{number:.{max(0, digits - 1 - magnitude)}f}"
    return f"{number:.{digits - 1}e}"
