"""Images as tensors: Fashion-MNIST or your own, their ranges checked, their batches shuffled.

A data set is one ``uint8`` tensor; a batch of it becomes floats in [0, 1] where it is used.
"""

from companion import checks
from companion.data.batching import batches, batches_per_epoch
from companion.data.fashion import CLASS_NAMES, LabeledImages, fashion_mnist
from companion.data.folder import FolderReport, folder
from companion.data.images import (
    as_model_input,
    check_images,
    check_labels,
    to_float,
    to_uint8,
)
from companion.data.moving import bounce, check_sequences, flights, moving_fashion, paint
from companion.data.pairs import Unpaired
from companion.data.points import ring_centers, ring_of_gaussians
from companion.data.sequences import adding_problem, copy_chance, copy_task
from companion.data.tables import read_csv, read_idx

__all__ = [
    "CLASS_NAMES",
    "FolderReport",
    "LabeledImages",
    "Unpaired",
    "adding_problem",
    "as_model_input",
    "batches",
    "batches_per_epoch",
    "bounce",
    "check_images",
    "check_labels",
    "check_sequences",
    "copy_chance",
    "copy_task",
    "fashion_mnist",
    "flights",
    "folder",
    "moving_fashion",
    "paint",
    "read_csv",
    "read_idx",
    "ring_centers",
    "ring_of_gaussians",
    "to_float",
    "to_uint8",
]


def __getattr__(name: str) -> object:
    raise checks.unknown_name(__name__, name, __all__)
