"""The book's look: paper, ink, colors and the figure that shows itself.

Figures carry their own near-white ground, so they read as cards on a dark page too. The colors
are those of Okabe and Ito (2008), darkened where a thin line on white would have less than 3:1
contrast, and curves also differ by their line style.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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
DPI = 200  # dots per inch: two per point of an ordinary screen, so that a page stays sharp


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
    with look():
        figure = figure_class()(figsize=(WIDTH, height), dpi=DPI, layout="constrained")
        return figure, figure.subplots(rows, columns, **options)


@cache
def figure_class() -> type[Figure]:
    from matplotlib.figure import Figure as Base

    class Figure(Base):
        """A figure that shows itself once, sharp, at the width of the page's column.

        Made without pyplot, so that no list of open figures grows, and no second copy is shown
        at the end of the cell.
        """

        def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, bytes], dict[str, Any]]:
            picture = render(self)
            buffer = io.BytesIO()
            picture.save(buffer, format="PNG", optimize=True)
            return {"image/png": buffer.getvalue()}, {"image/png": {"width": picture.width // 2}}

        def show(self, *_: Any, **__: Any) -> None:
            """A figure made without pyplot has no window.

            Raises:
                RuntimeError: always, with the two ways to see it.
            """
            raise RuntimeError(
                "this figure has no window to show; name it in the last line of a notebook's cell, "
                'or use figure.savefig("figure.png") in a script'
            )

        def __reduce__(self) -> tuple[Any, ...]:
            # The class is made on first use, so pickle cannot find it by its name.
            return _blank_figure, (), self.__getstate__()

    return Figure


def _blank_figure() -> Figure:
    figure = figure_class()
    return figure.__new__(figure)


@contextmanager
def look() -> Iterator[None]:
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


def render(figure: Figure) -> Image.Image:
    from PIL import Image

    buffer = io.BytesIO()
    with look():
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
