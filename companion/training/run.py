"""The files of a run: its checkpoint, its sheets of samples, and what it is of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor, distributed, nn

from companion.files import CheckpointError, load_tensors, save_images, save_tensors
from companion.layers import evaluating
from companion.training import hardware
from companion.training.average import Average
from companion.training.history import History, NotFiniteError
from companion.training.settings import as_stored, attributes_of, equal
from companion.training.update import Update

CHECKPOINT = "checkpoint.safetensors"
SHEET = 64  # images on a sheet of samples
MOST_DIFFERENCES = 4  # that a refusal names


def check_free(folder: str | Path) -> None:
    """Refuse a folder that another run is writing to, or that cannot be written.

    Raises:
        CheckpointError: with what to do.
    """
    _lock(Path(folder)).release()


def _lock(folder: Path) -> FileLock:
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise CheckpointError(
            f"another run is writing to {folder}; wait for it, or choose another run_dir"
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"run_dir {folder} cannot be written ({error.strerror or error}); choose another folder"
        ) from error
    return lock


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
        seed: int,
    ) -> None:
        self.seed = seed
        self.folder = Path(folder) if folder is not None else None
        self.checkpoint = self.folder / CHECKPOINT if self.folder else None
        self.model, self.updates, self.average = model, updates, average
        self.settings = as_stored(settings)
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
        lock = _lock(self.folder)
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
        # What training itself changes (a count, a log) tells one run from another no more.
        present = as_stored(attributes_of(self.model))
        kept = {k: v for k, v in self.settings["attributes"].items() if equal(v, present.get(k))}
        notes = {
            "settings": self.settings | {"attributes": kept},
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
                index, _, key = place.partition(".")
                if not index.isdigit():  # of a player whose name begins with this one's
                    continue
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
        now, was = self.settings, dict(before)
        own, their = now["attributes"], was.get("attributes", {})
        pairs = [(name, was.get(name), now.get(name)) for name in dict.fromkeys([*now, *was])]
        pairs += [(name, value, own.get(name)) for name, value in their.items()]
        differences = [
            f"{name} was {old!r}, now {new!r}"
            for name, old, new in pairs
            if name != "attributes" and not equal(old, new)
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
        rng = torch.Generator(self.device).manual_seed(self.seed)
        try:
            with evaluating(model):
                images = draw(rng) if hasattr(model, "preview") else draw(SHEET, rng=rng)
            if not isinstance(images, Tensor):
                raise TypeError(f"returned {type(images).__name__}")
        except Exception as error:
            called = "preview(rng)" if hasattr(model, "preview") else f"sample({SHEET}, rng=rng)"
            raise TypeError(
                f"a sheet of samples could not be drawn by {type(model).__name__}.{called} "
                f"({type(error).__name__}: {' '.join(str(error).split())}); give the model "
                "a method preview(rng) that returns images (N, C, H, W), or train without run_dir"
            ) from error
        if images.ndim == 4 and images.shape[1] in (1, 3):  # points of the plane are no pictures
            save_images(self.folder / "samples" / f"epoch_{epoch:04d}.png", images)
