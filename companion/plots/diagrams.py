"""Diagrams of networks and games: boxes in layers from left to right, shapes on the arrows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from companion.plots.look import BLUE, DPI, INK, PAPER, PURPLE, VERMILION, WIDTH, figure_class, look

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PLAYERS = (BLUE, VERMILION, PURPLE)  # every one readable as text, and apart for all eyes
BOX, GAP, ROW = 1.0, 0.62, 0.74  # inches: a box's width, the gap for an arrow's text, a row
HIGH = 0.4  # inches: a box's height
LAYERS = 4  # boxes side by side that a page of WIDTH inches can hold


def diagram(
    arrows: Sequence[tuple[str, str] | tuple[str, str, str]],
    *,
    players: Mapping[str, Iterable[str]] | None = None,
    rows: Mapping[str, float] | None = None,
) -> Figure:
    """Boxes joined by arrows, in layers from left to right: a network, or who feeds whom in a game.

    A box stands one layer to the right of the last one that feeds it. An arrow that leads back to
    an earlier layer, or to its own box, bends below: it is a recurrence, or a gradient.

        diagram([("x", "encoder", "1×28×28"), ("encoder", "z", "8"), ("z", "decoder")])
        diagram(
            [("noise", "G", "64"), ("G", "D", "1×28×28"), ("data", "D")],
            players={"generator moves only these": ["G"], "discriminator moves only these": ["D"]},
        )

    Args:
        arrows: (from, to) or (from, to, text), where the text is such as the shape that flows.
        players: name -> the boxes whose parameters that player moves; at most three, each with a
            color of its own that the legend names. Boxes of nobody stay without color.
        rows: box -> the height at which it stands, counted downwards from 0 in rows; by default
            the boxes of a layer stand one below the other, in the order in which they are named.

    Raises:
        ValueError: no arrow; one that is no pair with an optional text; more than three players,
            one box of two players; or a name in `players` or `rows` that no arrow has.
    """
    edges = [_edge(arrow) for arrow in arrows]
    if not edges:
        raise ValueError('arrows is empty; pass at least one, as in diagram([("x", "encoder")])')
    names = list(dict.fromkeys(name for start, end, _ in edges for name in (start, end)))
    colors = _colors(players or {}, names)
    _known("rows", rows or {}, names)
    layers = _layers(names, [(start, end) for start, end, _ in edges])
    places = _places(layers, rows or {})
    count = max(layers.values()) + 1
    width = max(WIDTH, 0.3 + count * BOX + (count - 1) * GAP)
    step = BOX + min(2.0, (width - 0.3 - BOX) / max(count - 1, 1) - BOX)
    lowest = max(y for _, y in places.values())
    highest = min(y for _, y in places.values())
    back = [(start, end) for start, end, _ in edges if layers[end] <= layers[start]]
    below = 0.75 if back else 0.35
    above = 0.35 + 0.25 * len(players or {})
    height = (lowest - highest) * ROW + above + below
    with look():
        figure = figure_class()(figsize=(width, height), dpi=DPI)
        axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    offset = (width - (count - 1) * step) / 2
    axes.set(xlim=(0, width), ylim=(0, height))
    at = {
        name: (offset + x * step, height - above - (y - highest) * ROW)
        for name, (x, y) in places.items()
    }
    for start, end, text in edges:
        if layers[end] <= layers[start]:
            _bend(axes, at[start], at[end], text)
        else:
            _arrow(axes, at[start], at[end], text)
    for name in names:
        _box(axes, at[name], name, colors.get(name))
    for i, player in enumerate(players or {}):
        axes.text(
            0.15, height - 0.14 - 0.22 * i, f"■ {player}", color=PLAYERS[i], fontsize=9, va="center"
        )
    return figure


def network(model: nn.Module, example: Tensor) -> Figure:
    """The parts of a model in the order in which data flows, with the shapes that really flow.

    The model is run once, without gradients and in evaluation mode, and what each of its children
    gave is written on the arrow that leaves it: the figure cannot lie. A part that runs several
    times stands there as often. Shapes leave out the batch.

    Args:
        model: a module whose direct children run one after the other, such as `nn.Sequential`.
        example: a batch that it takes, (N, ...).

    Raises:
        ValueError: no child of the model ran.
    """
    ran: list[tuple[str, str]] = []

    def hook(module: nn.Module, _: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        shape = "×".join(map(str, first.shape[1:])) if isinstance(first, Tensor) else ""
        ran.append((type(module).__name__, shape))

    handles = [child.register_forward_hook(hook) for child in model.children()]
    training = {module: module.training for module in model.modules()}
    try:
        with torch.no_grad():
            model.eval()(example)
    finally:
        for handle in handles:
            handle.remove()
        for module, mode in training.items():
            module.training = mode
    if not ran:
        raise ValueError(
            f"no part of {type(model).__name__} ran on the example; "
            "wrap it, as in network(nn.Sequential(model), example)"
        )
    arrows = []
    last, shape = "input", "×".join(map(str, example.shape[1:]))
    for i, (kind, after) in enumerate(ran, start=1):
        name = f"{i}\n{kind}"
        arrows.append((last, name, shape))
        last, shape = name, after
    arrows.append((last, "output", shape))
    order = ["input", *(end for _, end, _ in arrows)]
    # As text runs: from left to right, and on in the next line.
    return _lines(order, arrows)


def _edge(arrow: Sequence[str]) -> tuple[str, str, str]:
    good = isinstance(arrow, tuple | list) and len(arrow) in (2, 3)
    if not good or not all(isinstance(part, str) for part in arrow):
        raise ValueError(
            f"an arrow is (from, to) or (from, to, text), got {arrow!r}; "
            'use ("encoder", "z", "8"), say'
        )
    return arrow[0], arrow[1], arrow[2] if len(arrow) == 3 else ""


def _known(what: str, given: Iterable[str], names: list[str]) -> None:
    if missing := [name for name in given if name not in names]:
        raise ValueError(
            f"{what} names {missing[0]!r}, which no arrow has; use one of "
            + ", ".join(map(repr, names))
        )


def _colors(players: Mapping[str, Iterable[str]], names: list[str]) -> dict[str, str]:
    if len(players) > len(PLAYERS):
        raise ValueError(
            f"at most {len(PLAYERS)} players have a color, got {len(players)}; leave some out"
        )
    colors: dict[str, str] = {}
    for color, (player, boxes) in zip(PLAYERS, players.items(), strict=False):
        _known(f"player {player!r}", boxes := list(boxes), names)
        if shared := [box for box in boxes if box in colors]:
            raise ValueError(f"{shared[0]!r} belongs to two players; give it to one of them")
        colors |= dict.fromkeys(boxes, color)
    return colors


def _layers(names: list[str], edges: list[tuple[str, str]]) -> dict[str, int]:
    """The layer of each box: one more than that of the last box that feeds it.

    A box that nothing feeds stands one layer before the first that it feeds.

    An arrow that closes a circle, in the order in which arrows are given, leads back.
    """
    feeds: dict[str, set[str]] = {name: set() for name in names}

    def reaches(start: str, end: str) -> bool:
        return start == end or any(reaches(after, end) for after in feeds[start])

    for start, end in edges:
        if not reaches(end, start):
            feeds[start].add(end)
    layers = dict.fromkeys(names, 0)
    for _ in names:  # the longest path has fewer arrows than there are boxes
        for start in names:
            for end in feeds[start]:
                layers[end] = max(layers[end], layers[start] + 1)
    fed = {end for ends in feeds.values() for end in ends}
    for name in names:
        if name not in fed and feeds[name]:  # an input stands right before what it feeds
            layers[name] = min(layers[end] for end in feeds[name]) - 1
    return layers


def _places(layers: dict[str, int], rows: Mapping[str, float]) -> dict[str, tuple[int, float]]:
    """Layer and row of each box; the boxes of a layer stand around the middle."""
    places = {}
    for name, layer in layers.items():
        column = [other for other in layers if layers[other] == layer]
        middle = column.index(name) - (len(column) - 1) / 2
        places[name] = (layer, rows.get(name, middle))
    return places


def _lines(order: list[str], arrows: list[tuple[str, str, str]]) -> Figure:
    lines = (len(order) - 1) // LAYERS + 1
    height = 1.0 + (lines - 1) * (ROW + 0.3)
    with look():
        figure = figure_class()(figsize=(WIDTH, height), dpi=DPI)
        axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, WIDTH), ylim=(0, height))
    step = (WIDTH - 0.3 - BOX) / (LAYERS - 1)
    at = {
        name: (
            0.15 + BOX / 2 + i % LAYERS * step,
            height - 0.5 - i // LAYERS * (ROW + 0.3),
        )
        for i, name in enumerate(order)
    }
    for start, end, text in arrows:
        if at[start][1] == at[end][1]:
            _arrow(axes, at[start], at[end], text)
        else:
            _turn(axes, at[start], at[end], text)
    for name in order:
        _box(axes, at[name], name.split("\n")[-1], None)
    return figure


def _box(axes: Axes, at: tuple[float, float], name: str, color: str | None) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y = at
    box = FancyBboxPatch(
        (x - BOX / 2, y - HIGH / 2), BOX, HIGH, boxstyle="round,pad=0,rounding_size=0.07",
        facecolor=color or PAPER, edgecolor=color or INK, linewidth=1.2, zorder=3,
    )  # fmt: skip
    axes.add_patch(box)
    longest = max(len(line) for line in name.split("\n"))
    size = min(9.0, 9.0 * 13 / longest)
    axes.text(
        x, y, name, ha="center", va="center", fontsize=size, color=PAPER if color else INK, zorder=4
    )


def _arrow(axes: Axes, a: tuple[float, float], b: tuple[float, float], text: str) -> None:
    start, end = (a[0] + BOX / 2, a[1]), (b[0] - BOX / 2, b[1])
    _line(axes, start, end)
    if text:
        x, y = (start[0] + end[0]) / 2, (start[1] + end[1]) / 2
        ground = {"facecolor": PAPER, "edgecolor": "none", "pad": 0.4, "alpha": 0.85}
        axes.text(
            x,
            y + 0.06,
            text,
            ha="center",
            va="bottom",
            fontsize=8,
            color=INK,
            zorder=5,
            bbox=ground,
        )  # fmt: skip


def _bend(axes: Axes, a: tuple[float, float], b: tuple[float, float], text: str) -> None:
    """Down from the box, below all that stands between, and up again."""
    low = min(a[1], b[1]) - HIGH / 2 - 0.2
    left = b[0] - 0.2 if a == b else b[0]
    right = a[0] + 0.2 if a == b else a[0]
    axes.plot([right, right, left], [a[1] - HIGH / 2, low, low], "-", color=INK, linewidth=1.1)
    _line(axes, (left, low), (left, b[1] - HIGH / 2))
    if text:
        x = (left + right) / 2
        axes.text(x, low - 0.04, text, ha="center", va="top", fontsize=8, color=INK)


def _turn(axes: Axes, a: tuple[float, float], b: tuple[float, float], text: str) -> None:
    """From the end of one line to the start of the next."""
    middle = (a[1] + b[1]) / 2
    axes.plot([a[0], a[0], b[0]], [a[1] - HIGH / 2, middle, middle], "-", color=INK, linewidth=1.1)
    _line(axes, (b[0], middle), (b[0], b[1] + HIGH / 2))
    if text:
        x = (a[0] + b[0]) / 2
        axes.text(x, middle + 0.04, text, ha="center", va="bottom", fontsize=8, color=INK)


def _line(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate(
        "", end, start,
        arrowprops={"arrowstyle": "-|>", "color": INK, "linewidth": 1.1, "shrinkA": 0,
                    "shrinkB": 0},
    )  # fmt: skip
