"""One loop that trains every model of the book; it knows none of them by name."""

import contextlib
import math
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from companion.data import batches, batches_per_epoch, check_images
from companion.files import CheckpointError, load_tensors, save_tensors
from companion.game import Player
from companion.progress import progress_bar
from companion.training import hardware
from companion.training.history import History

CHECKPOINT = "checkpoint.safetensors"
RECORD_EVERY = 10  # steps whose losses are averaged into one point of the history


def train(
    model: nn.Module,
    *data: Tensor,
    epochs: int,
    batch_size: int = 128,
    seed: int = 0,
    device: str | torch.device = "auto",
    precision: str = "auto",
    compile: bool = False,
    schedule: Literal["constant", "cosine"] = "constant",
    clip_norm: float | None = None,
    accumulate: int = 1,
    ema_decay: float | None = None,
    run_dir: str | Path | None = None,
    checkpoint_every: int | None = None,
    tensorboard: bool = False,
    on_epoch: Callable[[int, nn.Module], None] | None = None,
    progress: bool = True,
) -> History:
    r"""Train a model by letting its players move in turn, batch after batch.

    The model says who plays (``model.players()``, see :class:`~companion.Player`);
    everything else about training is here. For each batch, each player whose turn it is takes one
    step of Adam on its own loss while the parameters of the others are held fixed. Calling
    ``train`` again with the same ``run_dir`` resumes a run that was stopped, and ends in the same
    weights as if it had never been.

    Started by ``torchrun``, each process takes its share of every batch and the gradients are
    averaged, so the run is that of one process with the whole batch.

    Args:
        model: any module with a method ``players()``; it is trained in place, on ``device``, and
            afterwards returns to the device that it came from.
        data: images of shape ``(N, C, H, W)``, as ``uint8`` or as floats in [0, 1]; then, if the
            losses want them, labels or other tensors of the same length.
        epochs: passes over the data.
        batch_size: images per step, over all processes together.
        seed: determines the order of the data and all noise that the losses draw.
        device: ``"auto"`` (a GPU if there is one), ``"cpu"``, ``"cuda"``, ``"mps"``.
        precision: ``"auto"`` (bf16 where the GPU has it, else float32), ``"float32"``,
            ``"bf16"``, or ``"fp16"`` (with loss scaling).
        compile: compile each player's loss with ``torch.compile``: slow to start, then faster.
        schedule: of the learning rates: ``"constant"``, or ``"cosine"`` with the factor
            :math:`\tfrac12(1 + \cos(\pi t/T))` at step :math:`t` of :math:`T`.
        clip_norm: the largest norm a player's gradient may have; longer ones are shortened.
        accumulate: cut each batch into so many parts and add up their gradients, to save memory.
        ema_decay: if given, keep the average
            :math:`\bar\theta \leftarrow \gamma\bar\theta + (1 - \gamma)\theta` of all weights with
            this :math:`\gamma`, and leave it in the model at the end.
        run_dir: a folder for checkpoints (one an epoch) and, for models that have ``sample``,
            a sheet of samples an epoch, always of the same noise.
        checkpoint_every: save a checkpoint every so many steps, too.
        tensorboard: write the losses for TensorBoard into ``run_dir``.
        on_epoch: called after each epoch with its number and the model (the averaged one if
            there is an average), to draw or measure it; what it draws at random has no
            influence on the run.
        progress: whether to show a progress bar.

    Returns:
        The history of all losses; ``history.plot()`` draws it. Ctrl-C ends the run after the
        step that it falls into, keeps what was learned in the model and in a checkpoint, and
        sets ``history.interrupted``; a second Ctrl-C does not wait for the step.

    Raises:
        TypeError, ValueError: if the data or an option does not fit, with what would.
        FloatingPointError: if a loss or a weight becomes NaN or infinite; says at which step and
            for whom. The last checkpoint is from before.
        CheckpointError: if a checkpoint is damaged, belongs to another run, or cannot be saved.

    Source: the alternating steps are Goodfellow et al. (2014), algorithm 1; the averaging is
    Polyak and Juditsky (1992) in its exponential form.
    """
    _check_options(data, epochs, accumulate, clip_norm, ema_decay, schedule, tensorboard, run_dir)
    players = _players(model)
    device = hardware.pick_device(device)
    dtype = hardware.pick_precision(precision, device)
    rank, world_size = hardware.join_processes(device)
    home = next(model.parameters()).device
    hardware.prepare(model, device)
    data = tuple(tensor.to(device) for tensor in data)
    steps_per_epoch = batches_per_epoch(len(data[0]), batch_size)
    total_steps = epochs * steps_per_epoch

    turns = [_Turn(model, player, device, dtype, compile, world_size) for player in players]
    average = None
    if ema_decay is not None:
        average = AveragedModel(
            model, multi_avg_fn=get_ema_multi_avg_fn(ema_decay), use_buffers=True
        )
    settings = {
        "model": type(model).__name__,
        "players": [turn.player.name for turn in turns],
        "images": len(data[0]),
        "batch_size": batch_size,
        "seed": seed,
        "schedule": schedule,
        "epochs": epochs if schedule == "cosine" else None,
        "ema_decay": ema_decay,
        "processes": world_size,
    }
    run = _Run(model, turns, average, settings, Path(run_dir) if run_dir else None, rank, device)

    with _own_randomness(device), _interrupts_between_steps() as allow_interrupt:
        torch.manual_seed(seed * world_size + rank)
        history, step = run.resume()
        if step > total_steps:
            raise ValueError(
                f"{run.checkpoint} is already at epoch {history.epochs}, beyond the {epochs} "
                "asked for; ask for more epochs or choose another run_dir"
            )
        writer = _tensorboard_writer(run.directory) if tensorboard and rank == 0 else None
        bar = progress_bar(
            total=total_steps, initial=step, unit="step", disable=not progress or rank > 0
        )
        pending: list[dict[str, Tensor]] = []
        model_dtype = next(model.parameters()).dtype
        was_training = model.training
        model.train()
        start_seconds, start = history.seconds, time.perf_counter()

        def flush() -> None:
            """Move the losses of the last steps into the history; stop the run at a NaN."""
            if not pending:
                return
            averages = _averages(pending, step, run)
            history.record(step, averages)
            history.images = step * batch_size
            history.seconds = start_seconds + time.perf_counter() - start
            pending.clear()
            bar.set_postfix_str(", ".join(f"{k} {v:.4g}" for k, v in averages.items()))
            if writer:
                for name, value in averages.items():
                    writer.add_scalar(name, value, step)

        try:
            while step < total_steps:
                epoch, first = divmod(step, steps_per_epoch)
                for batch in batches(
                    *data,
                    batch_size=batch_size,
                    seed=seed,
                    epoch=epoch,
                    rank=rank,
                    world_size=world_size,
                    start=first,
                ):
                    batch = _as_floats(batch, model_dtype)
                    factor = _rate_factor(schedule, step, total_steps)
                    step += 1
                    losses: dict[str, Tensor] = {}
                    for turn in turns:
                        if step % turn.player.every == 0:
                            losses |= turn.move(batch, factor, clip_norm, accumulate)
                    if average is not None:
                        average.update_parameters(model)
                    pending.append(losses)
                    bar.update()
                    if step % RECORD_EVERY == 0:
                        flush()
                    if checkpoint_every and step % checkpoint_every == 0:
                        flush()
                        run.save(step, history)
                    allow_interrupt()
                flush()
                history.epochs = epoch + 1
                run.save(step, history)
                shown = average.module if average is not None else model
                with _own_randomness(device):
                    run.save_sheet(epoch + 1, shown)
                    if on_epoch is not None:
                        on_epoch(epoch + 1, shown)
                model.train()
                allow_interrupt()
        except KeyboardInterrupt:
            history.interrupted = True
            flush()
            run.save(step, history)
        finally:
            bar.close()
            if writer:
                writer.close()
            for turn in turns:
                turn.release()
            model.train(was_training)
    if average is not None:
        model.load_state_dict(average.module.state_dict())
    model.to(home)
    return history


class _Turn:
    """A player with what its moves need: loss on the device, optimizer, and loss scaling."""

    def __init__(
        self,
        model: nn.Module,
        player: Player,
        device: torch.device,
        dtype: torch.dtype | None,
        compile: bool,
        world_size: int,
    ) -> None:
        self.player = player
        self.parameters = [p for p in player.module.parameters() if p.requires_grad]
        moved = set(self.parameters)
        self.others = [p for p in model.parameters() if p.requires_grad and p not in moved]
        fused = device.type in ("cpu", "cuda")
        self.optimizer = torch.optim.Adam(
            self.parameters, lr=player.learning_rate, betas=player.betas, fused=fused
        )
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
        self.device, self.dtype = device, dtype
        loss: nn.Module = _Loss(model, player)
        if world_size > 1:
            # DistributedDataParallel averages the gradients of what is trainable when it is made.
            with self._others_fixed():
                loss = DistributedDataParallel(
                    loss, device_ids=[device.index] if device.type == "cuda" else None
                )
        self.loss = torch.compile(loss) if compile else loss
        self.no_sync = loss.no_sync if world_size > 1 else contextlib.nullcontext

    def move(
        self,
        batch: tuple[Tensor, ...],
        factor: float,
        clip_norm: float | None,
        accumulate: int,
    ) -> dict[str, Tensor]:
        """One step of the player; returns its detached losses by name."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.player.learning_rate * factor
        recorded: dict[str, Tensor] = {}
        with self._others_fixed():
            self.optimizer.zero_grad(set_to_none=True)
            parts = [batch]
            if accumulate > 1:
                parts = list(zip(*(tensor.chunk(accumulate) for tensor in batch), strict=True))
            for i, part in enumerate(parts):
                share = len(part[0]) / len(batch[0])
                with self.no_sync() if i + 1 < len(parts) else contextlib.nullcontext():
                    with hardware.autocast(self.device, self.dtype):
                        result = self.loss(*part)
                    named = dict(result) if isinstance(result, Mapping) else {"loss": result}
                    loss = named["loss"] if share == 1 else named["loss"] * share
                    self.scaler.scale(loss).backward()
                for key, value in ({"loss": named["loss"]} | named).items():
                    name = self.player.name if key == "loss" else key
                    part_loss = value.detach() if share == 1 else share * value.detach()
                    recorded[name] = recorded[name] + part_loss if name in recorded else part_loss
            if clip_norm is not None:
                self.scaler.unscale_(self.optimizer)
                nn.utils.clip_grad_norm_(self.parameters, clip_norm)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        return recorded

    def release(self) -> None:
        """Leave no gradients behind in the caller's model."""
        self.optimizer.zero_grad(set_to_none=True)

    @contextlib.contextmanager
    def _others_fixed(self) -> Iterator[None]:
        for p in self.others:
            p.requires_grad_(False)
        try:
            yield
        finally:
            for p in self.others:
                p.requires_grad_(True)


class _Loss(nn.Module):
    """A player's loss as a module, the form that can be compiled and distributed."""

    def __init__(self, model: nn.Module, player: Player) -> None:
        super().__init__()
        self.model = model
        self.loss = player.loss

    def forward(self, *batch: Tensor) -> Tensor | Mapping[str, Tensor]:
        return self.loss(*batch)


class _Run:
    """The files of a run: its checkpoint and its sheets of samples."""

    def __init__(
        self,
        model: nn.Module,
        turns: Sequence[_Turn],
        average: AveragedModel | None,
        settings: dict[str, Any],
        directory: Path | None,
        rank: int,
        device: torch.device,
    ) -> None:
        self.model, self.turns, self.average = model, turns, average
        self.settings, self.directory, self.rank = settings, directory, rank
        self.device = device

    @property
    def checkpoint(self) -> Path | None:
        return self.directory / CHECKPOINT if self.directory else None

    def save(self, step: int, history: History) -> None:
        """Write a checkpoint; weights that are not finite never replace an earlier one."""
        for turn in self.turns:
            if not all(bool(weight.isfinite().all()) for weight in turn.parameters):
                raise self.not_finite(f"a weight of player {turn.player.name!r}", step)
        if self.checkpoint is None:
            return
        # Each process draws its own noise, so each has a random state to keep.
        random_state = {f"random.{self.rank}": torch.get_rng_state()}
        if self.device.type == "cuda":
            random_state[f"random.cuda.{self.rank}"] = torch.cuda.get_rng_state(self.device)
        if torch.distributed.is_initialized():
            gathered: list[Any] = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(gathered, random_state)
            random_state = {name: state for part in gathered for name, state in part.items()}
        if self.rank > 0:
            return
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        if self.average is not None:
            tensors |= {f"average.{k}": v for k, v in self.average.state_dict().items()}
        for turn in self.turns:
            for i, state in turn.optimizer.state_dict()["state"].items():
                tensors |= {f"optimizer.{turn.player.name}.{i}.{k}": v for k, v in state.items()}
        notes = {
            "settings": self.settings,
            "step": step,
            "history": vars(history),
            "scalers": {turn.player.name: turn.scaler.state_dict() for turn in self.turns},
        }
        save_tensors(self.checkpoint, tensors | random_state, notes)

    def not_finite(self, what: str, step: int) -> FloatingPointError:
        exists = self.checkpoint is not None and self.checkpoint.exists()
        kept = f"; {self.checkpoint} is from before" if exists else ""
        return FloatingPointError(
            f"{what} is NaN or infinite at step {step}{kept}; lower the learning rate, set "
            "clip_norm=1.0, or use precision='float32'"
        )

    def resume(self) -> tuple[History, int]:
        """Load the checkpoint into model, average, optimizers and random state, if there is one."""
        if self.checkpoint is None or not self.checkpoint.exists():
            return History(), 0
        tensors, notes = load_tensors(self.checkpoint)
        differences = [
            f"{name} was {notes.get('settings', {}).get(name)!r}, now {value!r}"
            for name, value in self.settings.items()
            if notes.get("settings", {}).get(name) != value
        ]
        if differences:
            raise CheckpointError(
                f"{self.checkpoint} belongs to another run ({'; '.join(differences)}); use the "
                "same settings to resume it, or another run_dir to start anew"
            )

        def under(prefix: str) -> dict[str, Tensor]:
            return {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}

        try:
            self.model.load_state_dict(under("model."))
            if self.average is not None:
                self.average.load_state_dict(under("average."))
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.checkpoint} does not fit the model: {error}; build the model with the "
                "arguments of that run, or use another run_dir"
            ) from error
        for turn in self.turns:
            states: dict[int, dict[str, Tensor]] = {}
            for name, tensor in under(f"optimizer.{turn.player.name}.").items():
                index, key = name.split(".")
                weight = turn.parameters[int(index)]
                if tensor.shape == weight.shape:  # moments lie in memory as their weights do
                    tensor = torch.empty_like(weight).copy_(tensor)
                states.setdefault(int(index), {})[key] = tensor
            groups = turn.optimizer.state_dict()["param_groups"]
            turn.optimizer.load_state_dict({"state": states, "param_groups": groups})
            turn.scaler.load_state_dict(notes["scalers"][turn.player.name])
        torch.set_rng_state(tensors[f"random.{self.rank}"])
        if self.device.type == "cuda" and f"random.cuda.{self.rank}" in tensors:
            torch.cuda.set_rng_state(tensors[f"random.cuda.{self.rank}"], self.device)
        return History(**notes["history"] | {"interrupted": False}), notes["step"]

    def save_sheet(self, epoch: int, model: nn.Module) -> None:
        if self.directory is None or self.rank > 0 or not hasattr(model, "sample"):
            return
        from torchvision.utils import save_image

        rng = torch.Generator(self.device).manual_seed(self.settings["seed"])
        samples = model.sample(64, rng=rng)
        if samples.shape[1] not in (1, 3):  # points of the plane, say, are no pictures
            return
        path = self.directory / "samples" / f"epoch_{epoch:04d}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            save_image(samples, path, nrow=8)
        except OSError as error:
            raise CheckpointError(
                f"could not save {path}: {error.strerror or error}; the checkpoint of the epoch is "
                "safe; free some space, then run again"
            ) from error


def _players(model: nn.Module) -> list[Player]:
    if not hasattr(model, "players"):
        raise TypeError(
            f"{type(model).__name__} does not say how it is trained; give it a method players() "
            "that returns a list of companion.Player"
        )
    players = list(model.players())
    for player in players:
        if not any(parameter.requires_grad for parameter in player.module.parameters()):
            raise ValueError(
                f"all parameters of player {player.name!r} are frozen, as those of a model from "
                "the zoo; call model.requires_grad_() to train it further"
            )
    owner: dict[nn.Parameter, str] = {}
    for player in players:
        for parameter in player.module.parameters():
            other = owner.setdefault(parameter, player.name)
            if other != player.name:
                raise ValueError(
                    f"players {other!r} and {player.name!r} move the same parameter; "
                    "give each player a module of its own"
                )
    if len({player.name for player in players}) < len(players) or not players:
        raise ValueError(
            f"players must be at least one and have different names, got "
            f"{[player.name for player in players]}"
        )
    return players


def _check_options(
    data: Sequence[Tensor],
    epochs: int,
    accumulate: int,
    clip_norm: float | None,
    ema_decay: float | None,
    schedule: str,
    tensorboard: bool,
    run_dir: str | Path | None,
) -> None:
    if not data or not all(isinstance(tensor, Tensor) for tensor in data):
        raise TypeError(
            "train expects tensors after the model: train(model, images, ...), got "
            f"{[type(item).__name__ for item in data]}"
        )
    if data[0].dtype != torch.uint8:
        check_images(data[0])
    elif data[0].ndim != 4:
        raise ValueError(
            f"images must have shape (N, C, H, W), got {tuple(data[0].shape)}; "
            "use images[:, None] to add a channel"
        )
    if epochs < 1 or accumulate < 1:
        raise ValueError(f"epochs and accumulate must be at least 1, got {epochs}, {accumulate}")
    if clip_norm is not None and not clip_norm > 0:
        raise ValueError(f"clip_norm must be positive, such as 1.0, got {clip_norm}")
    if ema_decay is not None and not 0 < ema_decay < 1:
        raise ValueError(f"ema_decay must lie between 0 and 1, such as 0.999, got {ema_decay}")
    if schedule not in ("constant", "cosine"):
        raise ValueError(f"schedule must be 'constant' or 'cosine', got {schedule!r}")
    if tensorboard and run_dir is None:
        raise ValueError("tensorboard=True needs a run_dir to write its logs to")


def _as_floats(batch: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """Images as floats in [0, 1] of the model's type; the other tensors as they are."""
    images, *others = batch
    images = images.to(dtype) / 255 if images.dtype == torch.uint8 else images.to(dtype)
    return (images, *others)


def _rate_factor(schedule: str, step: int, total_steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / total_steps)) if schedule == "cosine" else 1.0


def _averages(pending: Sequence[dict[str, Tensor]], step: int, run: _Run) -> dict[str, float]:
    """Mean of each loss over the pending steps, which end with ``step``."""
    averages: dict[str, float] = {}
    for name in dict.fromkeys(name for losses in pending for name in losses):
        values = torch.stack([losses[name].float() for losses in pending if name in losses])
        averages[name] = values.mean().item()
    if not all(math.isfinite(average) for average in averages.values()):
        # The first loss to fail is the one to name: it takes those of the other players with it.
        for earlier, losses in zip(range(step - len(pending) + 1, step + 1), pending, strict=True):
            for name, value in losses.items():
                if not math.isfinite(value):
                    raise run.not_finite(f"the loss {name!r}", earlier)
    return averages


@contextlib.contextmanager
def _interrupts_between_steps() -> Iterator[Callable[[], None]]:
    """Put Ctrl-C off until the function that is yielded is called; a second one is not put off.

    Half a step, such as a discriminator's move without the generator's, could not be resumed.
    """
    pressed = False

    def note(*_: Any) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    def allow_interrupt() -> None:
        if pressed:
            raise KeyboardInterrupt

    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if ours:
        signal.signal(signal.SIGINT, note)
    try:
        yield allow_interrupt
    finally:
        if ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    """Whatever is drawn or seeded inside leaves the caller's random state as it was."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _tensorboard_writer(directory: Path | None) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ImportError(
            "tensorboard=True needs the package tensorboard: pip install tensorboard"
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return SummaryWriter(directory)
