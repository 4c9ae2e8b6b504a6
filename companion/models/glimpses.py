r"""Reading from an image and writing to a canvas through a movable grid of Gaussian filters.

Source: Gregor et al. (2015), *DRAW: A Recurrent Neural Network For Image Generation*, section 3.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Window(NamedTuple):
    """A grid of N x N Gaussian filters on an image; each entry has shape ``(batch,)``."""

    y: Tensor  # the center, in pixels: 0 is the middle of the first row
    x: Tensor
    stride: Tensor  # pixels from filter to filter
    variance: Tensor  # of each filter, in squared pixels
    intensity: Tensor  # by which what is read is multiplied


def window(parameters: Tensor, points: int, height: int, width: int) -> Window:
    r"""Where to look, from the five numbers that the decoder's state gives.

    .. math::

        (\tilde g_X, \tilde g_Y, \log\sigma^2, \log\tilde\delta, \log\gamma) = W h^{\mathrm{dec}},
        \qquad g_X = \tfrac12 (A - 1)(\tilde g_X + 1), \qquad
        \delta = \frac{\max(A, B) - 1}{N - 1}\,\tilde\delta

    for an image of width A and height B, whose pixels we number from 0 (the paper: from 1). With
    all five at 0 the window covers the whole image.

    Args:
        parameters: shape ``(batch, 5)``.
        points: filters along each side, N, at least 2.
        height, width: of the image.

    Source: Gregor et al. (2015), eq. 21 to 24.
    """
    x, y, log_variance, log_stride, log_intensity = parameters.unbind(dim=1)
    return Window(
        y=0.5 * (height - 1) * (y + 1),
        x=0.5 * (width - 1) * (x + 1),
        stride=(max(height, width) - 1) / (points - 1) * log_stride.exp(),
        variance=log_variance.exp(),
        intensity=log_intensity.exp(),
    )


def filterbank(center: Tensor, stride: Tensor, variance: Tensor, points: int, size: int) -> Tensor:
    r"""The Gaussian filters along one axis, each row summing to one.

    .. math::

        F_{ia} = \frac{1}{Z_i} \exp\!\left(-\frac{(a - \mu_i)^2}{2\sigma^2}\right), \qquad
        \mu_i = g + \left(i - \tfrac{N - 1}{2}\right)\delta

    A softmax over the pixels does the same, and divides by no zero where a filter lies far
    outside of the image.

    Args:
        center, stride, variance: g, delta and sigma squared, shape ``(batch,)`` each.
        points: N.
        size: pixels along the axis.

    Returns:
        Shape ``(batch, N, size)``.

    Source: Gregor et al. (2015), eq. 19, 20, 25 and 26.
    """
    offsets = torch.arange(points, device=center.device) - (points - 1) / 2
    mu = center[:, None] + offsets * stride[:, None]  # (batch, N)
    pixels = torch.arange(size, device=center.device, dtype=center.dtype)
    squared = (pixels - mu[..., None]).square()
    return torch.softmax(-squared / (2 * variance[:, None, None]), dim=2)


def read(images: Tensor, look: Window, points: int) -> Tensor:
    r"""What is seen through the window, :math:`\gamma\, F_Y\, x\, F_X^\top`.

    Args:
        images: shape ``(batch, C, H, W)``.
        look: the window.
        points: N.

    Returns:
        Shape ``(batch, C, N, N)``.

    Source: Gregor et al. (2015), eq. 27.
    """
    rows, columns = _filters(look, points, images.shape[-2], images.shape[-1])
    return look.intensity[:, None, None, None] * (rows @ images @ columns.mT)


def write(patch: Tensor, look: Window, height: int, width: int) -> Tensor:
    r"""A patch put on the canvas, :math:`\tfrac{1}{\gamma}\, F_Y^\top\, w\, F_X`.

    Args:
        patch: shape ``(batch, C, N, N)``.
        look: the window.
        height, width: of the canvas.

    Returns:
        Shape ``(batch, C, H, W)``.

    Source: Gregor et al. (2015), eq. 29.
    """
    rows, columns = _filters(look, patch.shape[-1], height, width)
    return (rows.mT @ patch @ columns) / look.intensity[:, None, None, None]


def _filters(look: Window, points: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Filters for rows ``(batch, 1, N, H)`` and for columns ``(batch, 1, N, W)``."""
    rows = filterbank(look.y, look.stride, look.variance, points, height)
    columns = filterbank(look.x, look.stride, look.variance, points, width)
    return rows[:, None], columns[:, None]
