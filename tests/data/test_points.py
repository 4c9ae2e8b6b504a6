"""Points as images: where they lie, and that they are drawn as the formula says."""

import math

import pytest
import torch

from companion.data import check_images, ring_centers, ring_of_gaussians


def test_centers_lie_on_the_ring_at_equal_angles() -> None:
    centers = ring_centers(8, 0.35)
    check_images(centers, (2, 1, 1))
    away = centers.flatten(1).double() - 0.5
    torch.testing.assert_close(away.norm(dim=1), torch.full((8,), 0.35).double())
    neighbors = (away - away.roll(1, dims=0)).norm(dim=1)
    chord = 2 * 0.35 * math.sin(math.pi / 8)
    torch.testing.assert_close(neighbors, torch.full((8,), chord).double())


def test_points_are_images_around_their_centers() -> None:
    points = ring_of_gaussians(20_000, rng=torch.Generator().manual_seed(1))
    check_images(points, (2, 1, 1))
    distances, mode = torch.cdist(points.flatten(1), ring_centers().flatten(1)).min(dim=1)
    shares = torch.bincount(mode, minlength=8) / len(points)
    torch.testing.assert_close(shares, torch.full((8,), 1 / 8), atol=0.012, rtol=0)
    # The squared distance of a Gaussian in the plane has the mean 2 sigma^2.
    assert distances.square().mean().item() == pytest.approx(2 * 0.02**2, rel=0.03)


def test_a_generator_decides_the_draw_and_nothing_else_does() -> None:
    before = torch.get_rng_state()
    first = ring_of_gaussians(10, rng=torch.Generator().manual_seed(3))
    assert torch.equal(first, ring_of_gaussians(10, rng=torch.Generator().manual_seed(3)))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(5)
    default = ring_of_gaussians(10)
    torch.manual_seed(5)
    assert torch.equal(default, ring_of_gaussians(10))


def test_a_ring_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="modes must be at least 1, got 0"):
        ring_centers(0)
    with pytest.raises(ValueError, match=r"radius must be positive and at most 0.5.* got 0.6"):
        ring_centers(8, 0.6)
    with pytest.raises(ValueError, match=r"radius \+ 6 \* sigma must not exceed 0.5"):
        ring_of_gaussians(10, sigma=0.1)
    with pytest.raises(ValueError, match="n must be at least 1"):
        ring_of_gaussians(0)
