"""One step of one player: its loss, the gradient, its optimizer."""

import contextlib
import inspect
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from companion import checks
from companion.game import Losses, Player
from companion.training import hardware


class Update:
    """A player with what its steps need: loss on the device, optimizer, and loss scaling."""

    def __init__(
        self,
        model: nn.Module,
        player: Player,
        device: torch.device,
        dtype: torch.dtype | None,
        compile: bool,
        world_size: int,
    ) -> None:
        self.player, self.device, self.dtype = player, device, dtype
        self.parameters = [p for p in player.module.parameters() if p.requires_grad]
        moved = set(self.parameters)
        self.others = [p for p in model.parameters() if p.requires_grad and p not in moved]
        if player.optimizer is not None:
            self.optimizer = player.optimizer(self.parameters, lr=player.learning_rate)
        else:
            fused = device.type in ("cpu", "cuda")
            self.optimizer = torch.optim.Adam(
                self.parameters, lr=player.learning_rate, betas=player.betas, fused=fused
            )
        self.scaler = torch.amp.GradScaler(device.type, enabled=dtype is torch.float16)
        loss: nn.Module = _Loss(model, player)
        self.no_sync: Callable[[], AbstractContextManager] = contextlib.nullcontext
        if world_size > 1:
            # DistributedDataParallel averages the gradients of what is trainable when it is made.
            # The buffers agree by themselves, or belong to each process (a pool of past fakes).
            with self._others_fixed(), warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # torch 2.15 renames an argument
                loss = DistributedDataParallel(
                    loss,
                    device_ids=[device.index] if device.type == "cuda" else None,
                    broadcast_buffers=False,
                    find_unused_parameters=True,
                )
            self.no_sync = loss.no_sync
        self.loss = torch.compile(loss) if compile and player.compilable else loss

    def step(
        self,
        batch: tuple[Tensor, ...],
        factor: float = 1.0,
        clip_norm: float | None = None,
        accumulate: int = 1,
    ) -> dict[str, Tensor]:
        """Move the player once; returns its detached losses by name.

        Args:
            batch: what the loss is called with, on the device.
            factor: of the learning rate, as the schedule has it.
            clip_norm: the largest norm of the gradient.
            accumulate: the parts that the batch is cut into.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.player.learning_rate * factor
        recorded: dict[str, Tensor] = {}
        with self._others_fixed():
            for parameter in self.parameters:  # quicker than zero_grad, which small steps notice
                parameter.grad = None
            parts = [batch]
            if accumulate > 1:
                parts = list(zip(*(tensor.chunk(accumulate) for tensor in batch), strict=True))
            for i, part in enumerate(parts):
                share = len(part[0]) / len(batch[0])
                with self.no_sync() if i + 1 < len(parts) else contextlib.nullcontext():
                    losses = self._gradients(part, share)
                for name, value in losses.items():
                    part_loss = value.detach() if share == 1 else share * value.detach()
                    recorded[name] = recorded[name] + part_loss if name in recorded else part_loss
            if clip_norm is not None:
                self.scaler.unscale_(self.optimizer)
                nn.utils.clip_grad_norm_(self.parameters, clip_norm)
            self.scaler.step(self.optimizer)
            self.scaler.update()
        if self.player.after is not None:
            with torch.no_grad():
                self.player.after()
        return recorded

    def release(self) -> None:
        """Leave no gradients behind in the caller's model."""
        for parameter in self.parameters:
            parameter.grad = None

    def _gradients(self, part: tuple[Tensor, ...], share: float) -> dict[str, Tensor]:
        """Add a part's share of the gradient to the parameters; returns its losses by name."""
        with hardware.autocast(self.device, self.dtype):
            if self.player.gradients is not None:
                return _named(self.player.gradients(*part), self.player, own_gradients=True)
            result = self.loss(*part)
        losses = _named(result, self.player)
        loss = losses[self.player.name]
        try:
            self.scaler.scale(loss if share == 1 else loss * share).backward()
        except RuntimeError as error:
            if "double backward" not in str(error):
                raise
            raise ValueError(
                f"the loss of player {self.player.name!r} takes a gradient itself, which "
                "torch.compile cannot do; give the player compilable=False, or use compile=False"
            ) from error
        return losses

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

    def forward(self, *batch: Tensor) -> Losses:
        return self.loss(*batch)


def check_takes(player: Player, count: int) -> None:
    """Refuse data that a player's loss cannot be called with.

    Raises:
        TypeError: it takes more or fewer tensors than there are.
    """
    function = player.gradients or player.loss
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a function of C has none
        return
    try:
        signature.bind(*[None] * count)
    except TypeError:
        takes = ", ".join(
            name
            for name, parameter in signature.parameters.items()
            if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        )
        raise TypeError(
            f"the loss of player {player.name!r} takes ({takes}), got {count} "
            f"tensor{'s' * (count != 1)} after the model; use train(model, {takes}, ...)"
        ) from None


def _named(result: object, player: Player, own_gradients: bool = False) -> dict[str, Tensor]:
    """The losses by name, the player's own under its name.

    Raises:
        TypeError: no tensor, or no dict of tensors.
        ValueError: no entry "loss", no scalar, or no gradient.
    """
    whose = f"the loss of player {player.name!r}"
    remedy = "return one number as a tensor, such as loss.mean(), or a dict of them with a 'loss'"
    losses: dict[str, Any] = dict(result) if isinstance(result, Mapping) else {"loss": result}
    if "loss" not in losses:
        raise ValueError(f"{whose} is a dict without 'loss', got {sorted(losses)}; {remedy}")
    for key, value in losses.items():
        which = whose if key == "loss" else f"{key!r} beside {whose}"
        if not isinstance(value, Tensor):
            hint = "return it, in the loss's last line" if value is None else remedy
            if isinstance(value, float):
                hint = "return the tensor itself, without item()"
            raise TypeError(f"{which} must be a tensor, got {checks.kind(value)}; {hint}")
        if value.ndim and value.numel() != 1:
            raise ValueError(
                f"{which} must be one number, got a tensor of shape {tuple(value.shape)}; {remedy}"
            )
    if not own_gradients and not losses["loss"].requires_grad:
        raise ValueError(
            f"{whose} has no gradient: nothing that it is computed from is one of the player's "
            "parameters; take away no_grad(), detach() or item(), or check the player's module"
        )
    loss = losses.pop("loss")
    return {player.name: loss.reshape(()) if loss.ndim else loss, **losses}
