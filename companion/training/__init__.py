"""One loop that trains every model, what it records, and what a run leaves behind."""

from companion.training.callbacks import stop_early, tensorboard
from companion.training.hardware import pick_device, pick_precision
from companion.training.history import History
from companion.training.loop import train

__all__ = [
    "History",
    "pick_device",
    "pick_precision",
    "stop_early",
    "tensorboard",
    "train",
]
