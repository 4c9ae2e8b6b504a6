"""Homework 4, questions 3 and 4: the loss of a VAE, and a rate with free bits."""

import functools
import math

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent
from torch.nn import functional as F

from companion.homework.assignments.hw4_vae import calls
from companion.homework.assignments.hw4_vae.codes import (
    GUIDE,
    LATENT,
    RATE,
    N,
    codes,
    rates,
    with_gradients,
)
from companion.homework.question import Question, Wrong

PIXELS = (1, 6, 6)
ELBO = "vae/vae#eq-vae-elbo"
FREE = "vae/beta_vae#eq-beta-free-bits"


def _distortion(logits: Tensor, images: Tensor) -> Tensor:
    return -Independent(Bernoulli(logits=logits.double()), 3).log_prob(images.double())


def negative_elbo(m: float) -> Question:
    """The negative bound for a prior whose mean is m in each dimension."""

    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        logits = 2 * torch.randn(N, *PIXELS, generator=rng)
        images = (torch.rand(N, *PIXELS, generator=rng) > 0.5).float()
        return logits, images, *codes(rng, m)

    def right(logits: Tensor, images: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        return (_distortion(logits, images) + rates(mu, logvar, m).sum(1)).mean()

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
        with_gradients(calls.of_loss, right),
        wrong,
        banned=(
            "companion.likelihoods.bernoulli_log_prob",
            "companion.models.vae.VAE.elbo",
            "companion.models.vae.VAE.loss",
            "companion.models.iwae.importance_bound",
        ),
        call=calls.of_loss,
    )


def free_bits(m: float, free: float) -> Question:
    """The rate with so many free nats a dimension, for that prior."""

    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        # Two dimensions below the free nats and two above, all together below what is free in all;
        # and images that spend from nothing to twice the mean.
        dimensions = free * torch.tensor([0.2, 0.4, 1.3, 1.5])
        images = torch.tensor([0.02, 0.5, 1.0, 1.4, 2.0])[torch.randperm(N, generator=rng)]
        spent = images[:, None] * dimensions * (0.95 + 0.1 * torch.rand(LATENT, generator=rng))
        signs = 2.0 * torch.randint(2, (2, N, LATENT), generator=rng) - 1
        return m + signs[0] * (1.8 * spent).sqrt(), signs[1] * (0.4 * spent).sqrt()

    def right(mu: Tensor, logvar: Tensor) -> Tensor:
        mean = rates(mu, logvar, m).mean(0)
        return torch.maximum(mean, torch.full_like(mean, free)).sum()

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
        "mean_detached": Wrong(
            lambda mu, logvar: clamped(mu.detach(), logvar, least),
            "the value is right, but mu is detached, so nothing pulls the encoder's mean to the "
            "prior; leave out detach()",
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
        with_gradients(calls.of_code, right),
        wrong,
        banned=("companion.models.beta_vae.BetaVAE.loss",),
        call=calls.of_code,
    )
