"""Training as a game: players, the loop that lets them move, and what a run leaves behind."""

from companion.training.checkpoint import CheckpointError, load_tensors, save_tensors
from companion.training.game import Player
from companion.training.hardware import pick_device, pick_precision
from companion.training.history import History
from companion.training.loop import train

__all__ = [
    "CheckpointError",
    "History",
    "Player",
    "load_tensors",
    "pick_device",
    "pick_precision",
    "save_tensors",
    "train",
]
