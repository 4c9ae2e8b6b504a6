"""Figures with one look: sheets of images, latent walks, curves, bars, diagrams, animations.

Every function takes plain tensors or numbers and returns a figure that a notebook shows when it
is the last line of a cell; nothing is drawn behind the caller's back, and matplotlib's global
settings stay as they are. matplotlib is imported on first use, so that `import companion` stays
quick.
"""

from companion.plots.diagrams import diagram, network
from companion.plots.images import compare, sheet, walk
from companion.plots.look import (
    BLUE,
    COLORS,
    DPI,
    FAINT,
    GREEN,
    INK,
    LINES,
    ORANGE,
    PAPER,
    PURPLE,
    SKY,
    VERMILION,
    WIDTH,
    style,
    subplots,
)
from companion.plots.motion import Animation, animation
from companion.plots.numbers import bars, curves

__all__ = [
    "BLUE",
    "COLORS",
    "DPI",
    "FAINT",
    "GREEN",
    "INK",
    "LINES",
    "ORANGE",
    "PAPER",
    "PURPLE",
    "SKY",
    "VERMILION",
    "WIDTH",
    "Animation",
    "animation",
    "bars",
    "compare",
    "curves",
    "diagram",
    "network",
    "sheet",
    "style",
    "subplots",
    "walk",
]
