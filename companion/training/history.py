"""What a training run has recorded, and what records it."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from companion.training.hardware import mean_over_processes

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from tqdm.std import tqdm

RECORD_EVERY = 10  # steps whose losses are averaged into one point of the history
OnRecord = Callable[[int, dict[str, float]], object]


@dataclass
class History:
    """The losses of a run, averaged over a few steps each.

    Attributes:
        steps: the last step of each average, counted from 1.
        losses: the averages by name: each player's loss, and what else its loss reports.
        epochs: how many passes over the data are done.
        seconds: time spent training, over all resumptions.
        images: how many images were shown to the model.
        interrupted: whether the run was stopped by Ctrl-C before its last epoch.
        stopped: whether ``on_epoch`` has ended the run before its last epoch.
    """

    steps: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    images: int = 0
    interrupted: bool = False
    stopped: bool = False

    def record(self, step: int, averages: dict[str, float]) -> None:
        """Append one average of each loss; one that was not computed repeats its last value."""
        self.steps.append(step)
        for name in dict.fromkeys([*self.losses, *averages]):  # in the players' order
            values = self.losses.setdefault(name, [float("nan")] * (len(self.steps) - 1))
            values.append(averages.get(name, values[-1] if values else float("nan")))

    def plot(self) -> Figure:
        """Curves of all losses over the steps, each in its own panel if their sizes differ much.

        The size of a loss is its largest absolute value; more than tenfold is much.
        """
        from companion import plots

        sizes = [
            max((abs(value) for value in values if math.isfinite(value)), default=0.0)
            for values in self.losses.values()
        ]
        panels = max(sizes, default=0.0) > 10 * min(sizes, default=0.0)
        return plots.curves(self.losses, x=self.steps, panels=panels, height=1.8 if panels else 3.0)


class NotFiniteError(FloatingPointError):
    """A loss became NaN or infinite: which one, and at which step."""

    def __init__(self, what: str, step: int) -> None:
        super().__init__(f"{what} is NaN or infinite at step {step}")
        self.what, self.step = what, step


class Recorder:
    """Collects the losses of some steps and puts their means into the history.

    The means are taken on the device, so that no step waits for it. A loss below the least value
    that it can have is warned of, once.
    """

    def __init__(
        self,
        history: History,
        batch_size: int,
        bar: tqdm,
        on_record: OnRecord | None,
        least: Mapping[str, float] | None = None,
    ):
        self.history, self.batch_size, self.bar, self.on_record = (
            history,
            batch_size,
            bar,
            on_record,
        )
        self.least = dict(least or {})
        self.pending: list[dict[str, Tensor]] = []
        self.seconds_before, self.start = history.seconds, time.perf_counter()

    def add(self, step: int, losses: dict[str, Tensor]) -> None:
        """The losses of a step that is done."""
        self.pending.append(losses)
        self.bar.update()
        if step % RECORD_EVERY == 0:
            self.flush(step)

    def flush(self, step: int) -> None:
        """Record what is pending; its last step was ``step``.

        Raises:
            NotFiniteError: a loss is NaN or infinite.
        """
        if not self.pending:
            return
        names = list(dict.fromkeys(name for losses in self.pending for name in losses))
        means = [
            torch.stack([_wide(x[name]) for x in self.pending if name in x]).mean()
            for name in names
        ]
        values = mean_over_processes(torch.stack(means)).tolist() if means else []
        averages = dict(zip(names, values, strict=True))
        if not all(map(math.isfinite, averages.values())):
            self._blame(step)
        self.pending.clear()
        self._doubt(step, averages)
        self.history.record(step, averages)
        self.history.images = step * self.batch_size
        self.history.seconds = self.seconds_before + time.perf_counter() - self.start
        self.bar.set_postfix_str(", ".join(f"{k} {v:.4g}" for k, v in averages.items()))
        if self.on_record is not None:
            self.on_record(step, averages)

    def _doubt(self, step: int, averages: Mapping[str, float]) -> None:
        """Warn of a loss that cannot be, and not again."""
        for name, least in list(self.least.items()):
            if averages.get(name, least) < least:
                del self.least[name]
                warnings.warn(
                    f"the loss {name!r} is {averages[name]:.4g} at step {step}, but it cannot be "
                    f"below {least:g}; look for a wrong sign or a missing term in its formula",
                    stacklevel=5,  # the line that calls train, or the loop
                )

    def _blame(self, step: int) -> None:
        """Name the first loss to fail: it takes those of the other players with it."""
        first = step - len(self.pending) + 1
        for earlier, losses in enumerate(self.pending, start=first):
            for name, value in losses.items():
                if not math.isfinite(value):
                    raise NotFiniteError(f"the loss {name!r}", earlier)
        raise NotFiniteError("a loss of another process", step)


def _wide(value: Tensor) -> Tensor:
    """At least float32: a mean of bf16 numbers would be as coarse as they are."""
    return value.to(torch.promote_types(value.dtype, torch.float32))
