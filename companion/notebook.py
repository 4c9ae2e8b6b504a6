"""What a notebook needs so that its stored outputs can be verified on any machine.

What is exact (a shape, a count, a formula in float64) a notebook prints, and the printed text is
compared letter by letter. What training produces differs in its last digits between machines;
it goes through `expect`, which states a bound that must hold everywhere:

    >>> from companion.notebook import expect
    >>> expect("test loss", 4.312, below=4.6)
    test loss ≈ 4.31  (< 4.6 holds)

The number after `≈` is the only thing that the comparison leaves out.
"""

from __future__ import annotations

import math
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
    value: SupportsFloat,
    *,
    above: float | None = None,
    below: float | None = None,
    near: float | None = None,
    within: float | None = None,
    unit: str = "",
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

    Raises:
        AssertionError: the bound fails, or the value is NaN or infinite.
        TypeError: the value is not one number.
        ValueError: no bound was given, or one that no number can keep.
    """
    if not name or "≈" in name or "\n" in name:
        raise ValueError(f"the name must be one line of text without '≈', got {name!r}")
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
    # Three digits, or as many as it takes for the printed number to keep the bound as well.
    shown = next(text for digits in range(3, 18) if holds(float(text := _show(number, digits))))
    print(f"{name} ≈ {shown}{suffix}  ({claim} holds)")


def _number(name: str, value: SupportsFloat) -> float:
    if isinstance(value, torch.Tensor) and value.numel() != 1:
        raise TypeError(
            f"{name} must be one number, got a tensor of shape {tuple(value.shape)}; "
            "use its mean(), max() or item()"
        )
    if isinstance(value, (str, bool)):
        raise TypeError(f"{name} must be one number, got {value!r}; pass a float or an int")
    try:
        return float(value.item() if isinstance(value, torch.Tensor) else value)
    except (TypeError, ValueError) as error:
        kind = type(value).__name__
        raise TypeError(f"{name} must be one number, got a {kind}; pass a float") from error


def _claim(
    name: str,
    above: float | None,
    below: float | None,
    near: float | None,
    within: float | None,
) -> tuple[str, float, float]:
    """The claim in words, and the interval that it allows."""
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


def _show(number: float, digits: int) -> str:
    """`number` to so many significant digits, never cutting the digits before the point."""
    if number.is_integer() and abs(number) < 1e7:
        return str(int(number))
    magnitude = math.floor(math.log10(abs(number)))
    if -4 < magnitude < 7:
        return f"{number:.{max(0, digits - 1 - magnitude)}f}"
    return f"{number:.{digits - 1}e}"
