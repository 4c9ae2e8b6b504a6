r"""How far apart are two densities on the line? By integration, and in closed form.

A density is given by its values at the points of an even grid, which are the middles of cells of
width h: an integral is then a sum times h. For a smooth density that has died out at both ends of
the grid this rule is exact almost to the last digit, and for boxes whose edges lie on edges of
cells it is exact. Everything is computed in float64 and can be differentiated, so that a density
may depend on parameters to be fitted.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from companion.metrics.precision import double

# How far the mass of a density on the grid may be from 1, when its tails are cut.
MASS_TOLERANCE = 1e-3
# Mass that counts as none: far out, exp(-x^2 / 2) falls below the smallest number and becomes 0.
NEGLIGIBLE = 1e-12


def kl_divergence(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    r"""Kullback-Leibler divergence by integration, in nats.

    .. math::

        \mathrm{KL}(p \,\|\, q) = \int p(x) \log \frac{p(x)}{q(x)}\, dx \;\ge\; 0

    Zero only if p = q; infinite if p has mass where q is zero, and a Gaussian is zero in float64
    from 39 standard deviations on. Not symmetric: with the arguments exchanged it is called the
    reverse divergence.

    Args:
        p, q: values of the densities on the grid, ``(..., N)``.
        x: the grid, ``(N,)``, evenly spaced and rising.

    Returns:
        float64 of the leading shape.

    Raises:
        TypeError: an argument that is not a tensor of floats.
        ValueError: shapes that do not fit, a grid that is not even, values that are negative or
            not finite, or a mass on the grid that is not 1.

    Source: Kullback and Leibler (1951), section 2.
    """
    p, q, h = _densities(p, q, x)
    return _kl(p, q, h)


def js_divergence(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    r"""Jensen-Shannon divergence by integration, in nats.

    .. math::

        \mathrm{JSD}(p \,\|\, q) = \tfrac12 \mathrm{KL}(p \,\|\, m)
        + \tfrac12 \mathrm{KL}(q \,\|\, m), \qquad m = \tfrac12 (p + q)

    Symmetric; between 0, only if p = q, and :math:`\log 2`, if and only if the supports do not
    meet. Args, errors and what it returns as for :func:`kl_divergence`.

    Source: Lin (1991), section 4, with equal weights.
    """
    p, q, h = _densities(p, q, x)
    m = (p + q) / 2
    return (_kl(p, m, h) + _kl(q, m, h)) / 2


def wasserstein_distance(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    r"""Wasserstein distance of order 1 by integration, in the unit of x.

    .. math::

        W_1(p, q) = \int |F(x) - G(x)|\, dx,
        \qquad F(x) = \int_{-\infty}^x p,\; G(x) = \int_{-\infty}^x q

    The least work, mass times way, that turns one heap of earth into the other. On the line the
    best plan keeps the order of the grains, which gives this formula. Args, errors and what it
    returns as for :func:`kl_divergence`.

    Source: Vallender (1974).
    """
    p, q, h = _densities(p, q, x)
    return h * (h * (p - q)).cumsum(-1).abs().sum(-1)


def gaussian_kl_divergence(mean_p: Tensor, std_p: Tensor, mean_q: Tensor, std_q: Tensor) -> Tensor:
    r"""Divergence of one Gaussian from another on the line, in nats.

    .. math::

        \mathrm{KL}(N(\mu_p, \sigma_p^2) \,\|\, N(\mu_q, \sigma_q^2))
        = \log \frac{\sigma_q}{\sigma_p}
        + \frac{\sigma_p^2 + (\mu_p - \mu_q)^2}{2 \sigma_q^2} - \frac12

    Args:
        mean_p, std_p, mean_q, std_q: tensors of shapes that broadcast, the standard deviations
            positive. With mean_q = 0 and std_q = 1 it is :func:`companion.models.vae.gaussian_kl`.
    """
    std_p, mean_q, std_q = (x.to(mean_p.device) for x in (std_p, mean_q, std_q))
    square = std_p**2 + (mean_p - mean_q) ** 2
    return torch.log(std_q / std_p) + square / (2 * std_q**2) - 0.5


class GaussianWasserstein(NamedTuple):
    """Wasserstein distances of order 1 and 2, in the unit of the means."""

    first: Tensor
    second: Tensor


def gaussian_wasserstein_distance(
    mean_p: Tensor, std_p: Tensor, mean_q: Tensor, std_q: Tensor
) -> GaussianWasserstein:
    r"""Wasserstein distances of order 1 and 2 between two Gaussians on the line.

    The best plan keeps the order, so it takes :math:`\mu_p + \sigma_p z` to
    :math:`\mu_q + \sigma_q z`. The way is the absolute value of a Gaussian with mean
    :math:`\delta = \mu_p - \mu_q` and standard deviation :math:`s = |\sigma_p - \sigma_q|`:

    .. math::

        W_1 = s \sqrt{\tfrac{2}{\pi}}\, e^{-\delta^2 / 2 s^2}
              + \delta\, \mathrm{erf}\!\left(\tfrac{\delta}{s \sqrt 2}\right),
        \qquad W_2^2 = \delta^2 + s^2

    The square of the second is the Fréchet distance of :func:`companion.metrics.frechet_distance`
    in one dimension.

    Args:
        mean_p, std_p, mean_q, std_q: tensors of shapes that broadcast, the standard deviations
            positive.

    Source: Dowson and Landau (1982) for the second; the first is the mean of a folded normal.
    """
    std_p, mean_q, std_q = (x.to(mean_p.device) for x in (std_p, mean_q, std_q))
    delta, s = mean_p - mean_q, (std_p - std_q).abs()
    # Equal widths: the limit is |delta|. The unused branch of each `where` is kept finite, for
    # its gradient would be NaN otherwise.
    equal = s <= NEGLIGIBLE * delta.abs()
    t = delta / torch.where(equal, 1, s)
    folded = s * math.sqrt(2 / math.pi) * torch.exp(-(t**2) / 2) + delta * torch.erf(t / 2**0.5)
    square = delta**2 + s**2
    apart = square > 0
    second = torch.where(apart, torch.where(apart, square, 1).sqrt(), 0)
    return GaussianWasserstein(torch.where(equal, delta.abs(), folded), second)


def box_js_divergence(shift: Tensor, width: float = 1.0) -> Tensor:
    r"""Jensen-Shannon divergence of two uniform densities of one width, in nats.

    .. math::

        \mathrm{JSD} = \min\left(\tfrac{|\theta|}{w}, 1\right) \log 2

    for uniform densities on :math:`[0, w]` and :math:`[\theta, \theta + w]`: where both are
    positive they are equal and cost nothing, where only one is it costs :math:`\log 2`. Once they
    have parted, the way between them no longer counts.

    Args:
        shift: :math:`\theta`, any shape.
        width: :math:`w > 0`.
    """
    return (shift.abs() / width).clamp(max=1) * math.log(2)


def _kl(p: Tensor, q: Tensor, h: Tensor) -> Tensor:
    """Sum of p log(p / q) h, with 0 log 0 = 0 and no NaN in its gradient."""
    both = (p > 0) & (q > 0)
    logs = torch.where(both, p, 1).log() - torch.where(both, q, 1).log()
    alone = h * torch.where(q > 0, 0, p).sum(-1)  # mass of p where q has none
    return h * (p * logs).sum(-1) + torch.where(alone > NEGLIGIBLE, math.inf, 0.0)


def _densities(p: Tensor, q: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Both densities in float64, checked, and the width of a cell."""
    for name, values in (("p", p), ("q", q), ("x", x)):
        if not isinstance(values, Tensor) or not values.is_floating_point():
            kind = values.dtype if isinstance(values, Tensor) else type(values).__name__
            raise TypeError(
                f"{name} must be a tensor of floats, got {str(kind).removeprefix('torch.')}; "
                "use torch.as_tensor(values, dtype=torch.float64)"
            )
    if x.ndim != 1 or len(x) < 2:
        raise ValueError(
            f"x must be a grid of shape (N,) with N > 1, got {tuple(x.shape)}; "
            "make it by torch.linspace(-8, 8, 1601, dtype=torch.float64)"
        )
    q, x = q.to(p.device), double(x.to(p.device))
    h = (x[-1] - x[0]) / (len(x) - 1)
    # A grid in float32 is even to its own last digit, some 1e-7 of its largest number.
    if not h > 0 or not (x.diff() - h).abs().max() <= 1e-3 * h + 1e-6 * x.abs().max():
        raise ValueError(
            "x must be evenly spaced and rising, got steps from "
            f"{x.diff().min():.4g} to {x.diff().max():.4g}; make it by torch.linspace"
        )
    for name, values in (("p", p), ("q", q)):
        if values.ndim == 0 or values.shape[-1] != len(x):
            raise ValueError(
                f"{name} must have one value for each of the {len(x)} points of the grid in its "
                f"last dimension, got {tuple(values.shape)}; evaluate the density on x"
            )
        if not (torch.isfinite(values) & (values >= 0)).all():
            raise ValueError(
                f"{name} must be a density, finite and nowhere negative, got values from "
                f"{values.min():.4g} to {values.max():.4g}; use the exponential of a log-density"
            )
        mass = h * double(values.detach()).sum(-1)
        if ((mass - 1).abs() > MASS_TOLERANCE).any():
            worst = mass.flatten()[(mass - 1).abs().argmax()]
            raise ValueError(
                f"{name} must have mass 1 on the grid, got {worst:.4g}; "
                f"widen or refine the grid, or divide {name} by its sum times the step"
            )
    return double(p), double(q), h
