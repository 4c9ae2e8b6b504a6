"""Moving Fashion-MNIST: garments that fly straight on and bounce off the walls of a small frame.

The motion is that of Moving MNIST (Srivastava et al. 2015), with garments for digits. Nothing is
stored: the sequences are made from still images, on whatever device these lie, in a moment.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import checks, noise
from companion.data.images import check_images

SPEED = 0.1  # of the way from wall to wall, per frame
SIDES = {32: 14, 64: 28}  # of a garment, in a frame of that size


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
    _check_size(size)
    checks.integer("frames", frames, remedy="the usual choice is 20 frames of 2 garments")
    checks.integer("garments", garments, remedy="the usual choice is 20 frames of 2 garments")
    travel = size - SIDES[size]
    n = len(images)
    like = images.new_empty((), dtype=torch.get_default_dtype())
    chance = noise.uniform(
        n, garments, 4, like=like, rng=rng
    )  # which garment, and its y, x and direction
    others = (chance[..., 0] * n).long().clamp(max=n - 1)
    others[:, 0] = torch.arange(n, device=images.device)
    return paint(images[others, 0], flights(chance[..., 1:], travel, frames), size)


def flights(chance: Tensor, travel: int = 18, frames: int = 20) -> Tensor:
    r"""Paths on whole pixels: start anywhere, fly in any direction, see :func:`bounce`.

    .. math:: s = L\,(u_1, u_2), \qquad v = \tfrac{L}{10}\,(\sin 2\pi u_3, \cos 2\pi u_3)

    Args:
        chance: :math:`u`, three numbers in [0, 1] for each path, shape ``(..., 3)``.
        travel: the way between the walls, L: 18 pixels in frames of 32, 36 in those of 64.
        frames: T.

    Returns:
        Rows and columns of the garment's upper left corner, int64, shape ``(..., T, 2)``.

    Raises:
        ValueError: if there are not three numbers for each path.

    Source: Srivastava, Mansimov and Salakhutdinov (2015), section 3.1.
    """
    if chance.shape[-1:] != (3,):
        raise ValueError(
            f"chance must have shape (..., 3), got {tuple(chance.shape)}; "
            "draw it with torch.rand(n, 3)"
        )
    angle = 2 * torch.pi * chance[..., 2]
    velocity = SPEED * travel * torch.stack([angle.sin(), angle.cos()], dim=-1)
    return bounce(travel * chance[..., :2], velocity, travel, frames).round().long()


def paint(garments: Tensor, paths: Tensor, size: int = 32) -> Tensor:
    """Frames with garments on their paths; where they overlap the brighter pixel is seen.

    Args:
        garments: G of them for each sequence, ``(N, G, 28, 28)``, floats in [0, 1].
        paths: int64 rows and columns of their upper left corners, ``(N, G, T, 2)``. What leaves
            the frame is not seen.
        size: 64, or 32, where the garments are shrunk, see :func:`moving_fashion`.

    Returns:
        Shape ``(N, T, 1, size, size)``.

    Raises:
        ValueError: if the shapes or the size do not fit.
    """
    fit = garments.shape[2:] == (28, 28) and paths.shape[3:] == (2,)
    if not fit or garments.shape[:2] != paths.shape[:2]:
        raise ValueError(
            "garments (N, G, 28, 28) and paths (N, G, T, 2) must belong to the same sequences, "
            f"got {tuple(garments.shape)} and {tuple(paths.shape)}; for one garment a sequence "
            "use images and paths[:, None]"
        )
    _check_size(size)
    small = F.avg_pool2d(garments, 28 // SIDES[size])
    n, count, side = small.shape[:3]
    # Row i of a frame shows row i - y of the garment, or the empty row that follows its last one.
    inside = torch.arange(size, device=paths.device) - paths[..., None]  # (N, G, T, 2, size)
    inside = inside.where((inside >= 0) & (inside < side), side)
    rows, columns = inside.unbind(dim=3)
    padded = F.pad(small, (0, 1, 0, 1))  # (N, G, side + 1, side + 1)
    which = torch.arange(n * count, device=paths.device).view(n, count, 1, 1, 1)
    layers = padded.flatten(0, 1)[which, rows[..., :, None], columns[..., None, :]]
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
    given = tuple(frames.shape) if isinstance(frames, Tensor) else ()
    if isinstance(frames, Tensor) and (
        len(given) != 5 or given[2] != 1 or (size and given[3:] != (size, size))
    ):
        remedy = (
            "make them with moving_fashion(images), or add missing dimensions with [:, :, None]"
        )
        if len(given) == 5 and given[2] == 3:
            remedy = "turn color to gray with frames.mean(2, keepdim=True)"
        elif len(given) == 5 and given[4] in (1, 3):
            remedy = "move the channels forward with frames.permute(0, 1, 4, 2, 3)"
        elif len(given) == 5 and given[2] == 1:
            remedy = "resize the frames, or build the model for theirs: size=..."
        raise ValueError(f"frames must have shape {wanted}, got {given}; {remedy}")
    check_images(frames.flatten(0, 1) if isinstance(frames, Tensor) else frames)


def check_length(sequences: Tensor, frames_in: int, frames_out: int) -> None:
    """Refuse sequences ``(N, T, ...)`` of another length than ``frames_in + frames_out``.

    Raises:
        ValueError: with what to do.
    """
    frames, found = frames_in + frames_out, sequences.shape[1]
    if found != frames:
        cut = f"cut them with [:, :{frames}], or " if found > frames else ""
        raise ValueError(
            f"sequences must have {frames_in} + {frames_out} frames, got {found}; {cut}"
            "build the model for theirs: frames_in=..., frames_out=..."
        )


def _check_size(size: int) -> None:
    checks.one_of("size", size, SIDES)
