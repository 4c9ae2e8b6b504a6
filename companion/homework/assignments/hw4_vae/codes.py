"""Homework 4, questions 1 and 2: what a code costs, and how it is drawn."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from companion.homework.assignments.hw4_vae import calls
from companion.homework.question import Question, Wrong

N, LATENT = 5, 4
RATE = "vae/vae#eq-vae-rate"
DRAW = "vae/vae#eq-vae-reparameterization"
GUIDE = "reference/field_guide#variational-autoencoders"


def codes(rng: torch.Generator, m: float) -> tuple[Tensor, Tensor]:
    """Means and log-variances of some images, shape (N, LATENT)."""
    return m + torch.randn(N, LATENT, generator=rng), torch.randn(N, LATENT, generator=rng)


def with_gradients(call: Callable[..., Any], right: Callable[..., Tensor]) -> Callable[..., Any]:
    """The reference of a question whose gradients are judged, in float64."""

    def reference(*inputs: Tensor) -> Any:
        with torch.enable_grad():
            return call(right, *(x.double() for x in inputs))

    return reference


def _q(mu: Tensor, logvar: Tensor) -> Normal:
    return Normal(mu.double(), (0.5 * logvar.double()).exp())


def rates(mu: Tensor, logvar: Tensor, m: float) -> Tensor:
    """The rate of each dimension, float64, shape (N, LATENT)."""
    prior = Normal(torch.tensor(m, dtype=torch.double), torch.tensor(1.0, dtype=torch.double))
    return kl_divergence(_q(mu, logvar), prior)


def rate(m: float) -> Question:
    """The rate for a prior whose mean is m in each dimension."""

    def right(mu: Tensor, logvar: Tensor) -> Tensor:
        return rates(mu, logvar, m).sum(1)

    def over(mu: Tensor, logvar: Tensor, mean: float = m) -> Tensor:
        return 0.5 * ((mu - mean) ** 2 + logvar.exp() - 1 - logvar)

    wrong = {
        "sign": Wrong(
            lambda mu, logvar: -over(mu, logvar).sum(1),
            "this is minus the rate; a divergence is never negative, and the loss adds it",
            RATE,
        ),
        "no_half": Wrong(
            lambda mu, logvar: 2 * over(mu, logvar).sum(1),
            "the factor 1/2 is missing, which is a hidden price of 2 for the code",
            RATE,
        ),
        "mean_over_dimensions": Wrong(
            lambda mu, logvar: over(mu, logvar).mean(1),
            "the dimensions are averaged; independent dimensions cost the sum of their rates",
            GUIDE,
        ),
        "mean_over_batch": Wrong(
            lambda mu, logvar: over(mu, logvar).sum(1).mean(),
            "the batch is averaged; return one number for each image, shape (N,)",
            RATE,
        ),
        "sum_over_batch": Wrong(
            lambda mu, logvar: over(mu, logvar).sum(),
            "the batch is summed, too; return one number for each image, shape (N,)",
            RATE,
        ),
        "per_dimension": Wrong(
            over,
            "the dimensions are not summed; return one number for each image, shape (N,)",
            RATE,
        ),
        "over_the_batch": Wrong(
            lambda mu, logvar: over(mu, logvar).sum(0),
            "the sum runs over the images (dimension 0); sum over the code's dimensions (1)",
            RATE,
        ),
        "log_sigma": Wrong(
            lambda mu, logvar: 0.5 * ((mu - m) ** 2 + (2 * logvar).exp() - 1 - 2 * logvar).sum(1),
            "logvar is taken for log sigma; the variance is exp(logvar), not exp(2 logvar)",
            RATE,
        ),
        "sigma_for_variance": Wrong(
            lambda mu, logvar: 0.5 * ((mu - m) ** 2 + (0.5 * logvar).exp() - 1 - logvar).sum(1),
            "sigma stands where the variance belongs; the variance is exp(logvar)",
            RATE,
        ),
        "reverse": Wrong(
            lambda mu, logvar: 0.5 * (((mu - m) ** 2 + 1) / logvar.exp() - 1 + logvar).sum(1),
            "this is the reverse divergence, of the prior from q; the rate has q first",
            "start/distances#eq-distances-kl",
        ),
        "standard_normal": Wrong(
            lambda mu, logvar: over(mu, logvar, 0.0).sum(1),
            "the prior's mean is left out; this is the rate for the prior N(0, I)",
            RATE,
        ),
        "mean_added": Wrong(
            lambda mu, logvar: over(mu, logvar, -m).sum(1),
            "the prior's mean is added to mu; what counts is the distance mu - m",
            RATE,
        ),
        "no_logvar": Wrong(
            lambda mu, logvar: 0.5 * ((mu - m) ** 2 + logvar.exp() - 1).sum(1),
            "- logvar is missing; without it a code without any noise would cost nothing extra",
            RATE,
        ),
        "mean_detached": Wrong(
            lambda mu, logvar: over(mu.detach(), logvar).sum(1),
            "the value is right, but mu is detached, so nothing pulls the encoder's mean to the "
            "prior; leave out detach()",
            RATE,
        ),
        "cross_entropy": Wrong(
            lambda mu, logvar: F.softplus(-mu).sum(1),
            "this is the cross-entropy between a vector of ones and the code; the rate is a "
            "divergence of two Gaussians",
            GUIDE,
        ),
    }
    return Question(
        "rate",
        3,
        lambda rng: codes(rng, m),
        with_gradients(calls.of_code, right),
        wrong,
        banned=(
            "companion.models.vae.gaussian_kl",
            "companion.models.vae.gaussian_kl_per_dimension",
            "companion.metrics.divergences.gaussian_kl_divergence",
            "torch.distributions.kl.kl_divergence",
        ),
        call=calls.of_code,
    )


def draw(t: float) -> Question:
    """A draw at the temperature t."""

    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar, noise = (torch.randn(N, LATENT, generator=rng) for _ in range(3))
        return mu, logvar, noise

    def right(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
        # The value below which a normal variable lies with the noise's probability.
        normal = Normal(mu.double(), t * (0.5 * logvar.double()).exp())
        standard = Normal(torch.zeros((), dtype=torch.double), 1.0)
        return normal.icdf(standard.cdf(noise.double()))

    wrong = {
        "mean_detached": Wrong(
            lambda mu, logvar, noise: mu.detach() + t * (0.5 * logvar).exp() * noise,
            "the value is right, but mu is detached, so no gradient of the reconstruction reaches "
            "the encoder's mean; leave out detach()",
            DRAW,
        ),
        "own_noise": Wrong(
            lambda mu, logvar, noise: mu + t * (0.5 * logvar).exp() * torch.randn_like(mu),
            "noise is drawn anew; use the argument noise, so that the draw can be repeated",
            DRAW,
        ),
        "no_scale": Wrong(
            lambda mu, logvar, noise: mu + t * noise,
            "the noise is added without its scale sigma, so no gradient of the reconstruction "
            "reaches the encoder's uncertainty",
            "vae/elbo#noise-without-a-scale",
        ),
        "variance": Wrong(
            lambda mu, logvar, noise: mu + t * logvar.exp() * noise,
            "the noise is scaled by the variance; its scale is sigma = exp(logvar / 2)",
            DRAW,
        ),
        "logvar": Wrong(
            lambda mu, logvar, noise: mu + t * logvar * noise,
            "the noise is scaled by the logarithm itself; sigma = exp(logvar / 2) is positive",
            DRAW,
        ),
        "root_of_logvar": Wrong(
            lambda mu, logvar, noise: mu + t * (2 * logvar).exp() * noise,
            "the exponent is doubled in place of halved: sigma = exp(logvar / 2)",
            DRAW,
        ),
        "no_mean": Wrong(
            lambda mu, logvar, noise: t * (0.5 * logvar).exp() * noise,
            "the mean mu is missing, so the draw has lost what the encoder says of the image",
            DRAW,
        ),
        "no_noise": Wrong(
            lambda mu, logvar, noise: mu + t * (0.5 * logvar).exp(),
            "the noise is not used: this is one fixed point, one sigma above the mean",
            DRAW,
        ),
        "only_mean": Wrong(
            lambda mu, logvar, noise: mu + 0 * logvar,
            "this is the mean and no draw: without noise the model is an autoencoder",
            DRAW,
        ),
        "no_temperature": Wrong(
            lambda mu, logvar, noise: mu + (0.5 * logvar).exp() * noise,
            "the temperature is left out; it multiplies sigma",
            DRAW,
        ),
        "temperature_squared": Wrong(
            lambda mu, logvar, noise: mu + t**2 * (0.5 * logvar).exp() * noise,
            "the temperature is squared; it multiplies sigma, and so the variance by its square",
            DRAW,
        ),
        "mean_cooled": Wrong(
            lambda mu, logvar, noise: t * (mu + (0.5 * logvar).exp() * noise),
            "the temperature multiplies the mean, too; it multiplies the noise only",
            DRAW,
        ),
    }
    return Question(
        "draw",
        2,
        inputs,
        with_gradients(calls.of_code, right),
        wrong,
        banned=("companion.models.vae.reparameterize",),
        call=calls.of_code,
    )
