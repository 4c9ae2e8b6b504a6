"""Where and how a run computes: device, precision, and the processes that share the work."""

import atexit
import contextlib
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn

from companion import checks

PRECISIONS = {"float32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """The device to compute on; ``"auto"`` takes a GPU if there is one.

    Under ``torchrun`` each process gets the GPU of its local rank.

    Raises:
        ValueError: if the device is asked for by name and this machine has none of its kind.
    """
    if str(name) == "auto":
        mps = "mps" if torch.backends.mps.is_available() else "cpu"
        name = "cuda" if torch.cuda.is_available() else mps
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' or 'mps', got {name!r}; use device='auto'"
        ) from None
    available = {
        "cpu": True,
        "cuda": (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(device.type, False):
        raise ValueError(
            f"device {str(name)!r} was asked for but torch finds none here; "
            "use device='auto' or device='cpu'"
        )
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
    return device


def pick_precision(name: str, device: torch.device) -> torch.dtype | None:
    """The type that matrix products and convolutions compute in; ``None`` means float32.

    ``"auto"`` is bf16 on a GPU that has it and float32 elsewhere: on the CPUs of laptops bf16 is
    emulated and slower.

    Raises:
        ValueError: if the name is unknown, or fp16 is asked for on a CPU.
    """
    if name == "auto":
        fast = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.bfloat16 if fast else None
    checks.one_of("precision", name, ["auto", *PRECISIONS])
    if name == "fp16" and device.type == "cpu":
        raise ValueError("precision 'fp16' needs a GPU; on a CPU use 'float32' or 'bf16'")
    return PRECISIONS[name]


def autocast(device: torch.device, precision: torch.dtype | None) -> AbstractContextManager:
    """The context in which a loss is computed in the given precision; None is float32."""
    if precision is None:  # a context that is switched off costs time, too
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=precision)


def join_processes(device: torch.device) -> tuple[int, int]:
    """Rank and number of processes; joins the group that ``torchrun`` has started, if any.

    ``WORLD_SIZE`` alone, which some schedulers set, makes no group.
    """
    if not distributed.is_available():
        return 0, 1
    if not distributed.is_initialized():
        if not distributed.is_torchelastic_launched() or os.environ.get("WORLD_SIZE") == "1":
            return 0, 1
        if device.type == "cuda":
            torch.cuda.set_device(device)  # NCCL gathers objects on the current device
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        atexit.register(_leave_processes)
    return distributed.get_rank(), distributed.get_world_size()


def _leave_processes() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of a tensor over all processes of the group; itself if there is none."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.all_reduce(values)
        values = values / distributed.get_world_size()
    return values


def any_process(answer: bool) -> bool:
    """Whether it is true in one process at least; all must ask."""
    device = "cuda" if distributed.get_backend() == "nccl" else "cpu"
    votes = torch.tensor(int(answer), device=device)
    distributed.all_reduce(votes)
    return bool(votes)


@contextlib.contextmanager
def visiting(model: nn.Module, device: torch.device) -> Iterator[None]:
    """The model on a device, with the kernels of 2-D convolutions in channels-last order.

    That order keeps the channels of a pixel side by side in memory, which these convolutions run
    faster on, on CPUs and GPUs. It changes no value. Afterwards the model is back on the device
    that it came from, and every kernel in the order that it had.
    """
    home = next(model.parameters()).device
    model.to(device)
    kernels = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    plain = [p for kernel in kernels for p in kernel.parameters() if p.is_contiguous()]
    for kernel in kernels:
        kernel.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    try:
        yield
    finally:
        for parameter in plain:
            parameter.data = parameter.data.contiguous()
        model.to(home)


@contextlib.contextmanager
def recurrence_in_float32(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Inside, torch's recurrent layers ignore autocast on a CPU: few CPUs have them in bf16."""
    layers = [m for m in model.modules() if isinstance(m, nn.RNNBase)] * (device.type == "cpu")
    for layer in layers:
        layer.forward = partial(_without_autocast, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _without_autocast(layer: nn.RNNBase, inputs: Tensor, *state: Any) -> Any:
    with torch.autocast("cpu", enabled=False):
        return type(layer).forward(layer, inputs.float(), *state)


def keep_or_move(data: tuple[Any, ...], device: torch.device) -> tuple[Any, ...]:
    """Data on the device, if it leaves half of the device's free memory free; else where it is."""
    size = sum(part.nbytes for part in data)
    if device.type == "cuda" and 2 * size > torch.cuda.mem_get_info(device)[0]:
        return data
    return tuple(part.to(device) for part in data)


@contextlib.contextmanager
def own_randomness(device: torch.device) -> Iterator[None]:
    """Whatever is drawn or seeded inside leaves the caller's random state as it was."""
    mps = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)


def random_state(device: torch.device, rank: int) -> dict[str, Tensor]:
    """The random state of this process, by names that are its own."""
    state = {f"random.{rank}": torch.get_rng_state()}
    if device.type == "cuda":
        state[f"random.cuda.{rank}"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        state[f"random.mps.{rank}"] = torch.mps.get_rng_state()
    return state


def set_random_state(state: Mapping[str, Tensor], device: torch.device, rank: int) -> None:
    """Go on from a state of :func:`random_state`; one of another kind of device is left out."""
    torch.set_rng_state(state[f"random.{rank}"])
    if device.type == "cuda" and f"random.cuda.{rank}" in state:
        torch.cuda.set_rng_state(state[f"random.cuda.{rank}"], device)
    if device.type == "mps" and f"random.mps.{rank}" in state:
        torch.mps.set_rng_state(state[f"random.mps.{rank}"])
