"""Modes counted, on samples whose modes are known."""

import math

import pytest
import torch

from companion.data import ring_centers, ring_of_gaussians
from companion.metrics import modes_covered, share_near_modes

CENTERS = ring_centers()


def test_real_points_cover_all_modes() -> None:
    points = ring_of_gaussians(20_000, rng=torch.Generator().manual_seed(0))
    assert modes_covered(points, CENTERS, sigma=0.02) == 8
    assert modes_covered(points, CENTERS, sigma=0.02, share=0.11) == 8
    assert modes_covered(points, CENTERS, sigma=0.02, share=0.14) == 0
    assert share_near_modes(points, CENTERS, 0.02) == pytest.approx(1 - math.exp(-4.5), abs=0.003)


@pytest.mark.parametrize("reached", [1, 3, 8])
def test_a_collapsed_generator_covers_the_modes_that_it_reaches(reached: int) -> None:
    points = CENTERS[:reached].repeat(10, 1, 1, 1)
    assert modes_covered(points, CENTERS, sigma=0.02) == reached
    assert share_near_modes(points, CENTERS, 0.02) == 1


def test_a_few_strays_do_not_count() -> None:
    points = torch.cat([CENTERS[:1].expand(985, 2, 1, 1), CENTERS[1:2].expand(15, 2, 1, 1)])
    assert modes_covered(points, CENTERS, sigma=0.02) == 1
    assert modes_covered(points, CENTERS, sigma=0.02, share=0.015) == 2


def test_points_between_the_modes_are_near_none() -> None:
    points = torch.full((10, 2, 1, 1), 0.5)
    assert modes_covered(points, CENTERS, sigma=0.02) == 0
    assert share_near_modes(points, CENTERS, 0.02) == 0
    just_inside = CENTERS[:1] + torch.tensor([0.059, 0]).view(1, 2, 1, 1)
    just_outside = CENTERS[:1] + torch.tensor([0.061, 0]).view(1, 2, 1, 1)
    assert modes_covered(just_inside, CENTERS, 0.02) == 1
    assert modes_covered(just_outside, CENTERS, 0.02) == 0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must have the same dimensions, got \(4, 3\)"):
        modes_covered(torch.rand(4, 3), CENTERS, 0.02)
    with pytest.raises(ValueError, match="sigma must be positive, got 0"):
        modes_covered(CENTERS, CENTERS, 0)
    with pytest.raises(ValueError, match="share must be positive"):
        modes_covered(CENTERS, CENTERS, 0.02, share=0)
