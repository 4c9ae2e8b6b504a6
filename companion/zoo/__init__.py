"""Trained weights with their cards, and the recipes that reproduce them.

    >>> from companion import zoo
    >>> zoo.list()                   # what there is
    >>> model = zoo.load("dcgan")    # ready to sample, checked against its card
    >>> zoo.card("dcgan").metrics    # measured on the full test set

Weights are safetensors of at most 4 MB in `companion/weights`, beside a card in JSON. Nothing is
unpickled, and weights whose SHA-256 is not the card's are refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from companion.checks import explained
from companion.training.hardware import pick_device
from companion.zoo.cards import Card, Table, read_card
from companion.zoo.recipes import Recipe, known, recipe, recipe_names
from companion.zoo.store import (
    CARD,
    WEIGHTS,
    read_checkpoint,
    read_model,
    read_run,
    save,
    take_in,
)

__all__ = [
    "CARD",
    "WEIGHTS",
    "Card",
    "Recipe",
    "Table",
    "add",
    "card",
    "list",
    "load",
    "names",
    "read_checkpoint",
    "read_run",
    "recipe",
    "recipe_names",
    "save",
]

FOLDER = Path(__file__).parent.parent / "weights"


@explained
def load(name: str, device: str | torch.device = "cpu") -> Any:
    """A trained model on `device`, of the class that its card names, ready to use.

    It is in eval mode, and its parameters are frozen: to train it further, call
    `model.requires_grad_()` first.

    Raises:
        ValueError: unknown name or device; or weights that are damaged or do not fit their card.
        FileNotFoundError: the weights are missing.
    """
    known(name, names())
    where = pick_device(device)
    return read_model(FOLDER / f"{name}.safetensors", FOLDER / f"{name}.json", where)


def card(name: str) -> Card:
    """The card of a name.

    Raises:
        ValueError: an unknown name; the sentence has the known ones.
    """
    return read_card(FOLDER / f"{known(name, names())}.json")


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def add(
    run_dir: str | Path,
    metrics: Mapping[str, Any],
    quick_images: int,
    quick_metrics: Mapping[str, Any],
) -> Card:
    """Take the weights of a finished run into the zoo under its recipe's name, with its figures.

    They are those of :func:`companion.evaluation.evaluate`, of all test images and of
    `quick_images` of them; `companion zoo add` measures them, and asks before it replaces others.

    Raises:
        FileNotFoundError: the folder holds no finished run.
        CheckpointError: a file could not be written; earlier ones are untouched.
    """
    return take_in(run_dir, FOLDER, metrics, quick_images, quick_metrics)


@explained
def list() -> Table:  # the last here, for below it the builtin is hidden
    """All cards of the zoo, as a tuple that prints as a table."""
    return Table(card(name) for name in names())
