r"""Points of the plane as the smallest images there are: one pixel with two channels.

Whatever trains on images, trains on them too, and a distribution in the plane can be seen whole.
"""

import math

import torch
from torch import Tensor

from companion import checks, noise


def ring_centers(modes: int = 8, radius: float = 0.35) -> Tensor:
    r"""Points on a circle around the middle of the unit square, at equal angles.

    .. math:: c_k = \tfrac12 + r\,(\cos 2\pi k/K,\; \sin 2\pi k/K), \qquad k = 0, \dots, K - 1

    Args:
        modes: how many, K.
        radius: of the circle, r.

    Returns:
        Shape ``(modes, 2, 1, 1)``, in [0, 1].

    Raises:
        ValueError: if there is no mode, or the circle is not inside the square.
    """
    checks.integer("modes", modes, remedy="choose 8, say")
    if not 0 < radius <= 0.5:
        raise ValueError(
            f"radius must be positive and at most 0.5, so that the ring lies in the unit square, "
            f"got {radius}"
        )
    angles = 2 * math.pi * torch.arange(modes) / modes
    return (0.5 + radius * torch.stack([angles.cos(), angles.sin()], dim=1)).view(-1, 2, 1, 1)


def ring_of_gaussians(
    n: int,
    modes: int = 8,
    radius: float = 0.35,
    sigma: float = 0.02,
    *,
    rng: torch.Generator | None = None,
) -> Tensor:
    """Draw points from a mixture of equal Gaussians, centered at :func:`ring_centers`.

    Args:
        n: how many points.
        modes, radius: of the ring.
        sigma: standard deviation of each Gaussian along each axis; ``radius + 6 * sigma`` must
            not exceed 0.5, so that the points lie in the unit square.
        rng: the generator to draw from; torch's default generator if it is not given.

    Returns:
        Shape ``(n, 2, 1, 1)``, in [0, 1]; ``points.flatten(1)`` has the coordinates.

    Raises:
        ValueError: if the arguments do not fit together.

    Source: the ring of eight is that of Metz et al. (2017), section 3.1, moved into the square.
    """
    checks.integer("n", n)
    if not 0 <= sigma <= (0.5 - radius) / 6:
        raise ValueError(
            f"radius + 6 * sigma must not exceed 0.5, so that the points lie in the unit square, "
            f"got radius={radius} and sigma={sigma}; choose a smaller one of them"
        )
    centers = ring_centers(modes, radius).to(noise.home(rng))
    mode = noise.integers(modes, n, like=centers, rng=rng)
    offset = noise.normal(n, 2, 1, 1, like=centers, rng=rng)
    return (centers[mode] + sigma * offset).clamp(0, 1)  # beyond six sigma in one of 5e8 draws
