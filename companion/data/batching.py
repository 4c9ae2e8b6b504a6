"""Shuffled batches of tensors that lie whole on one device: one index, no per-image Python."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def batches(
    *tensors: Tensor,
    batch_size: int,
    seed: int,
    epoch: int,
    rank: int = 0,
    world_size: int = 1,
    start: int = 0,
) -> Iterator[tuple[Tensor, ...]]:
    """One epoch of batches in the order that ``(seed, epoch)`` alone decides.

    Args:
        tensors: each (N, ...), on one device; batches keep their dtype (``uint8`` images stay
            so: cast them with :func:`companion.data.to_float` where they are used).
        batch_size: rows of a *global* batch, that is, over all processes together.
        seed, epoch: integers >= 0; every pair gives its own permutation, the same on each
            device and for each ``world_size``.
        rank, world_size: this process takes its contiguous ``batch_size / world_size`` rows of
            every global batch, so that all of them see together what one would see alone.
        start: batches to leave out at the front, to resume within an epoch.

    Yields:
        A tuple with ``batch_size / world_size`` rows of every tensor, in the same order. The
        last, smaller batch is dropped: all batches have one shape.

    Raises:
        TypeError: something given is not a tensor of rows.
        ValueError: the arguments do not fit together.

    Both come on the call, not with the first batch.
    """
    _check(tensors, batch_size, seed, epoch, rank, world_size, start)
    return _batches(tensors, batch_size, seed, epoch, rank, world_size, start)


def batches_per_epoch(n: int, batch_size: int) -> int:
    """Whole batches in ``n`` rows: ``floor(n / batch_size)``, at least one.

    Raises:
        ValueError: there is not one whole batch.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}; choose 128, say")
    if batch_size > n:
        raise ValueError(
            f"batch_size must be at most {n}, the number of images, got {batch_size}; "
            "choose a smaller batch_size or give more images"
        )
    return n // batch_size


def _batches(
    tensors: tuple[Tensor, ...],
    batch_size: int,
    seed: int,
    epoch: int,
    rank: int,
    world_size: int,
    start: int,
) -> Iterator[tuple[Tensor, ...]]:
    n, device = len(tensors[0]), tensors[0].device
    # Made on the CPU, so that every device shuffles alike; moved once, so that no batch waits.
    order = torch.randperm(n, generator=_generator(seed, epoch)).to(device)
    share = batch_size // world_size
    for batch in range(start, batches_per_epoch(n, batch_size)):
        first = batch * batch_size + rank * share
        index = order[first : first + share]
        yield tuple(tensor.index_select(0, index) for tensor in tensors)


def _generator(seed: int, epoch: int) -> torch.Generator:
    # torch's CPU generator uses 32 bits of its seed: SeedSequence mixes the pair into them.
    mixed = np.random.SeedSequence((seed, epoch)).generate_state(1)
    return torch.Generator().manual_seed(int(mixed[0]))


def _check(
    tensors: tuple[Tensor, ...],
    batch_size: int,
    seed: int,
    epoch: int,
    rank: int,
    world_size: int,
    start: int,
) -> None:
    if not tensors:
        raise ValueError("batches needs at least one tensor, got none; give the images")
    for tensor in tensors:
        if not isinstance(tensor, Tensor) or tensor.ndim == 0:
            raise TypeError(
                "batches takes tensors whose first dimension counts the images, got "
                f"{type(tensor).__name__} without one; use torch.as_tensor(list_of_images)"
            )
    lengths = [len(tensor) for tensor in tensors]
    if len(set(lengths)) > 1:
        raise ValueError(f"tensors must have one length, got {lengths}; give each image its label")
    devices = {str(tensor.device) for tensor in tensors}
    if len(devices) > 1:
        raise ValueError(
            f"tensors must lie on one device, got {sorted(devices)}; move them with .to(device)"
        )
    if min(seed, epoch) < 0:
        raise ValueError(
            f"seed and epoch must be 0 or more, got {seed} and {epoch}; choose seed >= 0"
        )
    count = batches_per_epoch(lengths[0], batch_size)
    if world_size < 1 or not 0 <= rank < world_size:
        raise ValueError(
            f"rank must lie in 0 to world_size - 1, got rank {rank} of {world_size}; "
            "take both from torch.distributed"
        )
    if batch_size % world_size:
        raise ValueError(
            f"batch_size must be a multiple of the {world_size} processes, got {batch_size}; "
            f"choose {max(1, batch_size // world_size) * world_size}"
        )
    if not 0 <= start <= count:
        raise ValueError(
            f"start must lie in 0 to {count}, the batches of an epoch, got {start}; "
            "resume with the data and batch_size of the first run"
        )
