"""With which arguments a model was built: those of its recipe, and what it says otherwise."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from companion.zoo.recipes import Recipe, build, class_of, recipe, recipe_names


def arguments_of(model: nn.Module, made: Recipe) -> dict[str, Any]:
    """The arguments that build a model like this one, for its card.

    Raises:
        ValueError: the model is not what the recipe's class builds from its attributes.
    """
    keep = "use companion.files.save_model(path, model), which keeps a model of any class"
    wanted = made.constructor.partition(":")[2]
    if type(model).__name__ != wanted:
        raise ValueError(f"the recipe makes a {wanted}, got a {type(model).__name__}; {keep}")
    arguments = _overlaid(made.arguments, type(model), vars(model))
    with torch.device("meta"):  # shapes only: nothing is drawn or allocated
        twin = build(made.constructor, arguments)
    if _shapes(twin) != _shapes(model):
        raise ValueError(
            f"this {wanted} has other layers than {wanted}({_listed(arguments)}) would have; {keep}"
        )
    return arguments


def made_for(settings: Mapping[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Constructor and arguments for the settings of a run; None if no recipe has its class."""
    for name in recipe_names():
        made = recipe(name)
        if made.constructor.endswith(f":{settings.get('model')}"):
            kind = class_of(made.constructor)
            return made.constructor, _overlaid(made.arguments, kind, settings["attributes"])
    return None, {}


def _overlaid(
    arguments: Mapping[str, Any], kind: type[nn.Module], attributes: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments, with attributes of the same names in their place where these differ."""
    own = dict(arguments)
    for name, default in _parameters(kind).items():
        value = attributes.get(name, own.get(name, default))
        value = list(value) if isinstance(value, tuple | list) else value
        default = list(default) if isinstance(default, tuple) else default
        plain = isinstance(value, bool | int | float | str | list | None)
        if plain and value != own.get(name, default):
            own[name] = value
    return own


def _parameters(kind: type[nn.Module]) -> dict[str, Any]:
    """Parameters of all constructors of a class and its bases, with their defaults."""
    return {
        parameter.name: parameter.default
        for base in reversed(kind.__mro__)
        if issubclass(base, nn.Module) and base is not nn.Module and "__init__" in vars(base)
        for parameter in inspect.signature(base.__init__).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        and parameter.name != "self"
    }


def _shapes(model: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in model.state_dict().items()}


def _listed(arguments: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
