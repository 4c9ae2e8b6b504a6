"""Where and how a run computes: device, precision, and the processes that share the work."""

import contextlib
import os
from contextlib import AbstractContextManager

import torch
from torch import distributed, nn

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
    except RuntimeError:
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda' or 'mps', got {str(name)!r}"
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
    if name not in PRECISIONS:
        raise ValueError(f"precision must be 'auto', 'float32', 'bf16' or 'fp16', got {name!r}")
    if name == "fp16" and device.type == "cpu":
        raise ValueError("precision 'fp16' needs a GPU; on a CPU use 'float32' or 'bf16'")
    return PRECISIONS[name]


def autocast(device: torch.device, precision: torch.dtype | None) -> AbstractContextManager:
    """The context in which a loss is computed in the given precision; None is float32."""
    if precision is None:  # a context that is switched off costs time, too
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=precision)


def join_processes(device: torch.device) -> tuple[int, int]:
    """Rank and number of processes; joins the group that ``torchrun`` has started, if any."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        return 0, 1
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return distributed.get_rank(), distributed.get_world_size()


def prepare(model: nn.Module, device: torch.device) -> nn.Module:
    """Move the model to the device, with convolution kernels in channels-last order.

    That order keeps the channels of a pixel side by side in memory, which the convolutions of
    both CPUs and GPUs run faster on. It changes no value.
    """
    return model.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
