"""What `train` can call on its way: logs, and an end before the last epoch."""

from collections.abc import Callable
from pathlib import Path

from torch import nn

from companion import checks


def tensorboard(folder: str | Path) -> Callable[[int, dict[str, float]], None]:
    """Write the losses for TensorBoard: ``train(..., on_record=tensorboard("runs/mine"))``.

    Args:
        folder: of the logs; show them with ``tensorboard --logdir runs``.

    Raises:
        ImportError: the package tensorboard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "tensorboard(folder) needs the package tensorboard; use pip install tensorboard"
        ) from error
    writer = SummaryWriter(folder)

    def on_record(step: int, losses: dict[str, float]) -> None:
        for name, value in losses.items():
            writer.add_scalar(name, value, step)
        writer.flush()

    return on_record


def stop_early(
    measure: Callable[[nn.Module], float], patience: int = 3
) -> Callable[[int, nn.Module], bool]:
    """End a run when a figure stops falling: ``train(..., on_epoch=stop_early(measure))``.

    Args:
        measure: gets the model, in evaluation mode and without gradients, and returns a number
            that is best when low, such as the loss of held-out images.
        patience: how many epochs without a new lowest number end the run. What is counted starts
            anew when a run that was stopped by Ctrl-C is resumed.

    Returns:
        A function for ``on_epoch``; it is True when the run should end.

    Raises:
        TypeError, ValueError: if ``measure`` is no function, or ``patience`` not a positive whole
            number.
    """
    checks.integer("patience", patience)
    if not callable(measure):
        raise TypeError(
            f"measure must be a function of the model, got {checks.kind(measure)}; "
            "use stop_early(lambda model: model.loss(images))"
        )
    figures: list[float] = []

    def on_epoch(epoch: int, model: nn.Module) -> bool:
        figures.append(float(measure(model)))
        best = min(range(len(figures)), key=figures.__getitem__)
        return len(figures) - 1 - best >= patience

    return on_epoch
