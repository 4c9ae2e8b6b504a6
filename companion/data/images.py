"""The one convention for images: floats in [0, 1] of shape (N, C, H, W), and its checks."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Interpolation and float16 leave values a hair outside [0, 1]; that much is no mistake.
TOLERANCE = 1e-3


def to_float(images: Tensor) -> Tensor:
    """``images / 255``: ``uint8`` levels 0 ... 255 to ``float32`` in [0, 1], any shape.

    Raises:
        TypeError: the images are not ``uint8`` (dividing floats again would darken them).
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        raise TypeError(
            f"to_float takes a uint8 tensor with levels 0 to 255, got {_kind(images)}; "
            "leave images that are floats in [0, 1] as they are"
        )
    return images.to(torch.float32).div_(255)


def to_uint8(images: Tensor) -> Tensor:
    """``round(255 * images)``: floats in [0, 1] to the nearest of the 256 levels, any shape.

    Raises:
        TypeError: the images are not floats.
        ValueError: a value is NaN or outside [0, 1].
    """
    _check_float(images)
    _check_range(images)
    return images.detach().float().mul(255).round_().clamp_(0, 255).to(torch.uint8)


def check_images(images: Tensor, shape: tuple[int, ...] | None = None) -> None:
    """Refuse anything but floats in [0, 1] of shape (N, C, H, W), with the remedy.

    Args:
        images: what the caller was given.
        shape: the (C, H, W) that the caller needs; any, if None.

    The values are looked at on the CPU only: on an accelerator that would make every training
    step wait for the device, and under ``torch.compile`` it would break the graph. Type and
    shape are checked everywhere.

    Raises:
        TypeError: not a tensor of floats.
        ValueError: wrong dimensions, channels or size; NaN; values outside [0, 1].
    """
    _check_float(images)
    given = tuple(images.shape)
    wanted = "(N, C, H, W)" if shape is None else f"(N, {shape[0]}, {shape[1]}, {shape[2]})"
    if images.ndim != 4 or (shape is not None and given[1:] != tuple(shape)):
        remedy = _shape_remedy(given, shape)
        raise ValueError(f"images must have shape {wanted}, got {given}; {remedy}")
    if images.numel() == 0:
        raise ValueError(f"images must hold at least one pixel, got shape {given}; check the slice")
    _check_range(images)


def check_values(images: object) -> None:
    """Look at the values of floats once, on any device; see :func:`check_images`."""
    if isinstance(images, Tensor) and images.is_floating_point() and images.ndim in (4, 5):
        _check_range(images.detach().cpu())


def as_model_input(batch: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Images and sequences as floats in [0, 1] of a type, all else as it is."""

    def one(tensor: Tensor) -> Tensor:
        if tensor.dtype == torch.uint8 and tensor.ndim in (4, 5):
            return tensor.to(dtype) / 255
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    return tuple(map(one, batch))


def check_labels(labels: Tensor, n_classes: int) -> None:
    """Refuse anything but ``int64`` labels of shape (N,) in 0 ... n_classes - 1.

    The values are looked at on the CPU only, as in :func:`check_images`.

    Raises:
        TypeError: not a tensor of ``int64``.
        ValueError: wrong dimensions, or a label out of range.
    """
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        raise TypeError(
            f"labels must be an int64 tensor, got {_kind(labels)}; "
            "use torch.as_tensor(labels).long() on class numbers"
        )
    if labels.ndim != 1:
        raise ValueError(
            f"labels must have shape (N,), got {tuple(labels.shape)}; "
            "use labels.argmax(1) on one-hot rows or labels.flatten() on a column"
        )
    if _values_are_readable(labels) and len(labels):
        low, high = (int(bound) for bound in labels.aminmax())
        if low < 0 or high >= n_classes:
            raise ValueError(
                f"labels must lie in 0 to {n_classes - 1}, got {low} to {high}; "
                "count classes from 0 or raise the number of classes"
            )


def _check_float(images: Tensor) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images must be a torch.Tensor of floats in [0, 1], got {_kind(images)}; "
            "use torch.as_tensor(images)"
        )
    if not images.is_floating_point():
        largest = ""
        if images.dtype in (torch.uint8, torch.int32, torch.int64) and images.numel():
            largest = f" up to {int(images.max())}" if _values_are_readable(images) else ""
        remedy = (
            "use companion.data.to_float(images)"
            if images.dtype == torch.uint8
            else "use images.float(), divided by the largest level the data can have"
        )
        raise TypeError(f"images must be floats in [0, 1], got {_kind(images)}{largest}; {remedy}")


def _check_range(images: Tensor) -> None:
    if not _values_are_readable(images) or images.numel() == 0:
        return
    # One pass; a NaN anywhere makes both NaN.
    low, high = (float(bound) for bound in images.detach().aminmax())
    if low >= -TOLERANCE and high <= 1 + TOLERANCE:
        return
    if low != low:
        got, remedy = "NaN", "find the step that divides by zero or takes the log of zero"
    else:
        got = f"values from {low:.4g} to {high:.4g}"
        if -1 - TOLERANCE <= low < -0.5 and high <= 1 + TOLERANCE:
            remedy = "use (images + 1) / 2 on images in [-1, 1]"
        elif low >= 0 and 2 < high <= 255:
            remedy = "use images / 255 on images with levels 0 to 255"
        else:
            remedy = "use images.clamp(0, 1), or undo the normalization of the data"
    raise ValueError(f"images must be floats in [0, 1], got {got}; {remedy}")


def _values_are_readable(tensor: Tensor) -> bool:
    return not torch.compiler.is_compiling() and tensor.device.type == "cpu"


def _shape_remedy(given: tuple[int, ...], shape: tuple[int, ...] | None) -> str:
    if len(given) == 2 and shape is not None and given[1] == math.prod(shape):
        return f"unflatten them with images.view(-1, {shape[0]}, {shape[1]}, {shape[2]})"
    if len(given) == 2:
        return "add batch and channel dimensions with images[None, None]"
    if len(given) == 3:
        if given == shape:
            return "add a batch dimension with images[None]"
        if shape is not None and given[1:] == shape[1:]:
            return "add a channel dimension with images[:, None]"
        return "use images[:, None] on gray images (N, H, W) or images[None] on one (C, H, W)"
    if len(given) == 4 and shape is not None:
        if (given[3], *given[1:3]) == shape:
            return "move the channels forward with images.permute(0, 3, 1, 2)"
        if given[2:] == shape[1:]:
            if shape[0] == 1:
                return "turn color to gray with images.mean(1, keepdim=True)"
            if given[1] == 1:
                return f"repeat gray with images.expand(-1, {shape[0]}, -1, -1)"
            return f"turn them into images of {shape[0]} channels"
        return "pad or crop the images, or build the model for theirs"
    return "reshape them to (N, C, H, W)"


def _kind(thing: object) -> str:
    if isinstance(thing, Tensor):
        return str(thing.dtype).removeprefix("torch.")
    return type(thing).__name__
