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

from companion.checks import one_of

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

STYLES = {"page": 1.0, "projector": 1.5}  # how large letters and lines are drawn
_size = STYLES["page"]


def style(name: str) -> None:
    """Choose how large letters, lines and markers are in the figures made from now on.

        plots.style("projector")    # once, at the top: half as large again, for the last row
        plots.style("page")         # back to the book's

    A figure stays as wide as the page. It is drawn on less paper at more dots per inch, so that
    sizes given in points, in a notebook too, grow with the rest. Diagrams grow as a whole.

    Args:
        name: "page" or "projector".

    Raises:
        ValueError: another name.
    """
    global _size
    one_of("style", name, list(STYLES))
    _size = STYLES[name]


def dpi() -> float:
    """Dots per inch in the style that was chosen."""
    return DPI * _size


def enlarged(size: float) -> int:
    """A number of dots, as the style that was chosen has it."""
    return round(size * _size)


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
        paper = (WIDTH / _size, height / _size)
        figure = figure_class()(figsize=paper, dpi=dpi(), layout="constrained")
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

        def show(self, warn: bool = True) -> None:
            """Refused: no window belongs to the figure."""
            raise RuntimeError(
                "this figure belongs to no window; make it the last line of a notebook's cell, or "
                "write it to a file with figure.savefig('figure.png')"
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
