"""Checks of numbers, names and calls: what was given, what was expected, what to do."""

import functools
import inspect
import math
import operator
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])
# What other libraries call an argument of ours.
OTHER_NAMES = {"lr": "learning_rate", "seed": "rng", "batchsize": "batch_size", "size": "n"}


def integer(
    name: str, value: Any, *, least: int = 1, most: int | None = None, remedy: str = ""
) -> int:
    """The value as an int, if it is a whole number within its range.

    Raises:
        TypeError: no whole number, such as 2.0, "2" or True.
        ValueError: out of range.
    """
    wanted = f"at least {least}" if most is None else f"from {least} to {most}"
    remedy = remedy or f"use {name}={max(least, 1)}, say"
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(
            f"{name} must be a whole number, {wanted}, got {shown(value)}; {remedy}"
        ) from None
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name} must be {wanted}, got {number}; {remedy}")
    return number


def seed(value: Any) -> int:
    """The seed, if it is a whole number that torch's generators take.

    Raises:
        TypeError: no whole number.
        ValueError: negative, or 2**63 and more.
    """
    return integer("seed", value, least=0, most=2**63 - 1, remedy="use seed=0")


def number(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    remedy: str = "",
) -> float:
    """The value as a float, if it is one finite number within its range.

    Args:
        above, below: strict bounds; least: a bound that may be reached.

    Raises:
        TypeError: no number.
        ValueError: NaN, infinite, or out of range.
    """
    bounds = [
        f"above {above:g}" if above is not None else "",
        f"at least {least:g}" if least is not None else "",
        f"below {below:g}" if below is not None else "",
    ]
    if above == 0 and below is None:
        bounds = ["positive"]
    wanted = " and ".join(bound for bound in bounds if bound) or "finite"
    remedy = f"; {remedy}" if remedy else "; give a number in that range"
    if isinstance(value, bool | str | bytes) or (isinstance(value, Tensor) and value.numel() != 1):
        raise TypeError(f"{name} must be a number, {wanted}, got {shown(value)}{remedy}")
    try:
        x = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, {wanted}, got {shown(value)}{remedy}") from None
    outside = (
        not math.isfinite(x)
        or (above is not None and not x > above)
        or (least is not None and not x >= least)
        or (below is not None and not x < below)
    )
    if outside:
        raise ValueError(f"{name} must be {wanted}, got {x:g}{remedy}")
    return x


def one_of(name: str, value: Any, options: Collection[Any]) -> Any:
    """The value, if it is one of the options; a name in another case or misspelled is suggested.

    Raises:
        ValueError: it is none of them.
    """
    if isinstance(value, str | int | float) and value in options:
        return value
    listed = ", ".join(map(repr, options))
    raise ValueError(f"{name} must be one of {listed}, got {value!r}; {suggestion(value, options)}")


def suggestion(value: Any, options: Collection[Any]) -> str:
    """What may have been meant: "did you mean 'dcgan'?", or "choose one of these"."""
    from difflib import get_close_matches

    folded = {_fold(option): option for option in options if isinstance(option, str)}
    close = get_close_matches(_fold(value), folded, n=1) if isinstance(value, str) else []
    return f"did you mean {folded[close[0]]!r}?" if close else "choose one of these"


def unknown_name(module: str, name: str, names: Collection[str]) -> AttributeError:
    """The error for a name that a module does not have, with the one that may have been meant."""
    return AttributeError(
        f"module {module!r} has no attribute {name!r}, but {', '.join(sorted(names))}; "
        f"{suggestion(name, names)}",
        name=name,
    )


def generator(rng: Any) -> torch.Generator | None:
    """The generator, or None for torch's default one.

    Raises:
        TypeError: something else, such as a seed or numpy's generator.
    """
    if rng is None or isinstance(rng, torch.Generator):
        return rng
    seed = rng if isinstance(rng, int) and not isinstance(rng, bool) and rng >= 0 else 0
    raise TypeError(
        f"rng must be a torch.Generator, got {shown(rng)}; "
        f"use rng=torch.Generator().manual_seed({seed})"
    )


def explained(function: F) -> F:
    """Decorate a function so that a call which does not fit is told what the function takes."""
    signature = inspect.signature(function)
    takes = [
        "*" * (p.kind is p.VAR_POSITIONAL) + "**" * (p.kind is p.VAR_KEYWORD) + p.name
        for p in signature.parameters.values()
        if p.name != "self"
    ]
    name = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            signature.bind(*args, **kwargs)
        except TypeError as misfit:
            unknown = [key for key in kwargs if key not in signature.parameters]
            listed = f"{name} takes {', '.join(takes)}" if takes else f"{name} takes no arguments"
            if unknown:
                meant = OTHER_NAMES.get(unknown[0], unknown[0])
                close = f"did you mean {meant!r}?" if meant in takes else suggestion(meant, takes)
                error = TypeError(f"{name} has no argument {unknown[0]!r}; {close} {listed}")
                raise error from None
            raise TypeError(f"{name}: {misfit}; {listed}") from None
        return function(*args, **kwargs)

    return wrapper  # type: ignore[return-value]


def kind(thing: object) -> str:
    """What something is, in a word: the dtype of a tensor, else the name of its class."""
    if isinstance(thing, Tensor):
        return str(thing.dtype).removeprefix("torch.")
    return type(thing).__name__


def shown(value: Any) -> str:
    """A value in a sentence: short ones as they are typed, others by their kind."""
    if isinstance(value, Tensor):
        return f"a tensor of {kind(value)} of shape {tuple(value.shape)}"
    short = repr(value)
    plain = isinstance(value, bool | int | float | str | bytes | tuple | list | type(None))
    return short if plain and len(short) <= 40 else kind(value)


def _fold(name: Any) -> str:
    return str(name).lower().replace("-", "_")
