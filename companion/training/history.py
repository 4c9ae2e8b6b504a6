"""What a training run has recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    """

    steps: list[int] = field(default_factory=list)
    losses: dict[str, list[float]] = field(default_factory=dict)
    epochs: int = 0
    seconds: float = 0.0
    images: int = 0
    interrupted: bool = False

    @property
    def images_per_second(self) -> float:
        """Training images per second, including all but the very first set-up."""
        return self.images / self.seconds if self.seconds else float("nan")

    def record(self, step: int, averages: dict[str, float]) -> None:
        """Append one average of each loss; one that was not computed repeats its last value."""
        self.steps.append(step)
        for name in dict.fromkeys([*self.losses, *averages]):  # in the players' order
            values = self.losses.setdefault(name, [float("nan")] * (len(self.steps) - 1))
            values.append(averages.get(name, values[-1] if values else float("nan")))

    def plot(self) -> Figure:
        """Curves of all losses over the steps."""
        from companion import plots

        return plots.curves(self.losses, x=self.steps, xlabel="step", ylabel="loss")
