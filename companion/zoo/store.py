"""Trained weights on the disk: a run's folder is saved, read, and taken into the zoo."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from companion import machine
from companion.files import CheckpointError, load_model, load_tensors, pack, write_files
from companion.zoo.arguments import arguments_of, made_for
from companion.zoo.cards import Card, pack_card, read_card
from companion.zoo.recipes import build, recipe

WEIGHTS, CARD = "model.safetensors", "card.json"  # in the folder of a run
MAX_BYTES = 4_000_000
LICENSE = "weights MIT, as the code; data Fashion-MNIST, MIT, Copyright (c) 2017 Zalando SE"


def save(
    model: nn.Module,
    name: str,
    folder: str | Path,
    minutes: float,
    *,
    most_bytes: int | None = MAX_BYTES,
    **facts: Any,
) -> Card:
    """Write `model` and its card, without metrics yet, as `WEIGHTS` and `CARD` of a folder.

    Parameters and buffers are kept as they are, or in float16 if they would exceed the limit.
    Both files appear, whole, or none. A model of a class of your own has no recipe, and
    needs no card: :func:`companion.files.save_model` keeps it.

    Args:
        model: of the class that the recipe names; its own arguments go into the card.
        name: of a recipe.
        folder: where to; made if it is missing.
        minutes: that the training took.
        most_bytes: the limit, by default the zoo's, 4 MB; None for weights of any size.
        facts: the card's `data`, `command`, `seed` and `epochs`, and others if they are not those
            of the recipe.

    Raises:
        ValueError: unknown name, a model of another class, or too large even in float16; nothing
            is written then.
        CheckpointError: it could not be written (a full disk); earlier files are untouched.
    """
    folder, made = Path(folder), recipe(name)
    arguments = arguments_of(model, made)
    state = dict(model.state_dict())
    if most_bytes is not None and _size(state) > most_bytes:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    if most_bytes is not None and _size(state) > most_bytes:
        raise ValueError(
            f"the weights take {_size(state):,} bytes even in float16, at most {most_bytes:,} are "
            "allowed; make the model smaller"
        )
    weights = pack(state)
    card = Card(
        name=name,
        constructor=made.constructor,
        arguments=arguments,
        machine=machine.describe(next(model.parameters()).device),
        minutes=round(minutes, 1),
        parameters=sum(p.numel() for p in model.parameters()),
        sha256=hashlib.sha256(weights).hexdigest(),
        **{
            "license": LICENSE,
            "intended_use": made.intended_use,
            "limits": made.limits,
            **facts,
        },
    )
    write_files({folder / WEIGHTS: weights, folder / CARD: pack_card(card)})
    return card


def read_model(weights: Path, card: Path, device: str | torch.device = "cpu") -> Any:
    """The model that a card describes, with its weights, in eval mode, its parameters frozen.

    Raises:
        ValueError: weights that are damaged or do not fit.
        FileNotFoundError: there are none.
    """
    facts = read_card(card)
    remedy = "restore the file, or train it again by `" + facts.command + "`"
    if not weights.exists():
        raise FileNotFoundError(f"{weights} is missing; {remedy}")
    sha256 = _sha256(weights)
    if sha256 != facts.sha256:
        raise ValueError(
            f"{weights} is damaged: its SHA-256 starts with {sha256[:8]}, expected "
            f"{facts.sha256[:8]}; {remedy}"
        )
    model = build(facts.constructor, facts.arguments)
    try:
        model.load_state_dict(load_tensors(weights)[0], strict=True)
    except (RuntimeError, CheckpointError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{weights} does not fit its card ({reason}); {remedy}") from None
    return model.eval().requires_grad_(False).to(device)


def read_run(run_dir: str | Path, device: str | torch.device = "cpu") -> tuple[Any, Card]:
    """Model and card of a run that `companion train` has finished.

    Raises:
        FileNotFoundError: the folder holds none.
        ValueError: weights that are damaged or do not fit their card.
    """
    folder = Path(run_dir)
    if not (folder / CARD).exists():
        raise FileNotFoundError(
            f"{folder} holds no finished run (no {CARD}); finish it by "
            f"`companion train NAME --out {folder}`"
        )
    return read_model(folder / WEIGHTS, folder / CARD, device), read_card(folder / CARD)


def read_checkpoint(checkpoint: str | Path, device: str | torch.device = "cpu") -> Any:
    """The model of a run that is not finished, or that was started by `train(run_dir=...)`.

    The checkpoint names the class, whose recipe is known; it has the averaged weights, if there
    is an average. In eval mode, with frozen parameters.

    Raises:
        CheckpointError: it is missing or damaged, no recipe makes its class, or a model of
            other sizes was trained.
    """
    settings = load_tensors(checkpoint)[1].get("settings", {})
    remedy = (
        "build the model in Python as it was trained, and read the weights by "
        f"companion.files.load_model({str(checkpoint)!r}, model)"
    )
    constructor, arguments = made_for(settings)
    if constructor is None:
        raise CheckpointError(
            f"{checkpoint} is of a class {settings.get('model')!r} that no recipe makes; {remedy}"
        )
    try:
        model = load_model(checkpoint, build(constructor, arguments))
    except CheckpointError as error:
        reason = str(error).split("; ")[0]
        raise CheckpointError(f"{reason}; {remedy}") from None
    return model.eval().requires_grad_(False).to(device)


def take_in(
    run_dir: str | Path,
    zoo: Path,
    metrics: Mapping[str, Any],
    quick_images: int,
    quick_metrics: Mapping[str, Any],
) -> Card:
    """Copy the weights of a finished run into a folder of the zoo, with a card that has figures.

    Raises:
        FileNotFoundError: the run's folder holds no finished run.
        CheckpointError: a file could not be written; earlier ones are untouched.
    """
    card = replace(
        read_run(run_dir)[1],
        metrics=dict(metrics),
        quick_images=quick_images,
        quick_metrics=dict(quick_metrics),
    )
    weights = (Path(run_dir) / WEIGHTS).read_bytes()
    write_files(
        {zoo / f"{card.name}.safetensors": weights, zoo / f"{card.name}.json": pack_card(card)}
    )
    return card


def _size(state: Mapping[str, torch.Tensor]) -> int:
    """Bytes of a safetensors file, its header estimated."""
    return sum(tensor.nbytes + 256 for tensor in state.values())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
