"""Figures with one look: sheets of images, latent walks, curves, bars, animations.

Every function takes plain tensors or numbers and returns a figure that a notebook shows when it
is the last line of a cell; nothing is drawn behind the caller's back, and matplotlib's global
settings stay as they are. Figures carry their own near-white ground, so they read as cards on a
dark page too. The colors are those of Okabe and Ito (2008), darkened where a thin line on white
would have less than 3:1 contrast, and curves also differ by their line style.

matplotlib is imported on first use, so that `import companion` stays quick.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from PIL import Image

PAPER = "#fcfcfc"  # a pure gray, as INK is, so that a sheet of gray images is stored exactly
INK = "#222222"
FAINT = "#8a8a8a"

BLUE = "#0072b2"
VERMILION = "#d55e00"
GREEN = "#008a65"
PURPLE = "#b8558d"
ORANGE = "#a87400"
SKY = "#2b8cc4"
COLORS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, INK)
LINES = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1)), (0, (8, 3)))

WIDTH = 7.0  # inches: the width of a page's column
ROUNDING = 1e-3  # how far outside [0, 1] a gray value may be by rounding; it is clipped
DPI = 200  # dots per inch: two per point of an ordinary screen, so that a page stays sharp


# --- images --------------------------------------------------------------------------------


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
    _check(images)
    columns = min(_positive("columns", columns), len(images))
    if titles is not None and len(titles) != len(images):
        raise ValueError(f"one title per image: got {len(titles)} titles for {len(images)} images")
    height, width = images.shape[-2:]
    scale = scale or _fit(columns, width + gap)
    band = 0 if titles is None else math.ceil(40 / scale)  # room for a line of text, in pixels
    canvas = _tile(images, columns, gap, above=band)
    figure, axes = _canvas(canvas, scale)
    for i, title in enumerate(titles or ()):
        x = gap + (i % columns) * (width + gap) + width / 2
        y = (i // columns) * (height + band + gap) + gap + band * 0.85
        axes.text(x - 0.5, y - 0.5, title, ha="center", va="bottom", fontsize=9, color=INK)
    return figure


def compare(rows: Mapping[str, Tensor], *, scale: int | None = None, gap: int = 2) -> Figure:
    """Rows of images one above the other, each with its name: originals, reconstructions, ...

    Args:
        rows: name -> images (N, C, H, W), floats in [0, 1]; the same N, H and W in each row.

    Raises:
        TypeError, ValueError: no row, or images that are not as described.
    """
    if not rows:
        raise ValueError('rows is empty; pass at least one, as in compare({"samples": images})')
    for name, images in rows.items():
        _check(images, name)
    sizes = {(len(x), *x.shape[-2:]) for x in rows.values()}
    if len(sizes) > 1:
        given = ", ".join(f"{name}: {tuple(x.shape)}" for name, x in rows.items())
        raise ValueError(f"every row needs as many images of the same size, got {given}")
    count, height, width = sizes.pop()
    letters = max(len(line) for name in rows for line in name.split("\n"))
    margin_inches = 0.15 + 0.075 * letters
    scale = scale or _fit(count, width + gap, (WIDTH - margin_inches) * DPI)
    margin = math.ceil(margin_inches * DPI / scale)
    color = torch.cat([_rgb(images) for images in rows.values()])
    figure, axes = _canvas(_tile(color, count, gap, left=margin), scale)
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
    _check(images)
    columns = _positive("columns", columns or len(images))
    if len(images) % columns:
        raise ValueError(
            f"{len(images)} images do not fill rows of {columns}; choose columns that divide them"
        )
    rows, width = len(images) // columns, images.shape[-1]
    margins = (0.75 if ylim else 0.15, 0.55, 0.15, 0.1)  # left, bottom, right, top, in inches
    scale = scale or _fit(columns, width, (WIDTH - margins[0] - margins[2]) * DPI)
    figure, axes = _canvas(_tile(images, columns, 0), scale, margins)
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


# --- numbers -------------------------------------------------------------------------------


def curves(
    series: Mapping[str, Sequence[float] | Tensor],
    *,
    x: Sequence[float] | Tensor | None = None,
    xlabel: str = "step",
    ylabel: str = "loss",
    references: Mapping[str, float] | None = None,
    smooth: int = 1,
    log: bool = False,
    height: float = 3.0,
) -> Figure:
    """Lines over one axis: losses over steps, a score over sample counts, a density.

    Args:
        series: name -> numbers; NaN leaves a gap.
        x: the position of each number; by default 1, 2, 3, ...
        xlabel, ylabel: what the axes measure, with the unit: "ELBO (nats per image)".
        references: name -> a value drawn as a dotted horizontal line, such as {"2 log 2": 1.386}.
        smooth: with k > 1, each line is the mean of the last k numbers; the numbers stay faint.
        log: a logarithmic vertical axis.
        height: of the figure, in inches.

    Raises:
        ValueError: no series, or one whose length differs from that of `x`.
    """
    if not series:
        raise ValueError('series is empty; pass at least one, as in curves({"loss": losses})')
    smooth = _positive("smooth", smooth)
    figure, axes = subplots(height=height)
    for i, (name, values) in enumerate(series.items()):
        y = torch.as_tensor(values, dtype=torch.float64).detach().cpu().flatten()
        steps = torch.arange(1, len(y) + 1) if x is None else torch.as_tensor(x).detach().cpu()
        if len(y) == 0 or len(steps) != len(y):
            raise ValueError(
                f"{name!r} has {len(y)} numbers and x has {len(steps)}; "
                "they must be as many, and at least one"
            )
        color, line = COLORS[i % len(COLORS)], LINES[i % len(LINES)]
        if smooth > 1:
            axes.plot(steps, y, color=color, linestyle="-", alpha=0.25, linewidth=0.8)
            y = _trailing_mean(y, smooth)
        marker = "o" if len(y) == 1 else ""
        axes.plot(steps, y, color=color, linestyle=line, marker=marker, label=name)
    for name, value in (references or {}).items():
        axes.axhline(value, color=FAINT, linestyle=":", linewidth=1.2)
        axes.annotate(
            name, (1, value), xycoords=("axes fraction", "data"), xytext=(-3, 3),
            textcoords="offset points", ha="right", fontsize=8, color=INK,
        )  # fmt: skip
    if log:
        axes.set_yscale("log")
    axes.set(xlabel=xlabel, ylabel=ylabel)
    if len(series) > 1:
        axes.legend(loc="best", fontsize=9)
    return figure


def bars(
    values: Mapping[str, float],
    *,
    xlabel: str,
    references: Mapping[str, float] | None = None,
    digits: int = 3,
) -> Figure:
    """Named numbers side by side, one bar each, from the top: bits per dimension of codecs, ...

    Args:
        values: name -> a finite number.
        xlabel: what is measured, with the unit.
        references: name -> a value drawn as a dotted line, such as {"one in ten": 0.1}.
        digits: significant digits of the number written beside each bar.

    Raises:
        ValueError: no value, or one that is not finite.
    """
    if not values:
        raise ValueError('values is empty; pass at least one, as in bars({"VAE": 3.4}, ...)')
    for name, value in values.items():
        if not math.isfinite(value):
            raise ValueError(f"{name!r} is {value}; a bar needs a finite number, so leave it out")
    figure, axes = subplots(height=0.75 + 0.32 * len(values))
    drawn = axes.barh(range(len(values)), list(values.values()), color=BLUE, height=0.7)
    axes.bar_label(drawn, fmt=f"{{:.{digits}g}}", padding=4, fontsize=9, color=INK)
    axes.set_yticks(range(len(values)), list(values))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.1)
    for name, value in (references or {}).items():
        axes.axvline(value, color=INK, linestyle=":", linewidth=1.2)
        axes.annotate(
            name, (value, 1), xycoords=("data", "axes fraction"), xytext=(0, 3),
            textcoords="offset points", ha="center", fontsize=8, color=INK,
        )  # fmt: skip
    axes.set(xlabel=xlabel)
    return figure


def subplots(
    rows: int = 1, columns: int = 1, *, height: float = 3.0, **options: Any
) -> tuple[Figure, Any]:
    """An empty figure with the book's look, for what the functions above do not draw.

        figure, axes = subplots(1, 2, height=2.5)
        axes[0].plot(x, y, color=BLUE)
        figure

    Args:
        rows, columns: of axes; the second result is one Axes, or an array of them.
        height: of the figure, in inches; its width is the page's.
        options: passed on to `matplotlib.figure.Figure.subplots`, such as `sharey=True`.
    """
    with _look():
        figure = _figure_class()(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
        return figure, figure.subplots(rows, columns, **options)


# --- motion --------------------------------------------------------------------------------


class Animation:
    """Frames that play in a notebook and on a plain page: an animated PNG, no codec, no script.

    Made by `animation`. The last line of a cell shows it; `save` writes it to a file.
    """

    def __init__(self, png: bytes, frames: int, fps: float) -> None:
        self.png = png
        self.frames = frames
        self.fps = fps

    def __repr__(self) -> str:
        return f"<Animation of {self.frames} frames, {self.frames / self.fps:.1f} s>"

    def _repr_png_(self) -> bytes:
        return self.png

    def save(self, path: str | Path) -> None:
        """Write the animated PNG; every current browser plays it."""
        Path(path).write_bytes(self.png)


def animation(
    frames: Sequence[Tensor | Figure],
    *,
    fps: float = 5.0,
    columns: int = 10,
    titles: Sequence[str] | None = None,
    scale: int | None = None,
    loops: int = 3,
) -> Animation:
    """Batches of images, or figures of one size, as frames of an animation.

    It ends on its last frame, which should therefore be the one worth looking at, and which is
    held for a second between the loops. Motion that never ends makes the text beside it hard
    to read (WCAG 2.2, criterion 2.2.2), hence the three loops.

    Args:
        frames: each (N, C, H, W), floats in [0, 1], drawn as a sheet; or figures.
        fps: frames per second.
        columns: images per row.
        titles: a text above each frame ("step 200"), as many as frames.
        scale: dots per pixel of an image; by default, what fills half the page's width.
        loops: how often it plays; 0 plays for ever.

    Raises:
        TypeError, ValueError: frames that are not as described or not of one size.
    """
    if len(frames) == 0:
        raise ValueError("frames is empty; pass at least one batch of images or one figure")
    if titles is not None and len(titles) != len(frames):
        raise ValueError(f"one title per frame: got {len(titles)} for {len(frames)} frames")
    if not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    pictures = [
        _picture(frame, columns, titles[i] if titles else "", scale)
        for i, frame in enumerate(frames)
    ]
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise ValueError(f"every frame needs the same size, got {sorted(sizes)} dots")
    pause = round(1000 / fps)
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="PNG",
        save_all=True,
        append_images=pictures[1:],
        duration=[pause] * (len(pictures) - 1) + [max(pause, 1000)],
        loop=loops,
        optimize=True,
    )
    return Animation(buffer.getvalue(), len(pictures), fps)


# --- below: how the above is done ----------------------------------------------------------


@cache
def _figure_class() -> type[Figure]:
    from matplotlib.figure import Figure as Base

    class Figure(Base):
        """A figure that shows itself once, sharp, at the width of the page's column.

        Made without pyplot, so that no list of open figures grows, and no second copy is shown
        at the end of the cell.
        """

        def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, bytes], dict[str, Any]]:
            picture = _render(self)
            buffer = io.BytesIO()
            picture.save(buffer, format="PNG", optimize=True)
            return {"image/png": buffer.getvalue()}, {"image/png": {"width": picture.width // 2}}

    return Figure


@contextmanager
def _look() -> Iterator[None]:
    import matplotlib as mpl
    from cycler import cycler

    look: Any = {
        "figure.facecolor": PAPER,
        "axes.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "legend.facecolor": PAPER,
        "axes.edgecolor": INK,
        "axes.labelcolor": INK,
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": "#dddddd",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.6,
        "image.cmap": "gray",
        "image.interpolation": "nearest",
        "axes.prop_cycle": cycler(color=COLORS) + cycler(linestyle=LINES),
    }
    with mpl.rc_context(look):
        yield


def _check(images: object, name: str = "images") -> None:
    if not isinstance(images, Tensor):
        kind = type(images).__name__
        raise TypeError(f"{name} must be a tensor (N, C, H, W), got a {kind}; use torch.as_tensor")
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


def _positive(name: str, value: int) -> int:
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be an integer of at least 1, got {value!r}")
    return value


def _fit(columns: int, width: int, room: float = WIDTH * DPI) -> int:
    """The whole number of dots per pixel, 1 to 8, with which `columns` images fill the room."""
    return max(1, min(8, int(room / (columns * width))))


def _rgb(images: Tensor) -> Tensor:
    return images.detach().cpu().float().clamp(0, 1).expand(-1, 3, -1, -1)


def _tile(images: Tensor, columns: int, gap: int, above: int = 0, left: int = 0) -> np.ndarray:
    """Images (N, C, H, W) in rows on paper: uint8 (height, width, 3), with a gap all around.

    `above` and `left` are pixels of free paper over each row and before the first column.
    """
    color = (_rgb(images) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
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


def _canvas(
    pixels: np.ndarray, scale: int, margins: tuple[float, float, float, float] = (0, 0, 0, 0)
) -> tuple[Figure, Axes]:
    """A figure of exactly `scale` dots per pixel, so that no pixel is wider than its neighbor.

    The axes count pixels; `margins` are left, bottom, right and top, in inches.
    """
    height, width = (side * scale / DPI for side in pixels.shape[:2])
    left, bottom, right, top = (round(margin * DPI) / DPI for margin in margins)
    total = (left + width + right, bottom + height + top)
    with _look():
        figure = _figure_class()(figsize=total, dpi=DPI)
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


def _trailing_mean(y: Tensor, window: int) -> Tensor:
    """The mean of the last `window` numbers at each place, of fewer at the start."""
    total = torch.cat([torch.zeros(1, dtype=y.dtype), y.cumsum(0)])
    ends = torch.arange(1, len(y) + 1)
    starts = (ends - window).clamp(min=0)
    return (total[ends] - total[starts]) / (ends - starts)


def _render(figure: Figure) -> Image.Image:
    from PIL import Image

    buffer = io.BytesIO()
    with _look():
        figure.savefig(buffer, format="png", dpi=figure.dpi)
    return _compact(Image.open(buffer))


def _compact(picture: Image.Image) -> Image.Image:
    """Gray stays exact, a line figure gets 256 colors, which is a third of the size."""
    from PIL.Image import Dither

    color = picture.convert("RGB")
    colors = color.getcolors(4096)
    if colors is None:
        return color
    if all(red == green == blue for _, (red, green, blue) in colors):  # type: ignore[misc]
        return color.convert("L")
    return color.quantize(256, dither=Dither.NONE)


def _picture(frame: Tensor | Figure, columns: int, title: str, scale: int | None) -> Image.Image:
    """One frame of an animation, gray or in true color; a palette would differ between frames."""
    from matplotlib.figure import Figure
    from PIL import Image, ImageDraw, ImageFont

    if isinstance(frame, Figure):
        picture = _render(frame).convert("RGB")
    else:
        _check(frame, "each frame")
        columns = min(_positive("columns", columns), len(frame))
        scale = scale or _fit(columns, frame.shape[-1] + 2, WIDTH * DPI / 2)
        pixels = _tile(frame, columns, 2).repeat(scale, 0).repeat(scale, 1)
        picture = Image.fromarray(pixels)
        if frame.shape[1] == 1:
            picture = picture.convert("L")
    if title:
        band = 30
        room = Image.new(picture.mode, (picture.width, picture.height + band), PAPER)
        room.paste(picture, (0, band))
        place = ImageDraw.Draw(room)
        place.text((6, 6), title, fill=INK, font=ImageFont.load_default(17))
        picture = room
    return picture
