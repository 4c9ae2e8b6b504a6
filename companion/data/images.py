"""The one convention for images: floats in [0, 1] of shape (N, C, H, W), and its checks."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from companion import checks


def to_float(images: Tensor) -> Tensor:
    """``images / 255``: ``uint8`` levels 0 ... 255 to ``float32`` in [0, 1], any shape.

    Raises:
        TypeError: the images are not ``uint8`` (dividing floats again would darken them).
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        remedy = (
            "leave images that are floats in [0, 1] as they are"
            if isinstance(images, Tensor) and images.is_floating_point()
            else "use torch.as_tensor(levels, dtype=torch.uint8) on whole numbers from 0 to 255"
        )
        raise TypeError(
            f"to_float takes a uint8 tensor with levels 0 to 255, got {checks.kind(images)}; "
            f"{remedy}"
        )
    return images.to(torch.float32).div_(255)


def to_uint8(images: Tensor) -> Tensor:
    """``round(255 * images)``: floats in [0, 1] to the nearest of the 256 levels, any shape.

    Raises:
        TypeError: the images are not floats.
        ValueError: a value is NaN or outside [0, 1].
    """
    if isinstance(images, Tensor) and images.dtype == torch.uint8:
        raise TypeError(
            "to_uint8 takes floats in [0, 1], got uint8; leave images that are uint8 as they are"
        )
    checks.pixels("images", images)
    return images.detach().float().mul(255).round_().clamp_(0, 255).to(torch.uint8)


def as_model_input(batch: Sequence[Tensor], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """What a model's loss gets of a batch: images and sequences as floats in [0, 1].

    ``uint8`` tensors of four or five dimensions become ``levels / 255``; floats are cast to the
    type; whole numbers, such as labels, stay.

    Args:
        batch: tensors, as :func:`companion.data.batches` yields them.
        dtype: of the model's parameters.
    """

    def converted(tensor: Tensor) -> Tensor:
        if tensor.dtype == torch.uint8 and tensor.ndim in (4, 5):
            return tensor.to(dtype).div_(255)
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    return tuple(converted(tensor) for tensor in batch)


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
    checks.pixel_type("images", images)
    check_shape(images, shape)
    if checks.values_are_readable(images):
        checks.pixel_range("images", images)


def check_shape(images: Tensor, shape: tuple[int, ...] | None = None) -> None:
    """Refuse any shape but (N, C, H, W), as :func:`check_images` does, of levels and floats alike.

    Raises:
        ValueError: wrong dimensions, channels or size; no pixel at all.
    """
    given = tuple(images.shape)
    wanted = "(N, C, H, W)" if shape is None else f"(N, {shape[0]}, {shape[1]}, {shape[2]})"
    if images.ndim != 4 or (shape is not None and given[1:] != tuple(shape)):
        remedy = _shape_remedy(given, shape)
        raise ValueError(f"images must have shape {wanted}, got {given}; {remedy}")
    if images.numel() == 0:
        raise ValueError(f"images must hold at least one pixel, got shape {given}; check the slice")


def check_labels(labels: Tensor, n_classes: int) -> None:
    """Refuse anything but ``int64`` labels of shape (N,) in 0 ... n_classes - 1.

    The values are looked at on the CPU only, as in :func:`check_images`.

    Raises:
        TypeError: not a tensor of ``int64``.
        ValueError: wrong dimensions, or a label out of range.
    """
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        raise TypeError(
            f"labels must be an int64 tensor, got {checks.kind(labels)}; "
            "use torch.as_tensor(labels).long() on class numbers"
        )
    if labels.ndim != 1:
        raise ValueError(
            f"labels must have shape (N,), got {tuple(labels.shape)}; "
            "use labels.argmax(1) on one-hot rows or labels.flatten() on a column"
        )
    if checks.values_are_readable(labels) and len(labels):
        low, high = (int(bound) for bound in labels.aminmax())
        if low < 0 or high >= n_classes:
            raise ValueError(
                f"labels must lie in 0 to {n_classes - 1}, got {low} to {high}; "
                "count classes from 0 or raise the number of classes"
            )


def _shape_remedy(given: tuple[int, ...], shape: tuple[int, ...] | None) -> str:
    if len(given) == 2:
        c, h, w = shape or (1, 28, 28)  # rows of a table are most often of 784 pixels
        if given == (h, w):
            return "add batch and channel dimensions with images[None, None]"
        if given[1] == math.prod((c, h, w)):
            return f"unflatten them with images.view(-1, {c}, {h}, {w})"
        if given[1] == math.prod((c, h, w)) + 1:
            return (
                "the first column may hold labels: use "
                f"images[:, 1:].reshape(-1, {c}, {h}, {w}) for the others"
            )
        if shape is None:
            return "use images[None, None] on one gray image (H, W), or unflatten rows of pixels"
        return f"give images, not rows of {given[1]} numbers such as noise"
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
