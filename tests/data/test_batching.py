"""Batches: every image once, in an order that (seed, epoch) alone decides."""

from __future__ import annotations

import re
from itertools import chain
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from companion.data import Unpaired, batches, batches_per_epoch


def rows(n: int, **options: Any) -> list[list[int]]:
    """The batches of 0 ... n - 1, as lists."""
    defaults = {"seed": 0, "epoch": 0}
    return [batch.tolist() for (batch,) in batches(torch.arange(n), **(defaults | options))]


sizes = st.tuples(st.integers(1, 60), st.integers(1, 60)).filter(lambda pair: pair[1] <= pair[0])


@given(sizes, st.integers(0, 2**40), st.integers(0, 1000))
def test_an_epoch_is_whole_batches_of_distinct_rows(
    size: tuple[int, int], seed: int, epoch: int
) -> None:
    n, batch_size = size
    found = rows(n, batch_size=batch_size, seed=seed, epoch=epoch)
    assert len(found) == n // batch_size == batches_per_epoch(n, batch_size)
    assert all(len(batch) == batch_size for batch in found)
    seen = list(chain.from_iterable(found))
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(n))
    if n % batch_size == 0:
        assert sorted(seen) == list(range(n))


def test_seed_and_epoch_each_change_the_order_and_repeat_it() -> None:
    orders = {
        (seed, epoch): tuple(rows(1000, batch_size=1000, seed=seed, epoch=epoch)[0])
        for seed in range(6)
        for epoch in range(6)
    }
    assert len(set(orders.values())) == 36
    assert orders[2, 3] == tuple(rows(1000, batch_size=1000, seed=2, epoch=3)[0])


def test_places_are_uniform() -> None:
    # Chi-square with 99 degrees of freedom: mean 99, deviation 14, over 2,000 epochs.
    counts = torch.zeros(10, 10)
    for epoch in range(2000):
        (order,) = rows(10, batch_size=10, seed=5, epoch=epoch)
        counts[torch.arange(10), order] += 1
    chi_square = ((counts - 200).square() / 200).sum().item()
    assert 40 < chi_square < 160


def test_the_global_generator_is_left_alone() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    list(batches(torch.arange(9), batch_size=2, seed=1, epoch=1))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert rows(9, batch_size=3) == rows(9, batch_size=3)


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 40), st.integers(0, 50))
def test_processes_together_see_what_one_sees(
    world_size: int, share: int, extra: int, seed: int
) -> None:
    batch_size = world_size * share
    n = batch_size + extra
    alone = rows(n, batch_size=batch_size, seed=seed)
    shares = [
        rows(n, batch_size=batch_size, seed=seed, rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    together = [list(chain.from_iterable(parts)) for parts in zip(*shares, strict=True)]
    assert together == alone


@given(st.integers(0, 7))
def test_start_leaves_out_the_first_batches(start: int) -> None:
    assert rows(30, batch_size=4, start=start) == rows(30, batch_size=4)[start:]


def test_rows_of_all_tensors_stay_together_and_keep_their_kind() -> None:
    images = torch.arange(20, dtype=torch.uint8).view(20, 1, 1, 1).expand(-1, 1, 2, 2)
    labels = torch.arange(20)
    for image, label in batches(images, labels, batch_size=6, seed=3, epoch=1):
        assert image.dtype == torch.uint8
        assert image.shape == (6, 1, 2, 2)
        assert torch.equal(image[:, 0, 1, 1].long(), label)


def test_a_batch_is_a_copy() -> None:
    data = torch.zeros(4)
    for (batch,) in batches(data, batch_size=2, seed=0, epoch=0):
        batch += 1
    assert not data.any()


def test_batches_follow_their_tensors_to_the_device() -> None:
    (batch,) = next(batches(torch.empty(8, 3, device="meta"), batch_size=4, seed=0, epoch=0))
    assert batch.device.type == "meta"
    assert batch.shape == (4, 3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_order_is_the_same_on_a_gpu() -> None:
    on_gpu = batches(torch.arange(100, device="cuda"), batch_size=10, seed=4, epoch=2)
    assert [batch.tolist() for (batch,) in on_gpu] == rows(100, batch_size=10, seed=4, epoch=2)


ten = torch.zeros(10)
usual: dict[str, int] = {"batch_size": 4, "seed": 0, "epoch": 0}


@pytest.mark.parametrize(
    ("tensors", "options", "error", "sentence"),
    [
        ([], {}, ValueError, "at least one tensor, got none; give"),
        ([[1, 2, 3, 4]], {}, TypeError, "got list without one; use torch.stack"),
        ([torch.tensor(1.0)], {}, TypeError, "got Tensor without one; use"),
        ([ten, torch.zeros(9)], {}, ValueError, "one length, got [10, 9]; give"),
        ([ten, ten.to("meta")], {}, ValueError, "got ['cpu', 'meta']; move them"),
        ([ten], {"batch_size": 11}, ValueError, "at most 10, the number of images, got 11"),
        ([ten], {"batch_size": 0}, ValueError, "at least 1, got 0; choose"),
        ([ten[:0]], {}, ValueError, "at most 0, the number of images, got 4"),
        ([ten], {"seed": -1}, ValueError, "seed must be at least 0, got -1; use"),
        ([ten], {"epoch": -2}, ValueError, "epoch must be at least 0, got -2; use"),
        ([ten], {"rank": 2, "world_size": 2}, ValueError, "rank must be from 0 to 1, got 2; use"),
        ([ten], {"world_size": 0}, ValueError, "world_size must be at least 1, got 0; use"),
        ([ten], {"world_size": 3}, ValueError, "multiple of the 3 processes, got 4; choose 3"),
        ([ten], {"start": 3}, ValueError, "from 0 to 2, got 3; resume"),
        ([ten], {"batch_size": 4.0}, TypeError, "a whole number, at least 1, got 4.0; choose"),
        ([ten], {"seed": None}, TypeError, "a whole number, at least 0, got None; use"),
        ([Unpaired(ten, ten), ten], {}, ValueError, "one Unpaired alone, got 1 more"),
        ([Unpaired(ten, ten[:3])], {}, ValueError, "at most 3, the number of images, got 4"),
        ([ten], {"start": -1}, ValueError, "got -1; resume"),
    ],
)
def test_bad_arguments_are_told_on_the_call(
    tensors: list[Tensor | Unpaired], options: dict[str, int], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=re.escape(sentence)):
        batches(*tensors, **(usual | options))  # not yet iterated over


def test_unpaired_sets_are_shuffled_each_by_itself() -> None:
    a, b = torch.arange(10), torch.arange(100, 125)
    epochs = [
        list(batches(Unpaired(a, b), batch_size=3, seed=5, epoch=epoch)) for epoch in range(40)
    ]
    assert all(len(epoch) == 3 for epoch in epochs)  # as long as the smaller set allows
    for epoch in epochs:
        left, right = (torch.cat(side) for side in zip(*epoch, strict=True))
        assert len(left.unique()) == len(right.unique()) == 9
        assert (left < 10).all()
        assert (right >= 100).all()
    seen = torch.cat([right for epoch in epochs for _, right in epoch])
    assert len(seen.unique()) == 25, "what one epoch leaves out comes in others"
    alike = next(batches(Unpaired(a, a), batch_size=10, seed=5, epoch=0))
    assert not torch.equal(*alike)
    alone = next(batches(a, batch_size=10, seed=5, epoch=0))
    assert torch.equal(alike[0], alone[0])


def test_processes_share_unpaired_batches() -> None:
    sets = Unpaired(torch.arange(8), torch.arange(11))
    alone = list(batches(sets, batch_size=4, seed=0, epoch=1))
    shares = [
        list(batches(sets, batch_size=4, seed=0, epoch=1, rank=rank, world_size=2))
        for rank in range(2)
    ]
    for whole, *parts in zip(alone, *shares, strict=True):
        for side in range(2):
            assert torch.equal(whole[side], torch.cat([part[side] for part in parts]))
