"""Shuffled batches of tensors that lie whole on one device: one index, no per-image Python."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from companion import checks
from companion.data.pairs import Unpaired


def batches(
    *tensors: Tensor | Unpaired,
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
            so: cast them with :func:`companion.data.to_float` where they are used). Or one
            :class:`~companion.data.Unpaired`.
        batch_size: rows of a *global* batch, that is, over all processes together.
        seed, epoch: integers >= 0; every pair gives its own permutation, the same on each
            device and for each ``world_size``.
        rank, world_size: this process takes its contiguous ``batch_size / world_size`` rows of
            every global batch, so that all of them see together what one would see alone.
        start: batches to leave out at the front, to resume within an epoch.

    Yields:
        A tuple with ``batch_size / world_size`` rows of every tensor, in the same order (each set
        of an ``Unpaired`` in its own). The last, smaller batch is dropped: all batches have one
        shape.

    Raises:
        TypeError: something given is not a tensor of rows, or a number not a whole one.
        ValueError: the arguments do not fit together.

    Both come on the call, not with the first batch.
    """
    rows, orders = _sets(tensors)
    checks.integer("seed", seed, least=0)
    checks.integer("epoch", epoch, least=0)
    checks.integer("world_size", world_size)
    checks.integer("rank", rank, least=0, most=world_size - 1)
    n = min(len(tensor) for tensor in rows)
    count = batches_per_epoch(n, batch_size)
    if batch_size % world_size:
        raise ValueError(
            f"batch_size must be a multiple of the {world_size} processes, got {batch_size}; "
            f"choose {max(1, batch_size // world_size) * world_size}"
        )
    remedy = "resume with the data and batch_size of the first run"
    checks.integer("start", start, least=0, most=count, remedy=remedy)

    def run() -> Iterator[tuple[Tensor, ...]]:
        # Made on the CPU, so that every device shuffles alike; moved once, so that no batch waits.
        device = rows[0].device
        shuffled = [_order(len(rows[i]), seed, epoch, i).to(device) for i in range(orders)]
        share = batch_size // world_size
        for batch in range(start, count):
            first = batch * batch_size + rank * share
            index = [order[first : first + share] for order in shuffled]
            yield tuple(t.index_select(0, index[i % orders]) for i, t in enumerate(rows))

    return run()


def batches_per_epoch(n: int, batch_size: int) -> int:
    """Whole batches in ``n`` rows: ``floor(n / batch_size)``, at least one.

    Raises:
        TypeError: ``batch_size`` is no whole number.
        ValueError: there is not one whole batch.
    """
    checks.integer("batch_size", batch_size, remedy="choose 128, say")
    if batch_size > n:
        raise ValueError(
            f"batch_size must be at most {n}, the number of images, got {batch_size}; "
            "choose a smaller batch_size or give more images"
        )
    return n // batch_size


def _order(n: int, seed: int, epoch: int, side: int) -> Tensor:
    # torch's CPU generator uses 32 bits of its seed: SeedSequence mixes the numbers into them.
    entropy = (seed, epoch, side) if side else (seed, epoch)
    mixed = np.random.SeedSequence(entropy).generate_state(1)
    return torch.randperm(n, generator=torch.Generator().manual_seed(int(mixed[0])))


def _sets(given: tuple[Tensor | Unpaired, ...]) -> tuple[list[Tensor], int]:
    """The tensors, and how many orders they have: one, or one for each set of an Unpaired."""
    if not given:
        raise ValueError("batches needs at least one tensor, got none; give the images")
    paired = not isinstance(given[0], Unpaired)
    rows: list[Any] = list(given if paired else given[0].tensors)  # type: ignore[union-attr]
    for tensor in rows:
        if not isinstance(tensor, Tensor) or tensor.ndim == 0:
            raise TypeError(
                "batches takes tensors whose first dimension counts the images, got "
                f"{type(tensor).__name__} without one; use torch.stack(list_of_images)"
            )
    if not paired and len(given) > 1:
        raise ValueError(
            f"batches takes one Unpaired alone, got {len(given) - 1} more tensors; "
            "give Unpaired(a, b) by itself"
        )
    lengths = [len(tensor) for tensor in rows]
    if paired and len(set(lengths)) > 1:
        raise ValueError(
            f"tensors must have one length, got {lengths}; give each image its label, or "
            "companion.data.Unpaired(a, b) for two sets"
        )
    devices = {str(tensor.device) for tensor in rows}
    if len(devices) > 1:
        raise ValueError(
            f"tensors must lie on one device, got {sorted(devices)}; move them with .to(device)"
        )
    return rows, 1 if paired else 2
