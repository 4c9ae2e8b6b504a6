"""What makes a run this run and no other: the data, the players, the model, the options."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from companion.data import Unpaired
from companion.game import Player


def settings_of(
    model: nn.Module, players: Sequence[Player], data: Sequence[Any], **options: Any
) -> dict[str, Any]:
    """What makes a run this run and no other, as values that JSON can hold.

    The data count by their content, the losses by their own source (not by that of functions
    which they call), the model by the plain attributes of all its modules.
    """
    settings: dict[str, Any] = {"model": type(model).__name__, "data": _digest(data), **options}
    for player in players:
        values = {
            "learning_rate": player.learning_rate,
            "betas": player.betas,
            "every": player.every,
            "optimizer": _name(player.optimizer),
            "code of the loss": _source(player.gradients or player.loss),
        }
        settings |= {f"{player.name}: {name}": value for name, value in values.items()}
    return settings | {"attributes": attributes_of(model)}


def attributes_of(model: nn.Module) -> dict[str, Any]:
    """The plain attributes of a model and of the modules in it: sizes, prices, switches."""
    return {
        f"{path}.{name}" if path else name: value
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if not name.startswith("_") and name != "training" and _is_plain(value)
    }


def as_stored(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as JSON gives them back; numbers of numpy and torch become Python's."""
    text = json.dumps(settings, default=lambda x: x.item() if hasattr(x, "item") else str(x))
    return json.loads(text)


def equal(a: object, b: object) -> bool:
    return a == b or (a != a and b != b)  # NaN is what it was


def _is_plain(value: object) -> bool:
    if isinstance(value, tuple | list):
        return all(map(_is_plain, value))
    return isinstance(value, bool | int | float | str | type(None))


def _digest(data: Sequence[Any]) -> str:
    """A checksum of tensors, or of sets of them."""
    digest = hashlib.sha256()
    for part in data:
        tensors = part.tensors if isinstance(part, Unpaired) else (part,)
        for tensor in tensors:
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}".encode())
            digest.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def _name(function: Any) -> str:
    """A function's name, with what `functools.partial` has given it."""
    inner = getattr(function, "func", None)
    if inner is not None:
        given = [*function.args, *(x for pair in sorted(function.keywords.items()) for x in pair)]
        return " ".join([_name(inner), *map(_name, given)])
    if _is_plain(function):
        return repr(function)
    return getattr(function, "__qualname__", type(function).__name__)


def _source(function: Any) -> str:
    """A checksum of a function's text, so that a changed loss is noticed."""
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):  # typed at the prompt, or no function of Python
        text = _name(function)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
