"""Trained weights with their cards, and the recipes that reproduce them.

    >>> from companion import zoo
    >>> zoo.list()                   # what there is
    >>> model = zoo.load("dcgan")    # ready to sample, checked against its card
    >>> zoo.card("dcgan").metrics    # measured on the full test set

Weights are safetensors of at most 4 MB in `companion/weights`, beside a card in JSON. Nothing is
unpickled, and weights whose SHA-256 is not the card's are refused.
"""

import hashlib
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import nn

from companion import machine
from companion.files import CheckpointError, load_tensors, save_tensors, write_file

FOLDER = Path(__file__).parent / "weights"
WEIGHTS, CARD = "model.safetensors", "card.json"  # in the folder of a run
MAX_BYTES = 4_000_000
LICENSE = "weights MIT, as the code; data Fashion-MNIST, MIT, Copyright (c) 2017 Zalando SE"


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

    def build(self) -> nn.Module:
        """The untrained model."""
        return build(self.constructor, self.arguments)


RECIPES: dict[str, Recipe] = {
    "vae": Recipe(
        constructor="companion.models.vae:VAE",
        arguments={"latent_dim": 32, "width": 48, "components": 5},
        training={
            "epochs": 20,
            "batch_size": 64,
            "seed": 0,
            "ema_decay": 0.999,
            "schedule": "cosine",
            "clip_norm": 200.0,
        },
        intended_use="teaching: latent walks, reconstructions, a bound on the likelihood",
        limits="samples are smoother than photographs; knows ten kinds of garments at 28x28 only",
    ),
    "beta_vae": Recipe(
        constructor="companion.models.beta_vae:BetaVAE",
        arguments={"beta": 4.0, "latent_dim": 16, "width": 32, "components": 5},
        training={
            "epochs": 10,
            "batch_size": 64,
            "seed": 0,
            "ema_decay": 0.999,
            "schedule": "cosine",
            "clip_norm": 200.0,
        },
        intended_use="teaching: a short code, latent axes, rate against distortion",
        limits="blurred; samples favor some classes; its axes have no meaning of their own; 28x28",
    ),
    "iwae": Recipe(
        constructor="companion.models.iwae:IWAE",
        arguments={"k": 50},
        # One of the runs of companion/experiments/importance_samples.py.
        training={"epochs": 10, "batch_size": 64, "seed": 2, "schedule": "cosine"},
        intended_use="teaching: bounds with many samples, effective sample size",
        limits="black-and-white images only; a small network without convolutions; 28x28 only",
    ),
    "vq_vae": Recipe(
        constructor="companion.models.vq_vae:VQVAE",
        arguments={
            "codebook_size": 512,
            "code_dim": 16,
            "width": 32,
            "components": 5,
            "hidden_size": 192,
        },
        training={
            "epochs": 13,
            "batch_size": 64,
            "seed": 0,
            "ema_decay": 0.999,
            "schedule": "cosine",
            "clip_norm": 200.0,
        },
        intended_use="teaching: discrete codes, a prior over them, samples and completions",
        limits="parts of a garment may not fit each other; ten kinds of garments at 28x28 only",
    ),
    "gan": Recipe(
        constructor="companion.models.gan:GAN",
        arguments={"latent_dim": 64, "hidden_size": 256},
        training={"epochs": 60, "batch_size": 64, "seed": 0, "ema_decay": 0.999},
        intended_use="teaching: the first adversarial network, without convolutions",
        limits="samples are grainy, and favor some classes; no likelihood; 28x28 only",
    ),
    "wgan_gp": Recipe(
        constructor="companion.models.wgan:WGANGP",
        arguments={"penalty": 10.0, "latent_dim": 64, "hidden_size": 256},
        training={"epochs": 100, "batch_size": 64, "seed": 0, "ema_decay": 0.999},
        intended_use="teaching: a critic whose loss is a distance, without convolutions",
        limits="samples are grainy; gives no likelihood; 28x28 only",
    ),
    "dcgan": Recipe(
        constructor="companion.models.dcgan:DCGAN",
        arguments={"latent_dim": 64, "width": 32},
        training={
            "epochs": 22,
            "batch_size": 64,
            "seed": 0,
            "ema_decay": 0.999,
        },
        intended_use="teaching: sharp samples, interpolation, adversarial training",
        limits="gives no likelihood; rare garments are under-represented; 28x28 only",
    ),
    "infogan": Recipe(
        constructor="companion.models.infogan:InfoGAN",
        arguments={"noise_dim": 62, "categories": 10, "continuous": 2, "width": 16},
        training={
            "epochs": 16,
            "batch_size": 64,
            "seed": 0,
            "ema_decay": 0.999,
        },
        intended_use="teaching: pictures by category and by continuous codes found without labels",
        limits="its categories are not the ten classes, though many come near one; 28x28 only",
    ),
    "row_rnn": Recipe(
        constructor="companion.models.row_rnn:RowRNN",
        arguments={"cell": "lstm", "hidden_size": 192, "features": 24, "components": 5},
        training={
            "epochs": 12,
            "batch_size": 128,
            "seed": 0,
            "ema_decay": 0.999,
            "schedule": "cosine",
            "clip_norm": 200.0,
        },
        intended_use="teaching: exact likelihood, sampling row by row, completion of an image",
        limits="sees the rows above and a few pixels to the left; shapes can drift; 28x28 only",
    ),
    "conv_lstm": Recipe(
        constructor="companion.models.conv_lstm:ConvLSTM",
        arguments={"hidden_size": 64, "layers": 1},
        training={
            "epochs": 6,
            "batch_size": 32,
            "seed": 0,
            "schedule": "cosine",
            "clip_norm": 50.0,
        },
        intended_use="teaching: frames that follow from frames",
        limits="two garments in straight flight, 32x32 pixels; blurs where it is unsure",
    ),
    "pixel_rnn": Recipe(
        constructor="companion.models.pixel_rnn:PixelRNN",
        arguments={"hidden_size": 32, "components": 5},
        training={
            "epochs": 6,
            "batch_size": 32,
            "seed": 0,
            "ema_decay": 0.999,
            "schedule": "cosine",
            "clip_norm": 200.0,
        },
        intended_use="teaching: exact likelihood, sampling pixel by pixel, completion of an image",
        limits="sees a triangle of the rows above, no overall plan; shapes can drift; 28x28 only",
    ),
    "draw": Recipe(
        constructor="companion.models.draw:DRAW",
        arguments={
            "steps": 8,
            "latent_dim": 10,
            "hidden_size": 192,
            "read_size": 7,
            "write_size": 7,
        },
        training={
            "epochs": 18,
            "batch_size": 64,
            "seed": 0,
            "schedule": "cosine",
            "clip_norm": 20.0,
        },
        intended_use="teaching: an image painted step by step, attention, a bound of many codes",
        limits="black-and-white images only; soft strokes; 28x28 only",
    ),
    "classifier": Recipe(
        constructor="companion.models.classifier:Classifier",
        arguments={"width": 32},
        training={
            "epochs": 9,
            "batch_size": 128,
            "seed": 0,
            "ema_decay": 0.99,
            "schedule": "cosine",
        },
        intended_use="measuring: features of the Fréchet distance and class shares of samples",
        limits="an instrument for 28x28 Fashion-MNIST; its distances compare with no others",
        labels=True,
    ),
}


@dataclass(frozen=True)
class Card:
    """What is to be known about trained weights.

    `metrics` are those of the full test set; `quick_metrics` are the same ones on fewer images
    (`quick_images` of them, fixed seed), which a test computes anew from the weights.
    """

    name: str
    constructor: str
    arguments: dict[str, Any]
    data: str
    command: str
    seed: int
    epochs: int
    machine: str
    minutes: float
    parameters: int
    sha256: str
    license: str
    intended_use: str
    limits: str
    metrics: dict[str, Any] = field(default_factory=dict)
    quick_images: int = 0
    quick_metrics: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """One aligned line for each fact."""
        facts = {k: v for k, v in asdict(self).items() if not k.startswith("quick")}
        facts |= {f"  {k}": v for k, v in facts.pop("metrics").items()}
        width = max(map(len, facts)) + 2
        return "\n".join(f"{key:{width}}{_short(value)}" for key, value in facts.items())


class Table(tuple[Card, ...]):
    """The zoo's cards, printed as a table."""

    def __repr__(self) -> str:
        lines = [("name", "parameters", "epochs", "minutes", "metrics")]
        for card in self:
            metrics = ", ".join(
                f"{name.replace('_', ' ')} {value:.4g}"
                for name, value in card.metrics.items()
                if isinstance(value, float)
            )
            numbers = f"{card.parameters:,}", str(card.epochs), f"{card.minutes:.0f}"
            lines.append((card.name, *numbers, metrics))
        widths = [max(len(line[column]) for line in lines) for column in range(4)]
        return "\n".join(
            f"{name:{widths[0]}}  {parameters:>{widths[1]}}  {epochs:>{widths[2]}}  "
            f"{minutes:>{widths[3]}}  {metrics}"
            for name, parameters, epochs, minutes, metrics in lines
        )


def names() -> tuple[str, ...]:
    """The names that `load` knows."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.json")))


def recipe(name: str) -> Recipe:
    """The recipe of a name. Raises ValueError for an unknown one, with the known names."""
    return RECIPES[_known(name, tuple(RECIPES))]


def card(name: str) -> Card:
    """The card of a name. Raises ValueError for an unknown one, with the known names."""
    return read_card(FOLDER / f"{_known(name, names())}.json")


def load(name: str, device: str | torch.device = "cpu") -> Any:
    """A trained model on `device`, of the class that its card names, ready to use.

    It is in eval mode, and its parameters are frozen: to train it further, call
    `model.requires_grad_()` first.

    Raises:
        ValueError: unknown name; or weights that are damaged or do not fit their card.
        FileNotFoundError: the weights are missing.
    """
    _known(name, names())
    return read_model(FOLDER / f"{name}.safetensors", FOLDER / f"{name}.json", device)


def read_card(path: Path) -> Card:
    """A card from its JSON file."""
    try:
        return Card(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is not a card of the zoo ({error}); restore it or train the model again"
        ) from None


def read_model(weights: Path, card: Path, device: str | torch.device = "cpu") -> Any:
    """The model that a card describes, with its weights, in eval mode.

    Raises ValueError for weights that are damaged or do not fit, FileNotFoundError for none.
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

    Raises FileNotFoundError if the folder holds none, else as `load`.
    """
    folder = Path(run_dir)
    if not (folder / CARD).exists():
        raise FileNotFoundError(
            f"{folder} holds no finished run (no {CARD}); finish it by "
            f"`companion train NAME --out {folder}`"
        )
    return read_model(folder / WEIGHTS, folder / CARD, device), read_card(folder / CARD)


def build(constructor: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The untrained model of a constructor "companion.models.module:Class"."""
    module, _, name = constructor.partition(":")
    if not module.startswith("companion.models."):  # a card is data, and runs nothing else
        raise ValueError(
            f"the constructor must lie in companion.models, got {constructor!r}; "
            "use a card written by companion"
        )
    return getattr(importlib.import_module(module), name)(**arguments)


def save(model: nn.Module, name: str, folder: Path, minutes: float, **facts: Any) -> Card:
    """Write `model` and its card, without metrics yet, as `WEIGHTS` and `CARD` of a folder.

    Parameters and buffers are kept as they are, or in float16 if they would exceed 4 MB.
    Each file appears whole or not at all.

    Raises:
        ValueError: too large even in float16.
        CheckpointError: it could not be written (a full disk); earlier files are untouched.
    """
    state = dict(model.state_dict())
    if _size(state) > MAX_BYTES:
        state = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    if _size(state) > MAX_BYTES:
        raise ValueError(
            f"the weights take {_size(state):,} bytes even in float16, at most {MAX_BYTES:,} are "
            "allowed; make the model smaller"
        )
    weights = folder / WEIGHTS
    save_tensors(weights, state)
    made = recipe(name)
    card = Card(
        name=name,
        constructor=made.constructor,
        arguments=dict(made.arguments),
        machine=machine.describe(next(model.parameters()).device),
        minutes=round(minutes, 1),
        parameters=sum(p.numel() for p in model.parameters()),
        sha256=_sha256(weights),
        license=LICENSE,
        intended_use=made.intended_use,
        limits=made.limits,
        **facts,
    )
    write_file(folder / CARD, _json(card))
    return card


def add(run_dir: str | Path, progress: bool = False) -> Card:
    """Measure the weights of a finished run and take them into the zoo under its recipe's name.

    Raises FileNotFoundError if the folder holds no finished run.
    """
    from companion.metrics.evaluation import QUICK_IMAGES, evaluate

    model, card = read_run(run_dir)
    card = replace(
        card,
        metrics=evaluate(model, progress=progress),
        quick_images=QUICK_IMAGES,
        quick_metrics=evaluate(model, images=QUICK_IMAGES),
    )
    write_file(FOLDER / f"{card.name}.safetensors", (Path(run_dir) / WEIGHTS).read_bytes())
    write_file(FOLDER / f"{card.name}.json", _json(card))
    return card


def _known(name: str, known: tuple[str, ...]) -> str:
    if name not in known:
        close = get_close_matches(name, known, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else "choose one of these"
        raise ValueError(f"unknown model {name!r}, expected one of {', '.join(known)}; {remedy}")
    return name


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, dict):
        return ", ".join(f"{k}={v!r}" for k, v in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str):
        return " ".join(_short(v) for v in value)
    return str(value)


def _size(state: Mapping[str, torch.Tensor]) -> int:
    """Bytes of a safetensors file, its header estimated."""
    return sum(tensor.nbytes + 256 for tensor in state.values())


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _json(card: Card) -> bytes:
    return (json.dumps(asdict(card), indent=2, ensure_ascii=False) + "\n").encode()


def list() -> Table:
    """All cards of the zoo, as a tuple that prints as a table."""
    return Table(card(name) for name in names())
