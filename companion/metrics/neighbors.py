"""Which samples look like real images, and which real images have a sample that looks like them?"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from companion import checks
from companion.metrics.frechet import check_features
from companion.metrics.precision import double

ROWS = 1000  # distances to so many rows are in memory at a time


class PRDC(NamedTuple):
    """Four figures of a set of samples beside a set of real images, each best at 1."""

    precision: float  # share of the samples that lie among the real images
    recall: float  # share of the real images that lie among the samples
    density: float  # how densely real images lie where the samples do; may exceed 1
    coverage: float  # share of the real images that have a sample nearby


class Neighbors(NamedTuple):
    """The k nearest of a reference set for each row, nearest first; ``(N, k)`` both."""

    distances: Tensor
    indices: Tensor


def prdc(real_features: Tensor, fake_features: Tensor, k: int = 5) -> PRDC:
    r"""Precision, recall, density and coverage of samples, by balls around neighbors.

    Let :math:`B(x_i)` be the ball around the real image :math:`x_i` that reaches to its k-th
    nearest neighbor among the other real images, and :math:`B(y_j)` the like around the sample
    :math:`y_j` among the other samples. Then

    .. math::

        \text{precision} &= \tfrac1M \textstyle\sum_j 1[y_j \in \bigcup_i B(x_i)], \\
        \text{recall} &= \tfrac1N \textstyle\sum_i 1[x_i \in \bigcup_j B(y_j)], \\
        \text{density} &= \tfrac1{kM} \textstyle\sum_j \sum_i 1[y_j \in B(x_i)], \\
        \text{coverage} &= \tfrac1N \textstyle\sum_i 1[\exists j\; y_j \in B(x_i)].

    All depend on the feature network, on k and on the number of images: compare only values of
    one protocol. For two large sets from one distribution, density is near 1, coverage near
    :math:`1 - 2^{-k}`; precision and recall fall with the dimensions. Balls are open, as in the
    second paper's code; distances are Euclidean, computed in float64, 1,000 rows at a time.

    Args:
        real_features: ``(N, D)`` of real images, from
            :func:`companion.evaluation.image_features`, say.
        fake_features: ``(M, D)`` of samples; N and M should be equal, for recall.
        k: neighbors that make a ball, fewer than N and M.

    Raises:
        TypeError: features that are not tensors.
        ValueError: features of other shapes or not finite, or k out of range.

    Source: Kynkäänniemi et al. (2019), equations 1 and 2 (precision and recall); Naeem et al.
    (2020), section 3 (density and coverage).
    """
    real, fake = _pair(real_features, fake_features, "real_features", "fake_features")
    most = min(len(real), len(fake)) - 1  # a feature is no neighbor of itself
    k = checks.integer("k", k, most=most, remedy="use k=5 and at least 1,000 images")
    real_radii, fake_radii = _radii(real, k), _radii(fake, k)
    balls = torch.zeros(len(fake), dtype=torch.long, device=fake.device)  # around each sample
    recalled = covered = 0
    for rows, distances in _distances(real, fake):
        radii = real_radii[rows]
        inside = distances < radii[:, None]
        balls += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((distances < fake_radii).any(1).sum())
    return PRDC(
        precision=double(balls > 0).mean().item(),
        recall=recalled / len(real),
        density=double(balls).mean().item() / k,
        coverage=covered / len(real),
    )


def nearest_neighbors(features: Tensor, reference: Tensor, k: int = 1) -> Neighbors:
    """For each row of features, the k rows of the reference that lie nearest to it.

    The test for a memorized training set: what lies nearest to a sample in the training images,
    and is it nearer than for a real image that was not among them?

    Args:
        features: ``(N, D)``.
        reference: ``(M, D)``, from the same feature network.
        k: how many, at most M.

    Returns:
        Euclidean distances, float64, and row numbers of the reference; ``(N, k)``, nearest first.

    Raises:
        TypeError: features that are not tensors.
        ValueError: features of other shapes or not finite, or k out of range.
    """
    features, reference = _pair(features, reference, "features", "reference")
    remedy = "ask for as many neighbors as the reference has rows, or fewer"
    k = checks.integer("k", k, most=len(reference), remedy=remedy)
    nearest = [squares.topk(k, largest=False) for _, squares in _distances(features, reference)]
    return Neighbors(
        torch.cat([squares for squares, _ in nearest]).sqrt(),
        torch.cat([indices for _, indices in nearest]),
    )


def _pair(a: Tensor, b: Tensor, name_a: str, name_b: str) -> tuple[Tensor, Tensor]:
    check_features(**{name_a: a, name_b: b})
    a, b = double(a.detach()), double(b.detach().to(a.device))
    # Distances do not change, and are more exact, if the features lie around 0.
    center = b.mean(0)
    return a - center, b - center


def _distances(a: Tensor, b: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Squared distances of some rows of a at a time to all rows of b, with these rows' place."""
    b_squares = b.square().sum(1)
    for first in range(0, len(a), ROWS):
        rows = slice(first, first + ROWS)
        squares = torch.addmm(b_squares, a[rows], b.T, alpha=-2)
        yield rows, squares.add_(a[rows].square().sum(1, keepdim=True)).clamp_(min=0)


def _radii(features: Tensor, k: int) -> Tensor:
    """Squared distance of each row to its k-th nearest neighbor, itself not counted."""
    nearest = [squares.topk(k + 1, largest=False) for _, squares in _distances(features, features)]
    return torch.cat([squares[:, k] for squares, _ in nearest])
