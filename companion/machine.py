"""What computes here, in words and numbers."""

import contextlib
import os
import platform
from pathlib import Path

import torch


def describe(device: torch.device | str = "cpu") -> str:
    """What computes on a device: "2 cores AMD EPYC, CPU", or the GPU's name."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} cores {processor()}, {device.type.upper()}"


def processor() -> str:
    """The processor's name as the system gives it, without its trademark signs."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(x.split(":")[1] for x in lines if x.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return " ".join(name.replace("(R)", " ").replace("(TM)", " ").split())


def memory() -> int | None:
    """Bytes of memory that this process may use: the machine's, or less in a container.

    None where the system does not say.
    """
    found = []
    with contextlib.suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in ("memory.max", "memory/memory.limit_in_bytes"):  # control groups, new and old
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path("/sys/fs/cgroup", limit).read_text(encoding="utf-8")))
    return min(found, default=None)
