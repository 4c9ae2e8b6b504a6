"""Diagrams of networks and games: boxes in layers, shapes on the arrows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from companion.plots.boxes import PLAYERS, draw

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LAYERS = 3  # as many, from left to right, are still readable on a phone


def diagram(
    arrows: Sequence[tuple[str, str] | tuple[str, str, str]],
    *,
    players: Mapping[str, Iterable[str]] | None = None,
    rows: Mapping[str, float] | None = None,
    down: bool | None = None,
) -> Figure:
    """Boxes joined by arrows, in layers: a network, or who feeds whom in a game.

    A box stands one layer after the last one that feeds it. An arrow that leads back to an
    earlier layer, or to its own box, goes around: it is a recurrence, or a gradient. So does one
    that leads straight through another box: it is a shortcut. For example::

        diagram([("x", "encoder", "1×28×28"), ("encoder", "z", "8"), ("z", "decoder")])
        diagram(
            [("noise", "G", "64"), ("G", "D", "1×28×28"), ("data", "D")],
            players={"generator moves only these": ["G"], "discriminator moves only these": ["D"]},
        )

    Args:
        arrows: (from, to) or (from, to, text), where the text is such as the shape that flows.
        players: name -> the boxes whose parameters that player moves; at most three, each with a
            color of its own that the legend names. Boxes of nobody stay without color.
        rows: box -> its place across the layers, counted from 0, downwards (from left to right,
            if the layers go down); by default the boxes of a layer stand side by side around the
            middle, in the order in which they are named.
        down: whether the layers go from top to bottom, not from left to right; by default, if
            there are more than three, which a phone could not show in a readable size.

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
    if down is None:
        down = max(layers.values()) >= LAYERS
    return draw(places, edges, colors, list(players or {}), down)


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
    places = {name: (float(i), 0.0) for i, name in enumerate(order)}
    labels = {name: name.split("\n")[-1] for name in order}
    return draw(places, arrows, {}, [], down=len(order) > LAYERS, labels=labels)


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


def _places(layers: dict[str, int], rows: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Layer and row of each box; the boxes of a layer stand around the middle."""
    places: dict[str, tuple[float, float]] = {}
    for name, layer in layers.items():
        column = [other for other in layers if layers[other] == layer]
        middle = column.index(name) - (len(column) - 1) / 2
        places[name] = (layer, rows.get(name, middle))
    return places
