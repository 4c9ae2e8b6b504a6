"""How a diagram is drawn: boxes on a grid, straight arrows, and arrows that go around boxes.

Sizes are inches at 100 CSS pixels each, and a diagram is as wide as its boxes need: so its letters
have the size of a phone's text wherever it is not wider than a phone's column, about 3.6 inches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from companion.plots.look import (
    BLUE,
    INK,
    PAPER,
    PURPLE,
    VERMILION,
    WIDTH,
    dpi,
    figure_class,
    look,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[float, float]
Edge = tuple[str, str, str]

PLAYERS = (BLUE, VERMILION, PURPLE)  # every one readable as text, and apart for all eyes
WIDE, HIGH = 1.05, 0.42  # of a box
ALONG, ACROSS = 0.75, 0.3  # the gap for an arrow's text, to the right; between boxes one below
DOWN, BESIDE = 0.38, 0.12  # the same where layers go from top to bottom
LANE = 0.26  # between arrows that go around
LETTER = 0.072  # the mean width of a letter of an arrow's text
MARGIN, LEGEND = 0.15, 0.25


def draw(
    places: Mapping[str, Point],
    edges: Sequence[Edge],
    colors: Mapping[str, str],
    players: Sequence[str],
    down: bool,
    labels: Mapping[str, str] | None = None,
) -> Figure:
    """The figure of boxes at their places (layer, row), both counted from anywhere.

    Args:
        places: box -> (layer, row).
        edges: (from, to, text).
        colors: box -> the color of its player.
        players: their names, in the order of `PLAYERS`.
        down: whether layers go from top to bottom.
        labels: box -> what is written in it, where that is not its name.
    """
    first = min(layer for layer, _ in places.values())
    left = min(row for _, row in places.values())
    layers = max(layer for layer, _ in places.values()) - first
    around = sorted(
        (edge for edge in edges if _goes_around(edge, places)), key=lambda e: _span(e, places)
    )  # the longest way outside
    room = (WIDTH - 2 * MARGIN - (layers + 1) * WIDE) / max(layers, 1)
    along = max(ALONG / 3, min(ALONG, room))
    step = (WIDE + BESIDE, HIGH + DOWN) if down else (WIDE + along, HIGH + ACROSS)

    def at(name: str) -> Point:
        """The middle of a box, before margins: to the right and upwards from the first box."""
        layer, row = places[name][0] - first, places[name][1] - left
        return (row * step[0], -layer * step[1]) if down else (layer * step[0], -row * step[1])

    lanes = {edge: _lane(edge, lane, places, at, down) for lane, edge in enumerate(around)}
    right = max(at(name)[0] for name in places) + WIDE / 2
    bottom = min(at(name)[1] for name in places) - HIGH / 2
    for edge in edges:  # what is written beside them needs room, too
        words = len(edge[2]) * LETTER + 0.1
        if down:
            middle = (at(edge[0])[0] + at(edge[1])[0]) / 2
            right = max(right, lanes.get(edge, middle) + words)
        elif edge in lanes:
            bottom = min(bottom, lanes[edge] - 0.16)
    words = max((len(player) + 2 for player in players), default=0) * LETTER
    width = max(right + WIDE / 2, words)
    x0 = MARGIN + WIDE / 2 + (width - right - WIDE / 2) / 2
    width, height = width + 2 * MARGIN, HIGH / 2 - bottom + 2 * MARGIN + LEGEND * len(players)
    y0 = MARGIN - bottom

    def place(name: str) -> Point:
        x, y = at(name)
        return x0 + x, y0 + y

    with look():
        figure = figure_class()(figsize=(width, height), dpi=dpi())
        axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, width), ylim=(0, height))
    fed = [end for edge in edges if edge not in lanes for end in edge[1:2]]
    for edge in edges:
        start, end = place(edge[0]), place(edge[1])
        if edge in lanes:
            _around(axes, start, end, lanes[edge] + (x0 if down else y0), edge[2], down)
        else:
            _straight(axes, start, end, edge[2], down, joins=fed.count(edge[1]) > 1)
    for name in places:
        _box(axes, place(name), (labels or {}).get(name, name), colors.get(name))
    for i, player in enumerate(players):
        axes.text(
            MARGIN, height - 0.17 - LEGEND * i, f"■ {player}", color=PLAYERS[i], fontsize=9,
            va="center",
        )  # fmt: skip
    return figure


def _goes_around(edge: Edge, places: Mapping[str, Point]) -> bool:
    """Whether an arrow leads back, or would be hidden by a box that stands in its way."""
    (a, row), (b, end) = places[edge[0]], places[edge[1]]
    if b <= a:
        return True
    return any(
        a < layer < b and abs(row + (end - row) * (layer - a) / (b - a) - other) < 0.6
        for layer, other in places.values()
    )


def _span(edge: Edge, places: Mapping[str, Point]) -> float:
    return abs(places[edge[0]][0] - places[edge[1]][0])


def _lane(
    edge: Edge, lane: int, places: Mapping[str, Point], at: Callable[[str], Point], down: bool
) -> float:
    """Where an arrow goes around: beyond the boxes of all layers that it passes."""
    low, high = sorted(places[name][0] for name in edge[:2])
    passed = [at(name) for name, (layer, _) in places.items() if low <= layer <= high]
    if down:
        return max(x for x, _ in passed) + WIDE / 2 + LANE * (lane + 1)
    return min(y for _, y in passed) - HIGH / 2 - LANE * (lane + 0.6)


def _box(axes: Axes, at: Point, name: str, color: str | None) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = at
    box = FancyBboxPatch(
        (x - WIDE / 2, y - HIGH / 2), WIDE, HIGH, boxstyle="round,pad=0,rounding_size=0.07",
        facecolor=color or PAPER, edgecolor=color or INK, linewidth=1.2, zorder=3,
    )  # fmt: skip
    axes.add_patch(box)
    longest = max(len(line) for line in name.split("\n"))
    size = min(10.0, 10.0 * 13 / longest)
    ink = PAPER if color else INK
    axes.text(x, y, name, ha="center", va="center", fontsize=size, color=ink, zorder=4)


def _straight(axes: Axes, a: Point, b: Point, text: str, down: bool, joins: bool) -> None:
    """Text stands at the middle, or, on a slope, near the box that other arrows leave alone."""
    if down:
        start, end = (a[0], a[1] - HIGH / 2), (b[0], b[1] + HIGH / 2)
    else:
        start, end = (a[0] + WIDE / 2, a[1]), (b[0] - WIDE / 2, b[1])
    _head(axes, start, end)
    slope = a[0] != b[0] if down else a[1] != b[1]
    part = 0.5 if not slope else 0.3 if joins else 0.7
    x, y = start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])
    if slope:
        _words(axes, (x, y), text, ha="center", va="center")
    elif down:
        _words(axes, (x + 0.07, y), text, ha="left", va="center")
    else:
        _words(axes, (x, y + 0.06), text, ha="center", va="bottom")


def _around(axes: Axes, a: Point, b: Point, lane: float, text: str, down: bool) -> None:
    """Out at the side of the box, along the lane, and in at the other's side."""
    if down:
        out, back = (a[0] + WIDE / 2, a[1] - 0.1), (b[0] + WIDE / 2, b[1] + 0.1)
        axes.plot([out[0], lane, lane], [out[1], out[1], back[1]], "-", color=INK, linewidth=1.1)
        _head(axes, (lane, back[1]), back)
        _words(axes, (lane + 0.05, (out[1] + back[1]) / 2), text, ha="left", va="center")
    else:
        out, back = (a[0] + 0.2, a[1] - HIGH / 2), (b[0] - 0.2, b[1] - HIGH / 2)
        axes.plot([out[0], out[0], back[0]], [out[1], lane, lane], "-", color=INK, linewidth=1.1)
        _head(axes, (back[0], lane), back)
        _words(axes, ((out[0] + back[0]) / 2, lane - 0.03), text, ha="center", va="top")


def _head(axes: Axes, start: Point, end: Point) -> None:
    axes.annotate(
        "", end, start,
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.1, "shrinkA": 0,
                    "shrinkB": 0},
    )  # fmt: skip


def _words(axes: Axes, at: Point, text: str, ha: str, va: str) -> None:
    if text:
        ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.4}
        axes.text(*at, text, ha=ha, va=va, fontsize=9, color=INK, zorder=5, bbox=ground)
