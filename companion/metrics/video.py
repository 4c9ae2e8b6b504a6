"""How good are predicted frames? Errors per frame, and two predictions that know nothing.

Sequences are floats in [0, 1] of shape ``(N, T, 1, H, W)``.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import checks
from companion.metrics.precision import double

WINDOW = 7  # pixels along each side, in which structural similarity compares frames


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
    predicted, truth = _pair(predicted, truth)
    return (predicted - truth).square().sum(dim=(2, 3, 4)).mean(dim=0)


def frame_ssim(predicted: Tensor, truth: Tensor) -> Tensor:
    r"""Structural similarity of each predicted frame, averaged over sequences, at most 1.

    In every window of 7 x 7 pixels it compares means m, sample variances v and covariance c of
    the two frames; the mean over all windows is the frame's value.

    .. math::

        \operatorname{SSIM} = \frac{(2\, m_{\hat x} m_x + C_1)(2\, c_{\hat x x} + C_2)}
        {(m_{\hat x}^2 + m_x^2 + C_1)(v_{\hat x} + v_x + C_2)},
        \qquad C_1 = 0.01^2,\; C_2 = 0.03^2

    Args:
        predicted, truth: sequences ``(N, T, 1, H, W)``, H and W at least 7.

    Returns:
        Shape ``(T,)``; 1 for equal frames.

    Raises:
        TypeError, ValueError: if they are no sequences, not of the same shape, or too small.

    Source: Wang et al. (2004), eq. 13.
    """
    predicted, truth = _pair(predicted, truth)
    if min(predicted.shape[3:]) < WINDOW:
        raise ValueError(
            f"frames must have at least {WINDOW} x {WINDOW} pixels, a window of SSIM, got "
            f"{predicted.shape[3]} x {predicted.shape[4]}; use frame_errors on smaller ones"
        )
    x, y = predicted.flatten(0, 1), truth.flatten(0, 1)

    def mean(z: Tensor) -> Tensor:
        return F.avg_pool2d(z, WINDOW, stride=1)

    sample = WINDOW**2 / (WINDOW**2 - 1)  # unbiased variances and covariance
    m_x, m_y = mean(x), mean(y)
    v_x = sample * (mean(x * x) - m_x * m_x)
    v_y = sample * (mean(y * y) - m_y * m_y)
    c = sample * (mean(x * y) - m_x * m_y)
    c_1, c_2 = 0.01**2, 0.03**2
    ssim = (2 * m_x * m_y + c_1) * (2 * c + c_2)
    ssim = ssim / ((m_x**2 + m_y**2 + c_1) * (v_x + v_y + c_2))
    return ssim.mean(dim=(1, 2, 3)).view(predicted.shape[:2]).mean(dim=0)


def copy_last_frame(frames: Tensor, steps: int = 10) -> Tensor:
    """Predict that nothing moves: the last frame, ``steps`` times, ``(N, steps, 1, H, W)``."""
    _check_frames("frames", frames)
    steps = checks.integer("steps", steps)
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
    _check_frames("frames", frames)
    steps, reach = checks.integer("steps", steps), checks.integer("reach", reach, least=0)
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


def _pair(predicted: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Both in float64 on the device of the first."""
    _check_frames("predicted", predicted)
    _check_frames("truth", truth)
    if predicted.shape != truth.shape:
        raise ValueError(
            f"predicted and true frames must have the same shape, got {tuple(predicted.shape)} "
            f"and {tuple(truth.shape)}; compare as many frames as were predicted"
        )
    return double(predicted), double(truth.to(predicted.device))


def _check_frames(name: str, frames: Tensor) -> None:
    checks.pixels(name, frames)
    if frames.ndim != 5 or frames.shape[2] != 1 or frames.numel() == 0:
        raise ValueError(
            f"{name} must have shape (N, T, 1, H, W), got {tuple(frames.shape)}; use "
            f"{name}[:, :, None] to add a channel, or make frames by moving_fashion(images)"
        )
