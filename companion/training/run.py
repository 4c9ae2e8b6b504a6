"""The files of a run: its checkpoint, its sheets of samples, and what it is of."""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, distributed, nn

from companion.data import Unpaired
from companion.files import CheckpointError, load_tensors, save_images, save_tensors
from companion.game import Player
from companion.layers import evaluating
from companion.training import hardware
from companion.training.average import Average
from companion.training.history import History, NotFiniteError
from companion.training.update import Update

CHECKPOINT = "checkpoint.safetensors"
SHEET = 64  # images on a sheet of samples
MOST_DIFFERENCES = 4  # that a refusal names


class Run:
    """A folder with a run's checkpoint and samples; without a folder nothing is kept."""

    def __init__(
        self,
        folder: str | Path | None,
        model: nn.Module,
        updates: Sequence[Update],
        average: Average | None,
        settings: Mapping[str, Any],
        device: torch.device,
        rank: int,
    ) -> None:
        self.folder = Path(folder) if folder is not None else None
        self.checkpoint = self.folder / CHECKPOINT if self.folder else None
        self.model, self.updates, self.average = model, updates, average
        self.settings: dict[str, Any] = json.loads(json.dumps(settings))
        self.device, self.rank = device, rank

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the folder for this run alone.

        Raises:
            CheckpointError: another run holds it, or it cannot be written.
        """
        if self.folder is None or self.rank > 0:
            yield
            return
        lock = FileLock(self.folder / ".lock", timeout=0)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except Timeout:
            raise CheckpointError(
                f"another run is writing to {self.folder}; wait for it, or choose another run_dir"
            ) from None
        except OSError as error:
            raise CheckpointError(
                f"run_dir {self.folder} cannot be written ({error.strerror or error}); "
                "choose another folder"
            ) from error
        try:
            yield
        finally:
            lock.release()

    def save(self, step: int, history: History) -> None:
        """Write a checkpoint; weights that are not finite never replace an earlier one."""
        for update in self.updates:
            finite = [weight.isfinite().all() for weight in update.parameters]
            if not torch.stack(finite).all():  # one look at the device for all of them
                raise self.refused(
                    NotFiniteError(f"a weight of player {update.player.name!r}", step)
                )
        if self.checkpoint is None:
            return
        # Each process draws its own noise, so each has a random state to keep.
        states = hardware.random_state(self.device, self.rank)
        if distributed.is_available() and distributed.is_initialized():
            gathered: list[Any] = [None] * distributed.get_world_size()
            distributed.all_gather_object(gathered, states)
            states = {name: state for part in gathered for name, state in part.items()}
        if self.rank > 0:
            return
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()} | states
        if self.average is not None:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        numbers: dict[str, dict[str, Any]] = {}  # what of an optimizer's state is no tensor
        for update in self.updates:
            name = update.player.name
            for i, state in update.optimizer.state_dict()["state"].items():
                for key, value in state.items():
                    if isinstance(value, Tensor):
                        tensors[f"optimizer.{name}.{i}.{key}"] = value
                    elif value is not None:
                        numbers.setdefault(name, {})[f"{i}.{key}"] = value
        notes = {
            "settings": self.settings,
            "step": step,
            "history": vars(history),
            "scalers": {x.player.name: x.scaler.state_dict() for x in self.updates},
            "numbers": numbers,
        }
        save_tensors(self.checkpoint, tensors, notes)

    def refused(self, error: NotFiniteError) -> FloatingPointError:
        """What is said of a number that is not finite."""
        exists = self.checkpoint is not None and self.checkpoint.exists()
        kept = f"; {self.checkpoint} is from before" if exists else ""
        return FloatingPointError(
            f"{error}{kept}; lower the learning rate, set clip_norm=1.0, or use precision='float32'"
        )

    def resume(self) -> tuple[History, int]:
        """Load the checkpoint into model, average, optimizers and random state, if there is one.

        Returns:
            The history and the number of steps that are done.

        Raises:
            CheckpointError: it is damaged, or of another run.
        """
        if self.checkpoint is None or not self.checkpoint.exists():
            return History(), 0
        tensors, notes = load_tensors(self.checkpoint)
        if "settings" not in notes:
            raise CheckpointError(
                f"{self.checkpoint} is no checkpoint of a run; choose another run_dir"
            )
        self._compare(notes["settings"])

        def under(prefix: str) -> dict[str, Tensor]:
            return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

        try:
            self.model.load_state_dict(under("model."))
            if self.average is not None:
                self.average.load_state_dict(under("average."))
        except RuntimeError as error:
            first = " ".join(str(error).split("\n\t")[1:2]) or str(error)
            raise CheckpointError(
                f"{self.checkpoint} does not fit the model: {first.strip()} build the model with "
                "the arguments of that run, or use another run_dir"
            ) from error
        for update in self.updates:
            name = update.player.name
            states: dict[int, dict[str, Any]] = {}
            for place, tensor in under(f"optimizer.{name}.").items():
                index, key = place.split(".")
                weight = update.parameters[int(index)]
                if tensor.shape == weight.shape:  # moments lie in memory as their weights do
                    tensor = torch.empty_like(weight).copy_(tensor)
                states.setdefault(int(index), {})[key] = tensor
            for place, number in notes["numbers"].get(name, {}).items():
                index, key = place.split(".")
                states.setdefault(int(index), {})[key] = number
            groups = update.optimizer.state_dict()["param_groups"]
            update.optimizer.load_state_dict({"state": states, "param_groups": groups})
            update.scaler.load_state_dict(notes["scalers"][name])
        hardware.set_random_state(tensors, self.device, self.rank)
        return History(**notes["history"] | {"interrupted": False}), notes["step"]

    def _compare(self, before: Mapping[str, Any]) -> None:
        names = dict.fromkeys([*self.settings, *before])
        differences = [
            f"{name} was {before.get(name)!r}, now {self.settings.get(name)!r}"
            for name in names
            if before.get(name) != self.settings.get(name)
        ]
        if differences:
            more = len(differences) - MOST_DIFFERENCES
            listed = "; ".join(differences[:MOST_DIFFERENCES]) + (f"; {more} more" * (more > 0))
            raise CheckpointError(
                f"{self.checkpoint} belongs to another run ({listed}); use the same data, model "
                "and settings to resume it, or another run_dir to start anew"
            )

    def save_sheet(self, epoch: int, model: nn.Module) -> None:
        """A sheet of samples, always of the same noise, of models that draw images.

        Raises:
            TypeError: the model cannot draw without more arguments, and has no ``preview``.
            CheckpointError: the sheet cannot be written.
        """
        draw = getattr(model, "preview", None) or getattr(model, "sample", None)
        if self.folder is None or self.rank > 0 or draw is None:
            return
        rng = torch.Generator(self.device).manual_seed(self.settings["seed"])
        try:
            with evaluating(model):
                images = draw(rng) if hasattr(model, "preview") else draw(SHEET, rng=rng)
        except Exception as error:
            called = "preview(rng)" if hasattr(model, "preview") else f"sample({SHEET}, rng=rng)"
            raise TypeError(
                f"a sheet of samples could not be drawn by {type(model).__name__}.{called} "
                f"({type(error).__name__}: {' '.join(str(error).split())}); give the model "
                "a method preview(rng) that returns images (N, C, H, W), or train without run_dir"
            ) from error
        if images.ndim == 4 and images.shape[1] in (1, 3):  # points of the plane are no pictures
            save_images(self.folder / "samples" / f"epoch_{epoch:04d}.png", images)


def settings_of(
    model: nn.Module, players: Sequence[Player], data: Sequence[Any], **options: Any
) -> dict[str, Any]:
    """What makes a run this run and no other, as values that JSON can hold.

    The data count by their content, the losses by their own source (not by that of functions
    which they call), the model by the plain attributes of all its modules.
    """
    settings = {"model": type(model).__name__, "data": _digest(data), **options}
    for player in players:
        values = {
            "learning_rate": player.learning_rate,
            "betas": player.betas,
            "every": player.every,
            "optimizer": _name(player.optimizer),
            "code of the loss": _source(player.gradients or player.loss),
        }
        settings |= {f"{player.name}: {name}": value for name, value in values.items()}
    for path, module in model.named_modules():
        for name, value in vars(module).items():
            if not name.startswith("_") and name != "training" and _is_plain(value):
                settings[f"{path}.{name}" if path else name] = value
    return settings


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
        return f"{_name(inner)} {function.args} {sorted(function.keywords.items())}"
    return getattr(function, "__qualname__", type(function).__name__)


def _source(function: Any) -> str:
    """A checksum of a function's text, so that a changed loss is noticed."""
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):  # typed at the prompt, or no function of Python
        text = _name(function)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
