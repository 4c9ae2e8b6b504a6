"""Homework 4: references by ``torch.distributions``, and what is usually written instead."""

import functools
import math
import random

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence
from torch.nn import functional as F

from companion.homework.question import Question, Wrong
from companion.homework.running import differentiable

N, LATENT = 5, 4
PIXELS = (1, 6, 6)
RATE = "vae/vae#eq-vae-rate"
ELBO = "vae/vae#eq-vae-elbo"
DRAW = "vae/vae#eq-vae-reparameterization"
FREE = "vae/beta_vae#eq-beta-free-bits"
GUIDE = "reference/field_guide#variational-autoencoders"


def constants(variant: int) -> dict[str, float]:
    """Prior mean, temperature and free nats; no two variants have the same ones."""
    if variant == 0:
        return {"prior_mean": 0.5, "temperature": 0.7, "free_nats": 0.1}
    draw = random.Random(variant)
    return {
        "prior_mean": round(draw.uniform(0.6, 1.5) + variant % 1000 / 1e4, 4),
        "temperature": round(draw.uniform(0.2, 0.5) + variant % 1000 / 1e4, 4),
        "free_nats": round(draw.uniform(0.15, 0.4) + variant % 1000 / 1e4, 4),
    }


def _codes(rng: torch.Generator, m: float) -> tuple[Tensor, Tensor]:
    return m + torch.randn(N, LATENT, generator=rng), torch.randn(N, LATENT, generator=rng)


def _q(mu: Tensor, logvar: Tensor) -> Normal:
    return Normal(mu.double(), (0.5 * logvar.double()).exp())


def _rates(mu: Tensor, logvar: Tensor, m: float) -> Tensor:
    prior = Normal(torch.tensor(m, dtype=torch.double), torch.tensor(1.0, dtype=torch.double))
    return kl_divergence(_q(mu, logvar), prior)


def _distortion(logits: Tensor, images: Tensor) -> Tensor:
    return -Independent(Bernoulli(logits=logits.double()), 3).log_prob(images.double())


def questions(variant: int = 0) -> dict[str, Question]:
    """The four functions of this homework."""
    numbers = constants(variant)
    asked = (
        _rate(numbers["prior_mean"]),
        _draw(numbers["temperature"]),
        _negative_elbo(numbers["prior_mean"]),
        _free_bits(numbers["prior_mean"], numbers["free_nats"]),
    )
    return {question.name: question for question in asked}


def _rate(m: float) -> Question:
    def right(mu: Tensor, logvar: Tensor) -> Tensor:
        return _rates(mu, logvar, m).sum(1)

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
        lambda rng: _codes(rng, m),
        right,
        wrong,
        banned=(
            "companion.models.vae.gaussian_kl",
            "companion.models.vae.gaussian_kl_per_dimension",
            "companion.metrics.divergences.gaussian_kl_divergence",
            "torch.distributions.kl.kl_divergence",
        ),
        call=differentiable,
    )


def _draw(t: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar, noise = (torch.randn(N, LATENT, generator=rng) for _ in range(3))
        return mu, logvar, noise

    def right(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
        # The value below which a normal variable lies with the noise's probability.
        normal = Normal(mu.double(), t * (0.5 * logvar.double()).exp())
        standard = Normal(torch.zeros((), dtype=torch.double), 1.0)
        return normal.icdf(standard.cdf(noise.double()))

    wrong = {
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
        right,
        wrong,
        banned=("companion.models.vae.reparameterize",),
        call=differentiable,
    )


def _negative_elbo(m: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits = 2 * torch.randn(N, *PIXELS, generator=rng)
        images = (torch.rand(N, *PIXELS, generator=rng) > 0.5).float()
        return logits, images, *_codes(rng, m)

    def right(logits: Tensor, images: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        return (_distortion(logits, images) + _rates(mu, logvar, m).sum(1)).mean()

    def bce(logits: Tensor, images: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, images, reduction="none").flatten(1)

    def kl(mu: Tensor, logvar: Tensor, mean: float = m) -> Tensor:
        return 0.5 * ((mu - mean) ** 2 + logvar.exp() - 1 - logvar)

    wrong = {
        "no_rate": Wrong(
            lambda logits, images, mu, logvar: bce(logits, images).sum(1).mean() + 0 * mu.sum(),
            "the rate is missing; this trains an autoencoder, whose codes the prior never meets",
            ELBO,
        ),
        "no_distortion": Wrong(
            lambda logits, images, mu, logvar: kl(mu, logvar).sum(1).mean(),
            "the distortion is missing; the best code is then the prior, which says nothing",
            ELBO,
        ),
        "rate_subtracted": Wrong(
            lambda logits, images, mu, logvar: (
                bce(logits, images).sum(1) - kl(mu, logvar).sum(1)
            ).mean(),
            "the rate is subtracted, which pays the encoder for a long code; the loss adds it",
            ELBO,
        ),
        "elbo": Wrong(
            lambda logits, images, mu, logvar: (
                -(bce(logits, images).sum(1) + kl(mu, logvar).sum(1)).mean()
            ),
            "this is the ELBO itself, which is maximized; a loss is minimized, so return minus it",
            "vae/elbo#one-objective-and-it-is-maximized",
        ),
        "pixels_averaged": Wrong(
            lambda logits, images, mu, logvar: (
                bce(logits, images).mean(1) + kl(mu, logvar).sum(1)
            ).mean(),
            "the pixels are averaged and the dimensions summed, which is a hidden price of the "
            "number of pixels for the code; sum both",
            "vae/vae#eq-vae-hidden-beta",
        ),
        "dimensions_averaged": Wrong(
            lambda logits, images, mu, logvar: (
                bce(logits, images).sum(1) + kl(mu, logvar).mean(1)
            ).mean(),
            "the code's dimensions are averaged and the pixels summed, which makes the code too "
            "cheap; sum both",
            "vae/vae#eq-vae-hidden-beta",
        ),
        "all_averaged": Wrong(
            lambda logits, images, mu, logvar: bce(logits, images).mean() + kl(mu, logvar).mean(),
            "pixels and dimensions are both averaged; sum over them, average over the batch only",
            "vae/vae#eq-vae-hidden-beta",
        ),
        "batch_summed": Wrong(
            lambda logits, images, mu, logvar: bce(logits, images).sum() + kl(mu, logvar).sum(),
            "the batch is summed, so the size of a step depends on the batch size; average over it",
            ELBO,
        ),
        "per_image": Wrong(
            lambda logits, images, mu, logvar: bce(logits, images).sum(1) + kl(mu, logvar).sum(1),
            "this is one number for each image; average them, for backward() wants one number",
            ELBO,
        ),
        "sigmoid_twice": Wrong(
            lambda logits, images, mu, logvar: (
                bce(torch.sigmoid(logits), images).sum(1) + kl(mu, logvar).sum(1)
            ).mean(),
            "a sigmoid is applied before a loss that takes logits and applies its own",
            GUIDE,
        ),
        "squared_error": Wrong(
            lambda logits, images, mu, logvar: (
                ((torch.sigmoid(logits) - images) ** 2).flatten(1).sum(1) + kl(mu, logvar).sum(1)
            ).mean(),
            "squared error stands in place of the Bernoulli likelihood of the pixels",
            ELBO,
        ),
        "images_and_logits_exchanged": Wrong(
            lambda logits, images, mu, logvar: (
                bce(images, torch.sigmoid(logits)).sum(1) + kl(mu, logvar).sum(1)
            ).mean(),
            "images and logits are exchanged: the decoder's logits come first, the pixels second",
            ELBO,
        ),
        "standard_normal": Wrong(
            lambda logits, images, mu, logvar: (
                bce(logits, images).sum(1) + kl(mu, logvar, 0.0).sum(1)
            ).mean(),
            "the rate is the one for the prior N(0, I); this model's prior has another mean",
            RATE,
        ),
        "bits": Wrong(
            lambda logits, images, mu, logvar: (
                (bce(logits, images).sum(1) + kl(mu, logvar).sum(1)).mean() / math.log(2)
            ),
            "this is in bits; the book's losses are in nats, so do not divide by ln 2",
            "vae/vae#eq-vae-bpd",
        ),
    }
    return Question(
        "negative_elbo",
        3,
        inputs,
        right,
        wrong,
        banned=(
            "companion.likelihoods.bernoulli_log_prob",
            "companion.models.vae.VAE.elbo",
            "companion.models.vae.VAE.loss",
            "companion.models.iwae.importance_bound",
        ),
        call=differentiable,
    )


def _free_bits(m: float, free: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        # Two dimensions below the free nats and two above, all together below what is free in all;
        # and images that spend from nothing to twice the mean.
        dimensions = free * torch.tensor([0.2, 0.4, 1.3, 1.5])
        images = torch.tensor([0.02, 0.5, 1.0, 1.4, 2.0])[torch.randperm(N, generator=rng)]
        spent = images[:, None] * dimensions * (0.95 + 0.1 * torch.rand(LATENT, generator=rng))
        signs = 2.0 * torch.randint(2, (2, N, LATENT), generator=rng) - 1
        return m + signs[0] * (1.8 * spent).sqrt(), signs[1] * (0.4 * spent).sqrt()

    def right(mu: Tensor, logvar: Tensor) -> Tensor:
        rates = _rates(mu, logvar, m).mean(0)
        return torch.maximum(rates, torch.full_like(rates, free)).sum()

    def kl(mu: Tensor, logvar: Tensor, mean: float = m) -> Tensor:
        return 0.5 * ((mu - mean) ** 2 + logvar.exp() - 1 - logvar)

    def clamped(
        mu: Tensor, logvar: Tensor, clamp: functools.partial[Tensor], mean: float = m
    ) -> Tensor:
        return clamp(kl(mu, logvar, mean).mean(0)).sum()

    least = functools.partial(torch.clamp, min=free)
    wrong = {
        "not_free": Wrong(
            lambda mu, logvar: kl(mu, logvar).mean(0).sum(),
            "no dimension gets anything free; this is the rate itself",
            FREE,
        ),
        "minimum": Wrong(
            lambda mu, logvar: clamped(mu, logvar, functools.partial(torch.clamp, max=free)),
            "this is the minimum of rate and free nats, which makes every long code free; take the "
            "maximum",
            FREE,
        ),
        "subtracted": Wrong(
            lambda mu, logvar: (kl(mu, logvar).mean(0) - free).clamp(min=0).sum(),
            "the free nats are subtracted; the rate counts in full as soon as it is above them",
            FREE,
        ),
        "per_image": Wrong(
            lambda mu, logvar: least(kl(mu, logvar)).sum(1).mean(),
            "the maximum is taken for every image; average the rate of a dimension over the batch "
            "first, so that one image may spend what another saves",
            FREE,
        ),
        "of_the_total": Wrong(
            lambda mu, logvar: kl(mu, logvar).mean(0).sum().clamp(min=LATENT * free),
            "the maximum is taken of the whole rate; each dimension has its own free nats, or one "
            "dimension takes all",
            FREE,
        ),
        "sum_then_free": Wrong(
            lambda mu, logvar: least(kl(mu, logvar).sum(1)).mean(),
            "the dimensions are summed before the maximum; take it dimension by dimension",
            FREE,
        ),
        "batch_summed": Wrong(
            lambda mu, logvar: least(kl(mu, logvar).sum(0)).sum(),
            "the batch is summed, so a large batch is never free; average over it",
            FREE,
        ),
        "dimensions_averaged": Wrong(
            lambda mu, logvar: least(kl(mu, logvar).mean(0)).mean(),
            "the dimensions are averaged; sum over them",
            FREE,
        ),
        "per_dimension": Wrong(
            lambda mu, logvar: least(kl(mu, logvar).mean(0)),
            "the dimensions are not summed; return one number",
            FREE,
        ),
        "added": Wrong(
            lambda mu, logvar: (kl(mu, logvar).mean(0) + free).sum(),
            "the free nats are added to every dimension, which changes no gradient; take the "
            "maximum",
            FREE,
        ),
        "in_bits": Wrong(
            lambda mu, logvar: clamped(
                mu, logvar, functools.partial(torch.clamp, min=free * math.log(2))
            ),
            "the free nats are taken for bits; despite the method's name they are given in nats",
            FREE,
        ),
        "standard_normal": Wrong(
            lambda mu, logvar: clamped(mu, logvar, least, 0.0),
            "the rate is the one for the prior N(0, I); this model's prior has another mean",
            RATE,
        ),
    }
    return Question(
        "free_bits",
        2,
        inputs,
        right,
        wrong,
        banned=("companion.models.beta_vae.BetaVAE.loss",),
        call=differentiable,
    )
