"""What `train` may be called with; everything else gets a sentence before anything is done."""

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from companion import checks
from companion.data import Unpaired, check_images
from companion.data.images import check_shape
from companion.game import Player
from companion.training.update import check_takes

USE = "use train(model, images, epochs=5)"


def check_data(data: Sequence[Any]) -> None:
    """Refuse data that are no tensors of images, with as many labels, or sets of them.

    Raises:
        TypeError, ValueError: with what would do.
    """
    if not data:
        raise TypeError(f"train needs data after the model, got none; {USE}")
    for part in data:
        if not isinstance(part, Tensor | Unpaired):
            raise TypeError(
                f"train takes tensors after the model, got {checks.kind(part)}; {_remedy(part)}"
            )
        for tensor in _tensors(part):
            if tensor.ndim == 0 or tensor.layout is not torch.strided:
                raise ValueError(
                    "train takes tensors with a row for each image, got one of shape "
                    f"{tuple(tensor.shape)} and layout {tensor.layout}; "
                    "use torch.stack(rows), and to_dense() on a sparse tensor"
                )
    for images in _tensors(data[0]):
        if images.dtype == torch.uint8:
            if images.ndim != 5:
                check_shape(images)
        else:
            check_images(images if images.ndim != 5 else images.flatten(0, 1))


def check_model(model: Any) -> None:
    """Refuse what is no model, or one that cannot be trained.

    Raises:
        TypeError: no module.
        ValueError: its parameters can have no gradient.
    """
    if isinstance(model, type):
        raise TypeError(
            f"train takes a model, got the class {model.__name__}; make one: {model.__name__}()"
        )
    if not isinstance(model, nn.Module):
        raise TypeError(f"train takes a torch.nn.Module first, got {checks.kind(model)}; {USE}")
    if any(parameter.is_inference() for parameter in model.parameters()):
        raise ValueError(
            f"this {type(model).__name__} was made under torch.inference_mode(), where parameters "
            "never have a gradient; make the model outside of it"
        )


def count(data: Sequence[Any]) -> int:
    """How many tensors a loss gets of each batch."""
    return sum(len(_tensors(part)) for part in data)


def _tensors(part: Tensor | Unpaired) -> tuple[Tensor, ...]:
    return part.tensors if isinstance(part, Unpaired) else (part,)


def look_at(images: Any) -> None:
    """Look once at the values of images on an accelerator, where no other check does."""
    for tensor in _tensors(images):
        if tensor.is_floating_point() and not checks.values_are_readable(tensor):
            checks.pixel_range("images", tensor)


def _remedy(part: Any) -> str:
    name = checks.kind(part)
    if isinstance(part, nn.Module):
        return f"the model comes first; {USE}"
    if isinstance(part, tuple) and len(part) == 2:
        return (
            "unpack them: images, labels = data; train(model, images, epochs=5), with the labels "
            "after the images if the loss takes them"
        )
    if isinstance(part, list | tuple) and part and not isinstance(part[0], Tensor):
        return "use torch.tensor(values) on a list of numbers, such as labels"
    if isinstance(part, list | tuple):
        return "use torch.stack(images) on a list of tensors of one shape"
    if name == "ndarray":
        return "use torch.from_numpy(array)"
    if hasattr(part, "dataset") or hasattr(part, "__getitem__"):
        return "put all images into one tensor, as torch.stack([row[0] for row in dataset])"
    return "put all images into one tensor (N, C, H, W)"


def check_callback(name: str, function: Any, *arguments: str) -> None:
    """Refuse a callback that cannot be called with what it will be given.

    Raises:
        TypeError: no function, or one of another number of arguments.
    """
    if function is None:
        return
    form = f"{name}=lambda {', '.join(arguments)}: ..."
    if not callable(function):
        raise TypeError(f"{name} must be a function, got {checks.kind(function)}; use {form}")
    try:
        inspect.signature(function).bind(*arguments)
    except TypeError as error:
        raise TypeError(
            f"{name} is called with ({', '.join(arguments)}), which it does not take ({error}); "
            f"use {form}"
        ) from None
    except ValueError:  # a function of C tells nothing
        return


def players_of(model: Any, players: Any, learning_rate: float | None, takes: int) -> list[Player]:
    """The players of a game, checked: those given, or those that the model names.

    Raises:
        TypeError, ValueError: they cannot play.
    """
    name = type(model).__name__
    check_model(model)
    if players is None:
        own = getattr(model, "players", None)
        if not callable(own):
            raise TypeError(
                f"{name} does not say how it is trained; give it a method players() that returns "
                "a list of companion.Player, or use train(model, images, players=[...])"
            )
        players = own()
    if isinstance(players, Player):
        players = [players]
    if not isinstance(players, list | tuple) or not all(isinstance(p, Player) for p in players):
        raise TypeError(
            f"the players of {name} must be a list of companion.Player, got "
            f"{checks.kind(players)}; return [Player(...), ...]"
        )
    if learning_rate is not None:
        rate = checks.number("learning_rate", learning_rate, above=0, remedy="use 1e-3, say")
        players = [replace(player, learning_rate=rate) for player in players]
    if not players or len({player.name for player in players}) < len(players):
        raise ValueError(
            f"players must be at least one and have different names, got "
            f"{[player.name for player in players]}; give each a name of its own"
        )
    _check_parameters(model, players)
    for player in players:
        check_takes(player, takes)
    return list(players)


def _check_parameters(model: nn.Module, players: Sequence[Player]) -> None:
    owner: dict[nn.Parameter, str] = {}
    for player in players:
        if not any(parameter.requires_grad for parameter in player.module.parameters()):
            raise ValueError(
                f"all parameters of player {player.name!r} are frozen, as those of a model from "
                "the zoo; call model.requires_grad_() to train it further"
            )
        for parameter in player.module.parameters():
            other = owner.setdefault(parameter, player.name)
            if other != player.name:
                raise ValueError(
                    f"players {other!r} and {player.name!r} move the same parameter; "
                    "give each player a module of its own"
                )
    named = dict(model.named_parameters())
    strangers = set(owner) - set(named.values())
    if strangers:
        name = owner[strangers.pop()]
        raise ValueError(
            f"player {name!r} moves parameters that are not the model's; "
            "make its module an attribute of the model"
        )
    idle = [name for name, p in named.items() if p.requires_grad and p not in owner]
    if idle:
        more = f" and {len(idle) - 1} more" if len(idle) > 1 else ""
        warnings.warn(
            f"parameter {idle[0]}{more} of the model belongs to no player and will not be trained; "
            "add it to a player's module, or freeze it by requires_grad_(False)",
            stacklevel=5,  # the line that calls train
        )


def check_options(
    epochs: Any,
    seed: Any,
    accumulate: Any,
    clip_norm: Any,
    ema_decay: Any,
    schedule: Any,
    checkpoint_every: Any,
    on_record: Callable[..., object] | None,
    on_epoch: Callable[..., object] | None,
    run_dir: Any,
) -> None:
    """Refuse options that are out of range.

    Raises:
        TypeError, ValueError: with what would do.
    """
    checks.integer("epochs", epochs, remedy="use epochs=5, say")
    checks.seed(seed)
    checks.integer("accumulate", accumulate, remedy="use 1 to take each batch whole")
    checks.one_of("schedule", schedule, ("constant", "cosine"))
    check_callback("on_record", on_record, "step", "losses")
    check_callback("on_epoch", on_epoch, "epoch", "model")
    if run_dir is not None and not isinstance(run_dir, str | Path):
        raise TypeError(
            f"run_dir must be the name of a folder, got {checks.shown(run_dir)}; "
            'use run_dir="runs/mine", say'
        )
    if clip_norm is not None:
        checks.number("clip_norm", clip_norm, above=0, remedy="use 1.0, say")
    if ema_decay is not None:
        checks.number("ema_decay", ema_decay, above=0, below=1, remedy="use 0.999, say")
    if checkpoint_every is not None:
        checks.integer("checkpoint_every", checkpoint_every, remedy="use 1000, say")


def check_own_gradients(
    players: Sequence[Player], accumulate: int, dtype: torch.dtype | None, world_size: int
) -> None:
    """A player that computes its gradients itself takes whole batches, in one process, unscaled."""
    own = [player.name for player in players if player.gradients is not None]
    if own and (accumulate > 1 or world_size > 1 or dtype is torch.float16):
        raise ValueError(
            f"player {own[0]!r} computes its own gradients, which needs whole batches in one "
            f"process without fp16, got accumulate={accumulate}, {world_size} processes and "
            f"precision {dtype or 'float32'}; use accumulate=1, one process, and another precision"
        )


def check_moves(players: Sequence[Player], total_steps: int) -> None:
    """Refuse a run in which a player would never move."""
    for player in players:
        if player.every > total_steps:
            raise ValueError(
                f"player {player.name!r} moves on every {player.every}th batch, but there are only "
                f"{total_steps} in all; train for more epochs, or use a smaller batch_size"
            )


def check_names(own: Mapping[str, Tensor], others: Mapping[str, Tensor]) -> None:
    """Refuse two players that record something under one name: one would hide the other."""
    if twice := own.keys() & others.keys():
        name = min(twice)
        raise ValueError(
            f"two players record {name!r}; give it another name in one of them, such as 'a: {name}'"
        )
