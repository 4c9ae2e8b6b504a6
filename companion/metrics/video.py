"""How good are predicted frames? Errors per frame, and two predictions that know nothing.

Sequences are floats in [0, 1] of shape ``(N, T, 1, H, W)``.
"""

import torch
from torch import Tensor

from companion.data import check_sequences


def frame_errors(predicted: Tensor, truth: Tensor) -> Tensor:
    r"""Squared error of each predicted frame, summed over its pixels, averaged over sequences.

    .. math:: \mathrm{MSE}_t = \frac1N \sum_n \lVert \hat{x}_{n,t} - x_{n,t} \rVert^2

    Args:
        predicted, truth: sequences ``(N, T, 1, H, W)``.

    Returns:
        Shape ``(T,)``. The papers on video report its mean over t as "MSE".

    Raises:
        TypeError, ValueError: if they are no sequences, or not of the same shape.
    """
    _check_pair(predicted, truth)
    return (predicted.double() - truth.double()).square().sum(dim=(2, 3, 4)).mean(dim=0)


def frame_ssim(predicted: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of each predicted frame, averaged over sequences, at most 1.

    It compares means, variances and covariance in windows of 7 x 7 pixels, by scikit-image.

    Args:
        predicted, truth: sequences ``(N, T, 1, H, W)``.

    Returns:
        Shape ``(T,)``; 1 for equal frames.

    Raises:
        TypeError, ValueError: if they are no sequences, or not of the same shape.

    Source: Wang et al. (2004), eq. 13.
    """
    from skimage.metrics import structural_similarity

    _check_pair(predicted, truth)
    frames = zip(
        predicted.flatten(0, 2).float().cpu().numpy(),
        truth.flatten(0, 2).float().cpu().numpy(),
        strict=True,
    )
    values = [structural_similarity(a, b, data_range=1.0) for a, b in frames]
    return torch.tensor(values, dtype=torch.float64).view(predicted.shape[:2]).mean(dim=0)


def copy_last_frame(frames: Tensor, steps: int = 10) -> Tensor:
    """Predict that nothing moves: the last frame, ``steps`` times, ``(N, steps, 1, H, W)``."""
    check_sequences(frames)
    return frames[:, -1:].repeat(1, steps, 1, 1, 1)


def constant_velocity(frames: Tensor, steps: int = 10, reach: int = 3) -> Tensor:
    """Predict that the whole picture goes on moving as it did in the last step.

    The motion is the shift by whole pixels, at most ``reach`` of them in each direction, that
    turns the last frame but one into the last with the least squared error. It is repeated for
    each predicted frame; what leaves the frame is lost and what comes in is black. One shift
    for the whole picture is a compromise where several things move.

    Args:
        frames: sequences of at least two frames, ``(N, T, 1, H, W)``.
        steps: how many frames to predict.
        reach: the largest motion that is considered, in pixels per frame.

    Returns:
        Shape ``(N, steps, 1, H, W)``.

    Raises:
        TypeError, ValueError: if the frames are no sequences, or fewer than two.
    """
    check_sequences(frames)
    if frames.shape[1] < 2:
        raise ValueError("a velocity needs at least two frames, got 1; pass a longer sequence")
    before, last = frames[:, -2], frames[:, -1]
    side = range(-reach, reach + 1)
    moves = torch.tensor([(dy, dx) for dy in side for dx in side], device=frames.device)
    errors = torch.stack(
        [
            (shift(before, move.expand(len(frames), 2)) - last).square().sum((1, 2, 3))
            for move in moves
        ]
    )
    best = moves[errors.argmin(dim=0)]  # (N, 2)
    return torch.stack([shift(last, step * best) for step in range(1, steps + 1)], dim=1)


def shift(images: Tensor, by: Tensor) -> Tensor:
    """Each image moved by its own whole number of pixels, black where nothing comes from.

    Args:
        images: shape ``(N, 1, H, W)``.
        by: down and to the right, integers of shape ``(N, 2)``.
    """
    n, _, height, width = images.shape
    rows = torch.arange(height, device=images.device) - by[:, :1]  # (N, H): where row i is from
    columns = torch.arange(width, device=images.device) - by[:, 1:]
    inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[
        :, None
    ]
    which = torch.arange(n, device=images.device)[:, None, None]
    taken = images[
        which, 0, rows.clamp(0, height - 1)[:, :, None], columns.clamp(0, width - 1)[:, None]
    ]
    return (taken * inside)[:, None]


def _check_pair(predicted: Tensor, truth: Tensor) -> None:
    check_sequences(predicted)
    check_sequences(truth)
    if predicted.shape != truth.shape:
        raise ValueError(
            f"predicted and true frames must have the same shape, got {tuple(predicted.shape)} "
            f"and {tuple(truth.shape)}; compare as many frames as were predicted"
        )
