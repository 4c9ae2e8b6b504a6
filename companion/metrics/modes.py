"""Mode collapse counted: how many of the known modes of a distribution the samples reach."""

import torch
from torch import Tensor


def modes_covered(points: Tensor, centers: Tensor, sigma: float, share: float = 0.02) -> int:
    """How many centers have at least a share of the samples within three standard deviations.

    In the plane 98.9 % of a Gaussian lie there, so each of eight equal modes has 12.4 % of the
    samples of a perfect generator; with the share of 2 % a mode counts that has a sixth of it.

    Args:
        points: samples ``(N, ...)``.
        centers: of the modes, ``(K, ...)``, of the same dimensions.
        sigma: the modes' standard deviation along each axis.
        share: of all samples, that a mode needs to count.

    Raises:
        ValueError: if points and centers are not of one kind, or ``sigma`` or ``share`` is not
            positive.
    """
    counts = _near(points, centers, sigma).float().mean(dim=0)
    if not 0 < share <= 1:
        raise ValueError(f"share must be positive and at most 1, got {share}; choose 0.02, say")
    return int((counts >= share).sum())


def share_near_modes(points: Tensor, centers: Tensor, sigma: float) -> float:
    """The share of samples within three standard deviations of some center, from 0 to 1.

    Of a Gaussian in the plane it is :math:`1 - e^{-9/2} = 0.989`. Args and errors as for
    :func:`modes_covered`.
    """
    return _near(points, centers, sigma).any(dim=1).float().mean().item()


def _near(points: Tensor, centers: Tensor, sigma: float) -> Tensor:
    """Booleans ``(N, K)``."""
    if points.ndim < 2 or points.shape[1:] != centers.shape[1:] or not len(points):
        raise ValueError(
            f"points (N, ...) and centers (K, ...) must have the same dimensions, got "
            f"{tuple(points.shape)} and {tuple(centers.shape)}"
        )
    if not sigma > 0:
        raise ValueError(f"sigma must be positive, got {sigma}; give that of the modes")
    return torch.cdist(points.flatten(1), centers.flatten(1).to(points)) <= 3 * sigma
