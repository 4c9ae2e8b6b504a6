"""Codes against labels: the best matching against scipy's, information against its definition."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from companion.metrics import best_matching, contingency, mutual_information


@given(size=st.integers(1, 8), seed=st.integers(0, 10_000))
def test_the_matching_is_the_hungarian_methods(size: int, seed: int) -> None:
    counts = torch.randint(100, (size, size), generator=torch.Generator().manual_seed(seed))
    columns = best_matching(counts)
    assert sorted(columns.tolist()) == list(range(size))
    rows, best = linear_sum_assignment(-counts.numpy())
    assert counts[torch.arange(size), columns].sum() == counts.numpy()[rows, best].sum()


def test_ten_renamed_classes_are_found() -> None:
    labels = torch.arange(1000) % 10
    renamed = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    counts = contingency(renamed[labels], labels, 10)
    assert torch.equal(best_matching(counts)[renamed], torch.arange(10))
    assert mutual_information(counts) == pytest.approx(math.log(10))


def test_no_two_rows_share_a_column_though_both_would_like_to() -> None:
    counts = torch.tensor([[9, 8, 0], [9, 1, 0], [0, 0, 0]])
    assert best_matching(counts).tolist() == [1, 0, 2]


def test_counts_are_of_pairs() -> None:
    counts = contingency(torch.tensor([0, 0, 2]), torch.tensor([1, 1, 0]), 3)
    assert counts.tolist() == [[0, 2, 0], [0, 0, 0], [1, 0, 0]]


def test_information_of_independent_and_of_partly_known() -> None:
    assert mutual_information(torch.ones(4, 4)) == pytest.approx(0)
    # Four equally frequent labels, of which a code tells only the pair: log 2 nats.
    assert mutual_information(torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1]])) == pytest.approx(
        math.log(2)
    )


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"one shape \(N,\)"):
        contingency(torch.zeros(3), torch.zeros(2), 3)
    with pytest.raises(ValueError, match=r"0 \.\.\. 2"):
        contingency(torch.tensor([3]), torch.tensor([0]), 3)
    with pytest.raises(ValueError, match="square"):
        best_matching(torch.zeros(2, 3))
