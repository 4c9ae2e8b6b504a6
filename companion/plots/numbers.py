"""Curves over steps, and bars of named numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from companion.checks import integer
from companion.plots.look import BLUE, COLORS, FAINT, INK, LINES, subplots

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curves(
    series: Mapping[str, Sequence[float] | Tensor],
    *,
    x: Sequence[float] | Tensor | None = None,
    xlabel: str = "step",
    ylabel: str = "loss",
    references: Mapping[str, float] | None = None,
    smooth: int = 1,
    log: bool = False,
    panels: bool = False,
    height: float = 3.0,
) -> Figure:
    """Lines over one axis: losses over steps, a score over sample counts, a density.

    Args:
        series: name -> numbers; NaN leaves a gap.
        x: the position of each number; by default 1, 2, 3, ...
        xlabel, ylabel: what the axes measure, with the unit: "ELBO (nats per image)".
        references: name -> a value drawn as a dotted horizontal line, such as {"2 log 2": 1.386}.
            With panels, it stands in each of them.
        smooth: with k > 1, each line is the mean of the last k numbers; the numbers stay faint.
        log: a logarithmic vertical axis.
        panels: a panel for each series, one below the other, where one axis would flatten the
            smaller ones; the panel's vertical axis then has the name of the series.
        height: of the figure, or of each panel, in inches.

    Raises:
        TypeError: the series are no mapping.
        ValueError: no series, or one whose length differs from that of `x`.
    """
    if not isinstance(series, Mapping):
        raise TypeError(
            f"series must be a mapping from names to numbers, got a {type(series).__name__}; "
            'use curves({"loss": losses}), and history.losses of a history'
        )
    if not series:
        raise ValueError('series is empty; pass at least one, as in curves({"loss": losses})')
    smooth = integer("smooth", smooth)
    count = len(series) if panels else 1
    figure, grid = subplots(count, height=height * count, sharex=True, squeeze=False)
    for i, (name, values) in enumerate(series.items()):
        y = torch.as_tensor(values, dtype=torch.float64).detach().cpu().flatten()
        steps = torch.arange(1, len(y) + 1) if x is None else torch.as_tensor(x).detach().cpu()
        if len(y) == 0 or len(steps) != len(y):
            raise ValueError(
                f"{name!r} has {len(y)} numbers and x has {len(steps)}; "
                "they must be as many, and at least one"
            )
        axes = grid[i % count, 0]
        color, line = COLORS[i % len(COLORS)], LINES[i % len(LINES)]
        if smooth > 1:
            axes.plot(steps, y, color=color, linestyle="-", alpha=0.25, linewidth=0.8)
            y = _trailing_mean(y, smooth)
        marker = "o" if len(y) == 1 else ""
        axes.plot(steps, y, color=color, linestyle=line, marker=marker, label=name)
    for axes, label in zip(grid[:, 0], series if panels else [ylabel], strict=True):
        for name, value in (references or {}).items():
            axes.axhline(value, color=FAINT, linestyle=":", linewidth=1.2)
            axes.annotate(
                name, (1, value), xycoords=("axes fraction", "data"), xytext=(-3, 3),
                textcoords="offset points", ha="right", fontsize=8, color=INK,
            )  # fmt: skip
        if log:
            axes.set_yscale("log")
        axes.set(ylabel=label)
    axes.set(xlabel=xlabel)
    if len(series) > 1 and not panels:
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


def _trailing_mean(y: Tensor, window: int) -> Tensor:
    """The mean of the last `window` numbers at each place, of fewer at the start."""
    total = torch.cat([torch.zeros(1, dtype=y.dtype), y.cumsum(0)])
    ends = torch.arange(1, len(y) + 1)
    starts = (ends - window).clamp(min=0)
    return (total[ends] - total[starts]) / (ends - starts)
