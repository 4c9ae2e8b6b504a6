"""Recipes: how the models of the zoo are made, one file each in `companion/recipes`."""

import importlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from companion import checks

FOLDER = Path(__file__).parent.parent / "recipes"


@dataclass(frozen=True)
class Recipe:
    """How a model of the zoo is made: `train(build(), images, **training)`.

    constructor: "module:Class" of the model; arguments: what it is called with; training: what
    `companion.training.train` is called with; labels: whether the loss wants labels, too.
    """

    constructor: str
    arguments: Mapping[str, Any]
    training: Mapping[str, Any]
    intended_use: str
    limits: str
    labels: bool = False

    def build(self, **changed: Any) -> nn.Module:
        """The untrained model; with other arguments than the recipe's, if any are given."""
        return build(self.constructor, {**self.arguments, **changed})


def recipe(name: str) -> Recipe:
    """The recipe of a name, from its file `companion/recipes/NAME.toml`.

    Raises:
        ValueError: an unknown name; the sentence has the known ones.
    """
    path = FOLDER / f"{known(name, recipe_names())}.toml"
    return Recipe(**tomllib.loads(path.read_text(encoding="utf-8")))


def recipe_names() -> tuple[str, ...]:
    """The names that `recipe` knows."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


def build(constructor: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The untrained model of a constructor "companion.models.module:Class"."""
    return class_of(constructor)(**arguments)


def class_of(constructor: str) -> type[nn.Module]:
    """The class of a constructor "companion.models.module:Class".

    Raises:
        ValueError: it lies elsewhere.
    """
    if not constructor.startswith("companion.models."):  # a card is data, and runs nothing else
        raise ValueError(
            f"the constructor must lie in companion.models, got {constructor!r}; "
            "use a card written by companion"
        )
    module, _, name = constructor.partition(":")
    return getattr(importlib.import_module(module), name)


def known(name: Any, names: tuple[str, ...]) -> str:
    """The name, if it is one of those given; else a ValueError that lists them."""
    if name not in names:
        raise ValueError(
            f"unknown model {name!r}, expected one of {', '.join(names)}; "
            f"{checks.suggestion(name, names)}"
        )
    return name
