"""Checks of tensors: what was given, what was expected, what to do."""

import math
import operator
from typing import Any

import torch
from torch import Tensor

from companion.checks.arguments import kind, shown

# How far outside [0, 1] values may lie: interpolation and float16 leave them a hair beyond it.
TOLERANCE = 1e-3


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
            f"{wanted}, got {shown(shape)}; give three whole numbers, or images.shape[1:]"
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
            f"z must be a tensor of floats of shape (N, {latent_dim}), got {shown(z)}; {remedy}"
        )
    if z.ndim != 2 or z.shape[1] != latent_dim:
        raise ValueError(f"z must have shape (N, {latent_dim}), got {tuple(z.shape)}; {remedy}")


def floats(**tensors: Any) -> None:
    """Refuse anything but tensors of floats, named as given.

    Raises:
        TypeError: no tensor of floats.
    """
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
            raise TypeError(
                f"{name} must be a tensor of floats, got {shown(tensor)}; "
                "use torch.as_tensor(values, dtype=torch.float32)"
            )


def same_shape(**tensors: Any) -> None:
    """Refuse anything but tensors of floats of one shape, named as given: no silent broadcasting.

    Raises:
        TypeError: no tensor of floats.
        ValueError: shapes that differ.
    """
    floats(**tensors)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if len(set(shapes.values())) > 1:
        given = " and ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ValueError(
            f"{' and '.join(shapes)} must have the same shape, got {given}; "
            "use .expand_as() if one is meant for all rows"
        )


def more_than_one(name: str, batch: Tensor) -> None:
    """Refuse a batch of one where batch norm is to take a variance.

    Raises:
        ValueError: it has a single row.
    """
    if len(batch) < 2:
        raise ValueError(
            f"{name} must be at least 2 in training mode, for batch norm takes a variance over "
            f"them, got {len(batch)}; give a larger batch (train: a larger batch_size, or a "
            "smaller accumulate), or call model.eval() first"
        )


def pixels(name: str, values: Any) -> None:
    """Refuse anything but floats in [0, 1], of any shape; values are looked at where it is free.

    Raises:
        TypeError: no tensor of floats.
        ValueError: NaN, or values outside [0, 1].
    """
    pixel_type(name, values)
    if values_are_readable(values):
        pixel_range(name, values)


def pixel_type(name: str, values: Any) -> None:
    """Refuse anything but a tensor of floats, with the way to make one of what was given.

    Raises:
        TypeError: no tensor of floats.
    """
    if not isinstance(values, Tensor):
        tensors = isinstance(values, list | tuple) and any(isinstance(x, Tensor) for x in values)
        remedy = f"torch.stack({name})" if tensors else f"torch.as_tensor({name})"
        raise TypeError(
            f"{name} must be a torch.Tensor of floats in [0, 1], got {kind(values)}; use {remedy}"
        )
    if not values.is_floating_point():
        largest = ""
        if not values.is_complex() and values.numel() and values_are_readable(values):
            largest = f" up to {int(values.max())}"
        remedy = f"use {name}.float(), divided by the largest level the data can have"
        if values.dtype == torch.uint8:
            remedy = f"use companion.data.to_float({name})"
        raise TypeError(f"{name} must be floats in [0, 1], got {kind(values)}{largest}; {remedy}")


def pixel_range(name: str, values: Tensor) -> None:
    """Refuse floats that are NaN or outside [0, 1], on any device: an accelerator is waited for.

    Raises:
        ValueError: a value is NaN or outside [0, 1], but for a tolerance of a thousandth.
    """
    if values.numel() == 0:
        return
    low, high = (float(bound) for bound in values.detach().aminmax())  # NaN makes both NaN
    if low >= -TOLERANCE and high <= 1 + TOLERANCE:
        return
    got = f"values from {low:.4g} to {high:.4g}"
    remedy = f"use {name}.clamp(0, 1), or undo the normalization of the data"
    if math.isnan(low):
        got, remedy = "NaN", "find the step that divides by zero or takes the log of zero"
    elif -1 - TOLERANCE <= low < -0.5 and high <= 1 + TOLERANCE:
        remedy = f"use ({name} + 1) / 2 on {name} in [-1, 1]"
    elif low >= 0 and 2 < high <= 255:
        remedy = f"use {name} / 255 on {name} with levels 0 to 255"
    raise ValueError(f"{name} must be floats in [0, 1], got {got}; {remedy}")


def values_are_readable(tensor: Tensor) -> bool:
    """Whether a check may look at values: on an accelerator every look makes the processor wait.

    Under `torch.compile` it would break the graph, and under `torch.func` there are none to see.
    """
    return (
        tensor.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch._C._functorch.is_functorch_wrapped_tensor(tensor)
    )
