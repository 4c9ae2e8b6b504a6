"""Moving Fashion-MNIST: garments that fly straight on and bounce off the walls of a small frame.

The motion is that of Moving MNIST (Srivastava et al. 2015), with garments for digits. Nothing is
stored: the sequences are made from still images, on whatever device these lie, in a moment.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.data.images import check_images

SPEED = 0.1  # of the way from wall to wall, per frame


def moving_fashion(
    images: Tensor,
    frames: int = 20,
    size: int = 32,
    garments: int = 2,
    *,
    rng: torch.Generator | None = None,
) -> Tensor:
    r"""One sequence for each image: the image and others of the batch, each flying its own way.

    A garment starts anywhere and flies in any direction at a tenth of the way between the walls
    per frame, see :func:`bounce`; it is drawn at the nearest whole pixel. Where garments overlap
    the brighter pixel is seen.

    Args:
        images: garments ``(N, 1, 28, 28)``, floats in [0, 1], on any device.
        frames: length of a sequence, T.
        size: height and width of a frame: 64, where garments have their 28 pixels, or 32, where
            they are shrunk to 14 by the mean of 2 x 2 pixels.
        garments: how many fly in each sequence; the first is the image itself, the others are
            drawn from the batch.
        rng: the generator to draw from; torch's default generator if it is not given.

    Returns:
        Shape ``(N, T, 1, size, size)``, floats in [0, 1], on the device of the images.

    Raises:
        TypeError, ValueError: if the images are not as described, or an option is out of range.

    Source: Srivastava, Mansimov and Salakhutdinov (2015), section 3.1.
    """
    check_images(images, (1, 28, 28))
    if size not in (32, 64):
        raise ValueError(f"size must be 32 or 64, the height and width of a frame, got {size}")
    if frames < 1 or garments < 1:
        raise ValueError(
            f"frames and garments must be at least 1, got {frames} and {garments}; "
            "the usual choice is 20 frames of 2 garments"
        )
    small = F.avg_pool2d(images, 2) if size == 32 else images
    n, side = len(images), small.shape[-1]
    draw = torch.rand(n, garments, 4, generator=rng, device=rng.device if rng else images.device)
    chance = draw.to(images.device)  # which garment, and its y, x and direction
    others = (chance[..., 0] * n).long().clamp(max=n - 1)
    others[:, 0] = torch.arange(n, device=images.device)
    angle = 2 * torch.pi * chance[..., 3]
    travel = size - side
    velocity = SPEED * travel * torch.stack([angle.sin(), angle.cos()], dim=-1)
    where = bounce(travel * chance[..., 1:3], velocity, travel, frames).round().long()

    # Row i of a frame shows row i - y of the garment, or the empty row that follows its last one.
    inside = torch.arange(size, device=images.device) - where[..., None]  # (N, G, T, 2, size)
    inside = inside.where((inside >= 0) & (inside < side), side)
    rows, columns = inside.unbind(dim=3)
    padded = F.pad(small[:, 0], (0, 1, 0, 1))  # (N, side + 1, side + 1)
    layers = padded[others[:, :, None, None, None], rows[..., :, None], columns[..., None, :]]
    return layers.amax(dim=1)[:, :, None]  # over the garments: (N, T, 1, size, size)


def bounce(start: Tensor, velocity: Tensor, travel: float, frames: int) -> Tensor:
    r"""Straight motion, mirrored at the walls 0 and L of each coordinate.

    .. math:: p_t = L - |\,((s + vt) \bmod 2L) - L\,|, \qquad t = 0, \dots, T - 1

    Args:
        start: positions :math:`s` in [0, L], shape ``(..., 2)``.
        velocity: :math:`v`, pixels per frame, the same shape.
        travel: the way between the walls, L.
        frames: T.

    Returns:
        Shape ``(..., T, 2)``, in [0, L].
    """
    time = torch.arange(frames, device=start.device, dtype=start.dtype)[:, None]
    straight = start[..., None, :] + velocity[..., None, :] * time
    return travel - (straight % (2 * travel) - travel).abs()


def check_sequences(frames: Tensor, size: int | None = None) -> None:
    """Refuse anything but floats in [0, 1] of shape (N, T, 1, H, W), with the remedy.

    Raises:
        TypeError, ValueError: see :func:`~companion.data.check_images`.
    """
    wanted = "(N, T, 1, H, W)" if size is None else f"(N, T, 1, {size}, {size})"
    if isinstance(frames, Tensor) and (
        frames.ndim != 5 or (size and tuple(frames.shape[2:]) != (1, size, size))
    ):
        raise ValueError(
            f"frames must have shape {wanted}, got {tuple(frames.shape)}; "
            "make them with moving_fashion(images), or add missing dimensions with [:, :, None]"
        )
    check_images(frames.flatten(0, 1) if isinstance(frames, Tensor) else frames)
