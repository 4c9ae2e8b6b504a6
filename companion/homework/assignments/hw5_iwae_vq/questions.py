"""Questions of homework 5: a bound of many guesses, what they are worth, and a stopped gradient.

Log-weights have shape (N, k), one row an image; vectors have shape (N, P, m), P places an image.
"""

import math

import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from companion.homework.assignments.hw5_iwae_vq import calls
from companion.homework.question import Question, Wrong

BOUND, WEIGHT = "vae/iwae#eq-iwae-bound", "vae/iwae#eq-iwae-weight"
RATIO, ESS = "vae/iwae#eq-iwae-ratio", "vae/iwae#eq-iwae-ess"
NEAREST, STRAIGHT = "vae/vq_vae#eq-vq-nearest", "vae/vq_vae#eq-vq-straight"
GRADIENT, LOSS = "vae/vq_vae#eq-vq-straight-gradient", "vae/vq_vae#eq-vq-loss"
UNITS = "vae/vq_vae#three-terms"


def constants(variant: int = 0) -> dict[str, float]:
    """The prior's mean, the cap on a weight, the share of the gradient, the commitment's price."""
    step = variant % 50
    return {
        "prior_mean": round(0.5 + 0.05 * step, 2),
        "cap": round(2 + 0.1 * step, 1),
        "share": round(0.4 - 0.005 * step, 3),
        "commitment": round(0.25 + 0.05 * step, 2),
    }


def questions(variant: int = 0) -> dict[str, Question]:
    """The four questions, in the order of the text."""
    numbers = constants(variant)
    four = (
        _importance_bound(numbers["prior_mean"]),
        _effective_sample_size(numbers["cap"]),
        _straight_through(numbers["share"]),
        _codebook_loss(numbers["commitment"]),
    )
    return {question.name: question for question in four}


def _importance_bound(prior_mean: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, ...]:
        mu, logvar = torch.randn(2, 4, 3, generator=rng)
        z = mu[:, None] + torch.exp(logvar[:, None] / 2) * torch.randn(4, 6, 3, generator=rng)
        return -240 + 2 * torch.randn(4, 6, generator=rng), z, mu, logvar

    def log_ratio(z: Tensor, mu: Tensor, sigma: Tensor, mean: float = prior_mean) -> Tensor:
        """log p(z) - log q(z|x), of each dimension."""
        q = Normal(mu[:, None], sigma[:, None])
        return Normal(mean, 1.0).log_prob(z) - q.log_prob(z)

    def reference(like: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        like, z, mu, logvar = like.double(), z.double(), mu.double(), logvar.double()
        prior = Independent(Normal(torch.full_like(z, prior_mean), 1.0), 1)
        q = Independent(Normal(mu[:, None].expand_as(z), torch.exp(logvar[:, None] / 2)), 1)
        log_weights = like + prior.log_prob(z) - q.log_prob(z)
        largest = log_weights.amax(1)
        return largest + torch.exp(log_weights - largest[:, None]).mean(1).log()

    def weights(like: Tensor, z: Tensor, mu: Tensor, logvar: Tensor) -> Tensor:
        return like + log_ratio(z, mu, torch.exp(logvar / 2)).sum(2)

    def log_mean(log_weights: Tensor, dim: int = 1) -> Tensor:
        return torch.logsumexp(log_weights, dim) - math.log(log_weights.shape[dim])

    wrong = {
        "mean of the logarithms": Wrong(
            lambda *x: weights(*x).mean(1),
            "the mean of the logarithms is the ELBO, whatever k; take the logarithm of the mean",
            BOUND,
        ),
        "no log k": Wrong(
            lambda *x: torch.logsumexp(weights(*x), 1),
            "log k is missing: this is the logarithm of the sum of the weights, not of their mean",
            BOUND,
        ),
        "over the batch": Wrong(
            lambda *x: log_mean(weights(*x), 0),
            "the mean was taken over the images; take it over the k guesses, dimension 1",
            BOUND,
        ),
        "weighted mean": Wrong(
            lambda *x: (weights(*x).softmax(1) * weights(*x)).sum(1),
            "this averages the logarithms by their shares; take the logarithm of the mean weight",
            "vae/iwae#eq-iwae-gradient",
        ),
        "underflow": Wrong(
            lambda *x: weights(*x).exp().mean(1).log(),
            "e^-240 is 0 in float32; stay in logarithms and use torch.logsumexp",
            RATIO,
        ),
        "standard prior": Wrong(
            lambda like, z, mu, v: log_mean(like + log_ratio(z, mu, (v / 2).exp(), 0.0).sum(2)),
            "the prior's mean was left out: this is the bound for the prior N(0, I)",
            WEIGHT,
        ),
        "ratio upside down": Wrong(
            lambda like, z, mu, v: log_mean(like - log_ratio(z, mu, (v / 2).exp()).sum(2)),
            "the ratio is upside down: a weight is p(x|z) p(z) divided by q(z|x)",
            WEIGHT,
        ),
        "likelihood alone": Wrong(
            lambda like, z, mu, v: log_mean(like),
            "p(z)/q(z|x) is missing: the guesses come from q, not from the prior, and the weight "
            "must make up for it",
            WEIGHT,
        ),
        "log sigma": Wrong(
            lambda like, z, mu, v: log_mean(like + log_ratio(z, mu, v.exp()).sum(2)),
            "logvar was taken for log sigma; sigma is exp(logvar / 2)",
            RATIO,
        ),
    }
    return Question(
        "importance_bound", 3, inputs, reference, wrong, ("companion.models.iwae.importance_bound",)
    )


def _effective_sample_size(cap: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor]:
        return (-240 + 2 * torch.randn(5, 60, generator=rng),)

    def capped(log_weights: Tensor, dim: int = 1) -> Tensor:
        w = torch.exp(log_weights.double() - log_weights.amax())
        return torch.minimum(w, cap * w.mean(dim, keepdim=True))

    def worth(weights: Tensor, dim: int = 1) -> Tensor:
        return weights.sum(dim) ** 2 / weights.square().sum(dim)

    def reference(log_weights: Tensor) -> Tensor:
        """By k/ESS = 1 + the relative variance of the weights."""
        w = capped(log_weights)
        spread = w.var(1, correction=0) / w.mean(1).square()
        return w.shape[1] / (1 + spread)

    def dropped(log_weights: Tensor) -> Tensor:
        w = torch.exp(log_weights.double() - log_weights.amax())
        return worth(w * (w <= cap * w.mean(1, keepdim=True)))

    def capped_logarithms(log_weights: Tensor) -> Tensor:
        limit = log_weights.double().mean(1, keepdim=True) + math.log(cap)
        return worth(torch.exp(torch.minimum(log_weights.double(), limit) - log_weights.amax()))

    wrong = {
        "no cap": Wrong(
            lambda w: worth(torch.exp(w.double() - w.amax())),
            "the cap is missing, or never reached: it is a multiple of the mean weight of an image",
            ESS,
        ),
        "dropped": Wrong(
            dropped,
            "the weights above the cap were set to 0; cut them down to the cap",
            ESS,
        ),
        "cap on logarithms": Wrong(
            capped_logarithms,
            "the cap was taken from the mean of the log-weights, not of the weights themselves",
            ESS,
        ),
        "over the batch": Wrong(
            lambda w: worth(capped(w, 0), 0),
            "the sums go over the images; take them over the k guesses, dimension 1",
            ESS,
        ),
        "upside down": Wrong(
            lambda w: 1 / reference(w),
            "this is upside down; the effective sample size lies between 1 and k",
            ESS,
        ),
        "largest": Wrong(
            lambda w: capped(w).sum(1) / capped(w).amax(1),
            "this is the inverse of the largest share; the effective sample size takes the squares "
            "of all shares",
            ESS,
        ),
    }
    banned = ("companion.models.iwae.effective_sample_size",)
    return Question("effective_sample_size", 3, inputs, reference, wrong, banned)


def _straight_through(share: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, ...]:
        vectors, pull = torch.randn(2, 3, 5, 2, generator=rng)
        return vectors, 1.5 * torch.randn(7, 2, generator=rng), pull

    def nearest(vectors: Tensor, codebook: Tensor) -> Tensor:
        return codebook[(vectors[:, :, None] - codebook).square().sum(3).argmin(2)]

    def reference(vectors: Tensor, codebook: Tensor, pull: Tensor) -> tuple[Tensor, ...]:
        places = torch.cdist(vectors.double(), codebook.double()).argmin(2)
        entries = torch.nn.functional.one_hot(places, len(codebook)).double() @ codebook.double()
        return entries, share * pull.double(), torch.zeros_like(codebook).double()

    def not_stopped(z: Tensor, codebook: Tensor) -> Tensor:
        return share * z + nearest(z, codebook) - (share * z).detach()

    def wrong_side(z: Tensor, codebook: Tensor) -> Tensor:
        e = nearest(z, codebook)
        return e + (z - e).detach()

    def inner_product(z: Tensor, codebook: Tensor) -> Tensor:
        e = codebook[(z @ codebook.T).argmax(2)]
        return share * z + (e - share * z).detach()

    wrong = {
        "a step": Wrong(
            nearest,
            "the vectors get no gradient, for a choice has no slope; pass on that of the entries",
            STRAIGHT,
        ),
        "whole gradient": Wrong(
            lambda z, c: z + (nearest(z, c) - z).detach(),
            "the whole gradient is handed on; the question asks for a share of it",
            GRADIENT,
        ),
        "entry not stopped": Wrong(
            not_stopped,
            "a gradient reaches the codebook, too: the entry must stand inside the stop-gradient",
            STRAIGHT,
        ),
        "wrong side": Wrong(
            wrong_side,
            "vector and entry are exchanged: these are the vectors, with the codebook's gradient",
            STRAIGHT,
        ),
        "share in the value": Wrong(
            lambda z, c: share * z + (nearest(z, c) - z).detach(),
            "the value is not the entry: subtract inside detach() just what you add outside",
            STRAIGHT,
        ),
        "all stopped": Wrong(
            lambda z, c: nearest(z, c).detach(),
            "no gradient arrives anywhere: only the difference of entry and vector is detached",
            GRADIENT,
        ),
        "inner product": Wrong(
            inner_product,
            "the largest inner product was taken; in the squared distance |e|^2 counts, too",
            NEAREST,
        ),
    }
    banned = (
        "companion.models.quantizer.VectorQuantizer.forward",
        "companion.models.quantizer.VectorQuantizer.nearest",
    )
    return Question("straight_through", 4, inputs, reference, wrong, banned, calls.straight_through)


def _codebook_loss(price: float) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, ...]:
        return tuple(torch.randn(2, 3, 5, 2, generator=rng))

    def reference(vectors: Tensor, entries: Tensor) -> tuple[Tensor, ...]:
        apart = (vectors.double() - entries.double()) / len(vectors)
        return (1 + price) * len(vectors) * apart.square().sum(), 2 * price * apart, -2 * apart

    def loss(z: Tensor, e: Tensor, codebook: float = 1, commitment: float = price) -> Tensor:
        moved = codebook * (z.detach() - e).square() + commitment * (z - e.detach()).square()
        return moved.sum((1, 2)).mean()

    def norms(z: Tensor, e: Tensor) -> Tensor:
        return ((z.detach() - e).norm(dim=2) + price * (z - e.detach()).norm(dim=2)).sum(1).mean()

    wrong = {
        "price on the codebook": Wrong(
            lambda z, e: loss(z, e, price, 1),
            "the stop-gradients are exchanged: the price belongs to what moves the vectors",
            LOSS,
        ),
        "nothing stopped": Wrong(
            lambda z, e: (1 + price) * (z - e).square().sum((1, 2)).mean(),
            "no gradient is stopped, so both terms move both sides; each shall move one",
            LOSS,
        ),
        "no commitment": Wrong(
            lambda z, e: loss(z, e, commitment=0),
            "the commitment term is missing: nothing keeps the vectors near their entries",
            LOSS,
        ),
        "mean over the numbers": Wrong(
            lambda z, e: loss(z, e) / z[0].numel(),
            "the squares were averaged over an image, which divides the price; sum them",
            UNITS,
        ),
        "sum over the batch": Wrong(
            lambda z, e: loss(z, e) * len(z),
            "this is the sum over the batch, so its size changes the price; take the mean",
            UNITS,
        ),
        "not squared": Wrong(
            norms,
            "these are distances; the loss has their squares",
            LOSS,
        ),
    }
    return Question("codebook_loss", 4, inputs, reference, wrong, (), calls.loss)
