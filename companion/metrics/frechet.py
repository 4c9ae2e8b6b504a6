"""The Fréchet distance between two sets of features."""

import warnings

import torch
from torch import Tensor

from companion.metrics.precision import double


def mean_and_covariance(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (D,) and unbiased covariance (D, D) of features (N, D), in float64."""
    x = double(features.detach())
    return x.mean(0), torch.cov(x.T).view(x.shape[1], x.shape[1])


def trace_sqrt_product(a: Tensor, b: Tensor) -> Tensor:
    """Tr (A B)^(1/2) of two symmetric positive semi-definite matrices (D, D).

    A B has the eigenvalues of the symmetric A^(1/2) B A^(1/2), so two symmetric
    eigen-decompositions suffice, and no complex number appears.
    """
    eigenvalues, vectors = torch.linalg.eigh(a)
    root = vectors * eigenvalues.clamp(min=0).sqrt() @ vectors.T
    # Rounding can leave eigenvalues of about -1e-17; they stand for zeros.
    return torch.linalg.eigvalsh(root @ b @ root).clamp(min=0).sqrt().sum()


def check_features(**sets: Tensor) -> None:
    """Refuse anything but two finite sets of features (N, D) and (M, D), named as given.

    Raises:
        TypeError: features that are not tensors.
        ValueError: features of other shapes, empty, or not finite.
    """
    for name, features in sets.items():
        if not isinstance(features, Tensor):
            raise TypeError(
                f"{name} must be a tensor of shape (N, D), got {type(features).__name__}; "
                f"use torch.as_tensor({name})"
            )
        if features.ndim != 2 or features.numel() == 0:
            raise ValueError(
                f"{name} must have shape (N, D), got {tuple(features.shape)}; "
                "use image_features(images)"
            )
        if not torch.isfinite(features).all():
            raise ValueError(
                f"{name} must be finite, got NaN or infinity; check the images it came from"
            )
    dims = [features.shape[1] for features in sets.values()]
    if len(set(dims)) > 1:
        raise ValueError(
            f"both sets need the same number of dimensions, got {dims[0]} and {dims[1]}; "
            "compute them with the same feature network"
        )


def frechet_distance(features_a: Tensor, features_b: Tensor) -> float:
    r"""Squared Fréchet distance of two Gaussians fitted to two sets of features.

    .. math::

        d^2 = \lVert \mu_a - \mu_b \rVert^2
            + \operatorname{tr}\left(S_a + S_b - 2 (S_a S_b)^{1/2}\right)

    where :math:`\mu` and :math:`S` are mean and covariance of each set. Zero if and only if both
    agree; as usual, the square is what is reported. The value depends on the feature network and
    is biased upward for few samples: compare only values of the same network, the same reference
    images and the same number of samples. Computed in float64 whatever the input.

    Args:
        features_a, features_b: (N, D) and (M, D), with N > D and M > D; N and M may differ.

    Raises:
        TypeError: features that are not tensors.
        ValueError: features of other shapes, not finite, or too few for a covariance of full rank.
        UserWarning: (warned, not raised) fewer than 10 D samples, where the bias is large.

    Source: Heusel et al. 2017, equation 6; Dowson and Landau 1982 for the formula.
    """
    check_features(features_a=features_a, features_b=features_b)
    for name, features in (("features_a", features_a), ("features_b", features_b)):
        n, dims = features.shape
        if n <= dims:
            raise ValueError(
                f"{name} has {n} samples of {dims} dimensions, but a covariance of full rank needs "
                f"more samples than dimensions; give at least {10 * dims} samples"
            )
        if n < 10 * dims:
            warnings.warn(
                f"{name} has only {n} samples of {dims} dimensions, so the Fréchet distance is "
                f"biased upward; give at least {10 * dims}, better 10,000",
                stacklevel=2,
            )
    mu_a, cov_a = mean_and_covariance(features_a)
    mu_b, cov_b = mean_and_covariance(features_b.to(features_a.device))
    spread = cov_a.trace() + cov_b.trace() - 2 * trace_sqrt_product(cov_a, cov_b)
    return max(0.0, ((mu_a - mu_b).square().sum() + spread).item())
