"""Sheets of images, rows of them side by side, and walks through latent space."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from companion.checks import integer
from companion.plots.look import DPI, INK, PAPER, WIDTH, dpi, enlarged, figure_class, look

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ROUNDING = 1e-3  # how far outside [0, 1] a gray value may be by rounding; it is clipped


def sheet(
    images: Tensor,
    *,
    columns: int = 10,
    titles: Sequence[str] | None = None,
    scale: int | None = None,
    gap: int = 2,
) -> Figure:
    """Images in rows, each pixel drawn as a crisp square.

    Args:
        images: (N, C, H, W), floats in [0, 1], with C = 1 (gray) or 3 (color).
        columns: images per row.
        titles: a short text above each image, N of them.
        scale: dots per pixel of an image; by default, what fills the page's width.
        gap: pixels between images; 0 joins them.

    Raises:
        TypeError, ValueError: the images or the titles are not as described.
    """
    check_images(images)
    columns = min(integer("columns", columns), len(images))
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"one title per image: got {len(titles)} titles for {len(images)} images")
    height, width = images.shape[-2:]
    scale = _scale(scale) or fit(columns, width + gap)
    # Room for a line of text, in pixels.
    band = 0 if titles is None else math.ceil(enlarged(40) / scale)
    canvas = tile(images, columns, gap, above=band)
    figure, axes = pixel_figure(canvas, scale)
    room = (width + gap) * scale / dpi()  # of a title, in inches; a letter of 9 pt takes 0.075
    longest = max((len(line) for title in titles or () for line in title.split("\n")), default=0)
    size = min(9.0, 9 * room / (0.075 * max(longest, 1)))
    for i, title in enumerate(titles or ()):
        x = gap + (i % columns) * (width + gap) + width / 2
        y = (i // columns) * (height + band + gap) + gap + band * 0.85
        axes.text(x - 0.5, y - 0.5, title, ha="center", va="bottom", fontsize=size, color=INK)
    return figure


def compare(rows: Mapping[str, Tensor], *, scale: int | None = None, gap: int = 2) -> Figure:
    """Rows of images one above the other, each with its name: originals, reconstructions, ...

    Args:
        rows: name -> images (N, C, H, W), floats in [0, 1]; the same N, H and W in each row.

    Raises:
        TypeError, ValueError: no row, or images that are not as described.
    """
    if not isinstance(rows, Mapping):
        raise TypeError(
            f"rows must be a mapping from names to images, got a {type(rows).__name__}; "
            'use compare({"samples": images})'
        )
    if not rows:
        raise ValueError('rows is empty; pass at least one, as in compare({"samples": images})')
    for name, images in rows.items():
        check_images(images, name)
    sizes = {(len(x), *x.shape[-2:]) for x in rows.values()}
    if len(sizes) > 1:
        given = ", ".join(f"{name}: {tuple(x.shape)}" for name, x in rows.items())
        raise ValueError(f"every row needs as many images of the same size, got {given}")
    count, height, width = sizes.pop()
    letters = max(len(line) for name in rows for line in name.split("\n"))
    margin_inches = 0.15 + 0.075 * letters
    scale = _scale(scale) or fit(count, width + gap, WIDTH * DPI - margin_inches * dpi())
    margin = math.ceil(margin_inches * dpi() / scale)
    color = torch.cat([rgb(images) for images in rows.values()])
    figure, axes = pixel_figure(tile(color, count, gap, left=margin), scale)
    for i, name in enumerate(rows):
        y = gap + i * (height + gap) + height / 2
        axes.text(margin - 1.5, y - 0.5, name, ha="right", va="center", fontsize=9, color=INK)
    return figure


def walk(
    images: Tensor,
    *,
    columns: int | None = None,
    xlim: tuple[float, float] = (0.0, 1.0),
    ylim: tuple[float, float] | None = None,
    xlabel: str = "share of the way",
    ylabel: str = "",
    scale: int | None = None,
) -> Figure:
    """Images along a path through latent space, or on a plane of it, with the axes' values.

    One row is a path from `xlim[0]` to `xlim[1]`. Several rows are a plane if `ylim` is given
    (the first row belongs to `ylim[1]`, the top), and else several paths one above the other.

    Args:
        images: (N, C, H, W), floats in [0, 1], row by row.
        columns: images per row; by default all in one row.
        xlim, ylim: the latent values at the first and last column, and at the last and first row.
        xlabel, ylabel: what the axes measure, with the unit.

    Raises:
        TypeError, ValueError: the images are not as described, or do not fill the rows.
    """
    check_images(images)
    columns = integer("columns", columns or len(images))
    if len(images) % columns:
        raise ValueError(
            f"{len(images)} images do not fill rows of {columns}; choose columns that divide them"
        )
    rows, width = len(images) // columns, images.shape[-1]
    margins = (0.75 if ylim else 0.15, 0.55, 0.15, 0.1)  # left, bottom, right, top, in inches
    scale = _scale(scale) or fit(columns, width, WIDTH * DPI - (margins[0] + margins[2]) * dpi())
    figure, axes = pixel_figure(tile(images, columns, 0), scale, margins)
    # The axes count latent values from here on: a cell's middle is where its image was drawn.
    (left, right), (bottom, top) = _edges(xlim, columns), _edges(ylim or (0.0, 1.0), rows)
    axes.images[0].set_extent((left, right, bottom, top))
    axes.set_axis_on()
    axes.spines[:].set_visible(False)
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel=xlabel, ylabel=ylabel)
    axes.locator_params(nbins=5)
    if ylim is None:
        axes.set_yticks([])
    return figure


def check_images(images: object, name: str = "images") -> None:
    if not isinstance(images, Tensor):
        kind = type(images).__name__
        stack = isinstance(images, list | tuple) and all(isinstance(x, Tensor) for x in images)
        remedy = "torch.stack(images)" if stack else "torch.as_tensor(images)"
        raise TypeError(f"{name} must be a tensor (N, C, H, W), got a {kind}; use {remedy}")
    if images.dim() != 4 or images.shape[1] not in (1, 3) or images.numel() == 0:
        raise ValueError(
            f"{name} must have shape (N, C, H, W) with C = 1 or 3 and N >= 1, "
            f"got {tuple(images.shape)}; use images[None] or images[:, None] for a missing axis"
        )
    if not images.is_floating_point():
        raise TypeError(
            f"{name} must be floats in [0, 1], got {str(images.dtype).removeprefix('torch.')} "
            f"up to {int(images.max())}; use images / 255"
        )
    low, high = float(images.min()), float(images.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):  # written so that NaN fails too
        raise ValueError(
            f"{name} must be floats in [0, 1], got values from {low:.3g} to {high:.3g}; "
            "use (images + 1) / 2 if they are in [-1, 1], or images.clamp(0, 1)"
        )


def fit(columns: int, width: int, room: float = WIDTH * DPI) -> int:
    """The whole number of dots per pixel, 1 to 8, with which `columns` images fill the room."""
    return max(1, min(8, int(room / (columns * width))))


def rgb(images: Tensor) -> Tensor:
    return images.detach().cpu().float().clamp(0, 1).expand(-1, 3, -1, -1)


def tile(images: Tensor, columns: int, gap: int, above: int = 0, left: int = 0) -> np.ndarray:
    """Images (N, C, H, W) in rows on paper: uint8 (height, width, 3), with a gap all around.

    `above` and `left` are pixels of free paper over each row and before the first column.
    """
    color = (rgb(images) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    count, height, width, _ = color.shape
    rows = math.ceil(count / columns)
    paper = torch.tensor([int(PAPER[i : i + 2], 16) for i in (1, 3, 5)], dtype=torch.uint8)
    size = (rows * (height + above + gap) + gap, left + columns * (width + gap) + gap, 3)
    canvas = paper.expand(size).clone()
    for i, image in enumerate(color):
        y = gap + (i // columns) * (height + above + gap) + above
        x = gap + (i % columns) * (width + gap) + left
        canvas[y : y + height, x : x + width] = image
    return canvas.numpy()


def pixel_figure(
    pixels: np.ndarray, scale: int, margins: tuple[float, float, float, float] = (0, 0, 0, 0)
) -> tuple[Figure, Axes]:
    """A figure of exactly `scale` dots per pixel, so that no pixel is wider than its neighbor.

    The axes count pixels; `margins` are left, bottom, right and top, in inches.
    """
    height, width = (side * scale / dpi() for side in pixels.shape[:2])
    left, bottom, right, top = (round(margin * dpi()) / dpi() for margin in margins)
    total = (left + width + right, bottom + height + top)
    with look():
        figure = figure_class()(figsize=total, dpi=dpi())
        axes = figure.add_axes(
            (left / total[0], bottom / total[1], width / total[0], height / total[1])
        )
        axes.imshow(pixels, interpolation="nearest", aspect="auto")
        axes.grid(visible=False)
        axes.set_axis_off()
    return figure, axes


def _edges(limits: tuple[float, float], cells: int) -> tuple[float, float]:
    """The outer edges of `cells` cells whose first and last middles are the limits."""
    low, high = limits
    if cells == 1:
        return (low + high - 1) / 2, (low + high + 1) / 2
    half = (high - low) / (cells - 1) / 2
    return low - half, high + half


def _scale(scale: int | None) -> int | None:
    return None if scale is None else integer("scale", scale)
