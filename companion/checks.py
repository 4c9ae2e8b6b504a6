"""Checks of arguments, each in one place: what was given, what was expected, what to do."""

import functools
import inspect
import math
import operator
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import torch
from torch import Tensor

F = TypeVar("F", bound=Callable[..., Any])


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
            f"{name} must be a whole number, {wanted}, got {_shown(value)}; {remedy}"
        ) from None
    if number < least or (most is not None and number > most):
        raise ValueError(f"{name} must be {wanted}, got {number}; {remedy}")
    return number


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
        raise TypeError(f"{name} must be a number, {wanted}, got {_shown(value)}{remedy}")
    try:
        x = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name} must be a number, {wanted}, got {_shown(value)}{remedy}") from None
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


def generator(rng: Any) -> torch.Generator | None:
    """The generator, or None for torch's default one.

    Raises:
        TypeError: something else, such as a seed or numpy's generator.
    """
    if rng is None or isinstance(rng, torch.Generator):
        return rng
    seed = rng if isinstance(rng, int) and not isinstance(rng, bool) and rng >= 0 else 0
    raise TypeError(
        f"rng must be a torch.Generator, got {_shown(rng)}; "
        f"use rng=torch.Generator().manual_seed({seed})"
    )


def image_shape(shape: Any, multiple: int = 1, channels: int | None = None) -> tuple[int, int, int]:
    """The shape ``(C, H, W)`` of a model's images as a tuple.

    Args:
        multiple: what height and width must be multiples of.
        channels: how many there must be, if the model needs a certain number.

    Raises:
        TypeError: no three numbers.
        ValueError: not three, not positive, no multiples, or too many channels.
    """
    first = "channels" if channels is None else str(channels)
    sizes = f" with height and width multiples of {multiple}" if multiple > 1 else ""
    wanted = (
        f"image_shape must be ({first}, height, width){sizes}, such as ({channels or 1}, 28, 28)"
    )
    try:
        numbers = tuple(operator.index(n) for n in shape)
    except TypeError:
        raise TypeError(
            f"{wanted}, got {_shown(shape)}; give three whole numbers, or images.shape[1:]"
        ) from None
    good = len(numbers) == 3 and min(numbers) >= 1
    if not good or numbers[1] % multiple or numbers[2] % multiple:
        raise ValueError(f"{wanted}, got {numbers}; pad or crop the images to such a size")
    if channels is not None and numbers[0] != channels:
        raise ValueError(
            f"{wanted}, got {numbers}; use images.mean(1, keepdim=True) to make them gray"
        )
    return numbers  # type: ignore[return-value]


def codes(z: Any, latent_dim: int) -> None:
    """Refuse codes that are no floats of shape ``(N, latent_dim)``.

    Raises:
        TypeError: no tensor of floats.
        ValueError: another shape.
    """
    remedy = "draw it with torch.randn(n, model.latent_dim)"
    if not isinstance(z, Tensor) or not z.is_floating_point():
        raise TypeError(
            f"z must be a tensor of floats of shape (N, {latent_dim}), got {_shown(z)}; {remedy}"
        )
    if z.ndim != 2 or z.shape[1] != latent_dim:
        raise ValueError(f"z must have shape (N, {latent_dim}), got {tuple(z.shape)}; {remedy}")


def same_shape(**tensors: Any) -> None:
    """Refuse anything but tensors of floats of one shape, named as given: no silent broadcasting.

    Raises:
        TypeError: no tensor of floats.
        ValueError: shapes that differ.
    """
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise TypeError(
                f"{name} must be a tensor of floats, got {_shown(tensor)}; "
                "use torch.as_tensor(values, dtype=torch.float32)"
            )
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        given = " and ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"{' and '.join(shapes)} must have the same shape, got {given}; "
            "use .expand_as() if one is meant for all rows"
        )


def values_are_readable(tensor: Tensor) -> bool:
    """Whether a check may look at values: on an accelerator every look makes the processor wait.

    Under `torch.compile` it would break the graph, and under `torch.func` there are none to see.
    """
    return (
        tensor.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )


def kind(thing: object) -> str:
    """What something is, in a word: the dtype of a tensor, else the name of its class."""
    if isinstance(thing, Tensor):
        return str(thing.dtype).removeprefix("torch.")
    return type(thing).__name__


def _shown(value: Any) -> str:
    """A value in a sentence: short ones as they are typed, others by their kind."""
    if isinstance(value, Tensor):
        return f"a tensor of {kind(value)} of shape {tuple(value.shape)}"
    short = repr(value)
    plain = isinstance(value, bool | int | float | str | bytes | tuple | list | type(None))
    return short if plain and len(short) <= 40 else kind(value)


def _fold(name: Any) -> str:
    return str(name).lower().replace("-", "_")


OTHER_NAMES = {"lr": "learning_rate", "seed": "rng", "batchsize": "batch_size", "size": "n"}


def explained(function: F) -> F:
    """Decorate a function so that a call which does not fit is told what the function takes."""
    signature = inspect.signature(function)
    takes = [
        f"*{p.name}" if p.kind is p.VAR_POSITIONAL else p.name
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


# How far outside [0, 1] values may lie: interpolation and float16 leave them a hair beyond it.
TOLERANCE = 1e-3


def floats(name: str, values: Any) -> None:
    """Refuse anything but a tensor of floats; what holds levels of uint8 is told how to convert.

    Raises:
        TypeError: no tensor, or one of integers.
    """
    if not isinstance(values, Tensor):
        raise TypeError(
            f"{name} must be a torch.Tensor of floats in [0, 1], got {_shown(values)}; "
            f"use torch.as_tensor({name})"
        )
    if not values.is_floating_point():
        levels = f"companion.data.to_float({name})" if values.dtype == torch.uint8 else ""
        raise TypeError(
            f"{name} must be floats in [0, 1], got {kind(values)}; "
            f"use {levels or f'{name}.float(), divided by the largest level'}"
        )


def unit_interval(name: str, values: Tensor) -> None:
    """Refuse values outside [0, 1], looked at only where that is free.

    Raises:
        ValueError: NaN, or a value outside [0, 1] by more than the tolerance.
    """
    if not values_are_readable(values) or values.numel() == 0:
        return
    low, high = (float(bound) for bound in values.detach().aminmax())  # NaN makes both NaN
    if low >= -TOLERANCE and high <= 1 + TOLERANCE:
        return
    got, remedy = f"values from {low:.4g} to {high:.4g}", f"use {name}.clamp(0, 1)"
    if math.isnan(low):
        got, remedy = "NaN", "find the step that divides by zero or takes the log of zero"
    elif -1 - TOLERANCE <= low < -0.5 and high <= 1 + TOLERANCE:
        remedy = f"use ({name} + 1) / 2 on values in [-1, 1]"
    elif low >= 0 and 2 < high <= 255:
        remedy = f"use {name} / 255 on levels from 0 to 255"
    raise ValueError(f"{name} must be floats in [0, 1], got {got}; {remedy}")
