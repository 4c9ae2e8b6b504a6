"""Questions of homework 2: a divergence, a symmetric one, and the work of carrying earth.

Densities are rows on a grid with step h, and h times the sum of a row is 1.
"""

import math

import torch
from torch import Tensor
from torch.distributions import Categorical as Shares
from torch.distributions import MixtureSameFamily, Normal

from companion.homework.question import Question, Wrong

KL, GIBBS = "start/distances#eq-distances-kl", "start/distances#eq-distances-gibbs"
JS, WORK = "start/distances#eq-distances-js", "start/distances#eq-distances-wasserstein"
UNITS = "start/data#why-bits-probability-is-file-size"


def constants(variant: int = 0) -> dict[str, float]:
    """The guard's share, the weight of p in the mixture, and the price of a move to the right."""
    step = variant % 50
    return {
        "guard": round(0.05 + 0.005 * step, 3),
        "weight": round(0.3 - 0.005 * step, 3),
        "uphill": round(2 + 0.1 * step, 1),
    }


def questions(variant: int = 0) -> dict[str, Question]:
    """The three questions, in the order of the text."""
    numbers = constants(variant)
    three = (
        _kl_divergence(numbers["guard"]),
        _js_divergence(numbers["weight"]),
        _transport_work(numbers["uphill"]),
    )
    return {question.name: question for question in three}


def _densities(rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Three pairs of densities with two hills each, those of q between those of p, on a grid."""
    step = 0.04 + 0.02 * torch.rand((), generator=rng, dtype=torch.float64)
    x = step * torch.arange(-140, 141, dtype=torch.float64)
    means = torch.rand(2, 3, 2, generator=rng, dtype=torch.float64) - 0.5
    means[0] += torch.tensor([-1.2, 1.2])
    widths = 0.3 + 0.4 * torch.rand(2, 3, 2, generator=rng, dtype=torch.float64)
    shares = 0.2 + torch.rand(2, 3, 2, generator=rng, dtype=torch.float64)
    hills = MixtureSameFamily(Shares(shares), Normal(means, widths))
    p, q = hills.log_prob(x[:, None, None]).exp().movedim(0, -1)
    return p / p.sum(1, keepdim=True) / step, q / q.sum(1, keepdim=True) / step, x


def _integral(values: Tensor, x: Tensor) -> Tensor:
    return values.sum(1) * (x[1] - x[0])


def _kl(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    return _integral(p * (p / q).log(), x)


def _entropy(p: Tensor, x: Tensor) -> Tensor:
    """The entropy of the masses of the grid's cells, in nats."""
    return Shares(probs=p * (x[1] - x[0])).entropy()


def _kl_divergence(guard: float) -> Question:
    def uniform(x: Tensor) -> float:
        return float(1 / (len(x) * (x[1] - x[0])))

    def guarded(q: Tensor, x: Tensor) -> Tensor:
        return (1 - guard) * q + guard * uniform(x)

    def reference(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
        # The cost of the draws of p, cell by cell, less what the best code would cost
        cells = (1 - guard) * q.double() * (x[1] - x[0]) + guard / len(x)
        masses = p.double() * (x[1] - x[0])
        return -(masses * cells.log()).sum(1) - _entropy(p.double(), x)

    def right(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
        return _kl(p, guarded(q, x), x)

    wrong = {
        "reversed": Wrong(
            lambda p, q, x: _kl(guarded(q, x), p, x),
            "this is the reverse divergence, KL(q || p); here the mean is taken under p, the data, "
            "and p stands in the numerator",
            "start/distances#three-more",
        ),
        "no guard": Wrong(
            _kl,
            "the guard is missing: this is the divergence from q itself, without its share of the "
            "uniform density",
            GIBBS,
        ),
        "guard added": Wrong(
            lambda p, q, x: _kl(p, q + guard * uniform(x), x),
            "the uniform density was added to q, which then integrates to more than 1; q must give "
            "up the share that the uniform density gets",
            GIBBS,
        ),
        "shares exchanged": Wrong(
            lambda p, q, x: _kl(p, guard * q + (1 - guard) * uniform(x), x),
            "the two shares are exchanged: the small one belongs to the uniform density",
            GIBBS,
        ),
        "both guarded": Wrong(
            lambda p, q, x: _kl(guarded(p, x), guarded(q, x), x),
            "p was mixed with the uniform density as well; p is the density of the data and stays "
            "as it is",
            KL,
        ),
        "no step": Wrong(
            lambda p, q, x: right(p, q, x) / (x[1] - x[0]),
            "the step of the grid is missing: an integral is the sum times h",
            KL,
        ),
        "mean over the grid": Wrong(
            lambda p, q, x: right(p, q, x) / (x[1] - x[0]) / len(x),
            "this is the mean over the grid; an integral is the sum times the step h",
            KL,
        ),
        "bits": Wrong(
            lambda p, q, x: right(p, q, x) / math.log(2),
            "this is in bits (log2); return nats, with the natural logarithm",
            UNITS,
        ),
        "cross-entropy": Wrong(
            lambda p, q, x: -_integral(p * guarded(q, x).log(), x),
            "this is the cross-entropy; subtract the entropy of p from it to get the divergence",
            KL,
        ),
        "sign": Wrong(
            lambda p, q, x: -right(p, q, x),
            "the sign is wrong: a divergence is never negative",
            GIBBS,
        ),
        "symmetric": Wrong(
            lambda p, q, x: right(p, q, x) + _kl(guarded(q, x), p, x),
            "both directions were added; the divergence asked for has one, p first",
            "start/distances#three-more",
        ),
    }
    banned = ("companion.metrics.divergences.kl_divergence", "torch.nn.functional.kl_div")
    return Question("kl_divergence", 3, _densities, reference, wrong, banned)


def _js_divergence(weight: float) -> Question:
    def mixture(p: Tensor, q: Tensor) -> Tensor:
        return weight * p + (1 - weight) * q

    def reference(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
        # What a draw says of the density that it came from: entropy of the mixture less the mean
        p, q = p.double(), q.double()
        apart = weight * _entropy(p, x) + (1 - weight) * _entropy(q, x)
        return _entropy(mixture(p, q), x) - apart

    def mixed(p: Tensor, q: Tensor, m: Tensor, x: Tensor, share: float = weight) -> Tensor:
        return share * _kl(p, m, x) + (1 - share) * _kl(q, m, x)

    def right(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
        return mixed(p, q, mixture(p, q), x)

    wrong = {
        "no mixture": Wrong(
            lambda p, q, x: weight * _kl(p, q, x) + (1 - weight) * _kl(q, p, x),
            "p and q were compared with each other; each must be compared with the mixture m",
            JS,
        ),
        "mixture of halves": Wrong(
            lambda p, q, x: mixed(p, q, (p + q) / 2, x),
            "m mixes p and q half and half; it must mix them by the weights that the divergences "
            "get",
            JS,
        ),
        "halves": Wrong(
            lambda p, q, x: mixed(p, q, (p + q) / 2, x, 0.5),
            "this is the divergence with the weights 1/2 and 1/2; the question gives p another one",
            JS,
        ),
        "weights exchanged": Wrong(
            lambda p, q, x: mixed(p, q, (1 - weight) * p + weight * q, x, 1 - weight),
            "the weights of p and q are exchanged",
            JS,
        ),
        "no weights": Wrong(
            lambda p, q, x: _kl(p, mixture(p, q), x) + _kl(q, mixture(p, q), x),
            "the two divergences were added without their weights",
            JS,
        ),
        "mixture first": Wrong(
            lambda p, q, x: (
                weight * _kl(mixture(p, q), p, x) + (1 - weight) * _kl(mixture(p, q), q, x)
            ),
            "the mixture stands first in both divergences, which then have no upper bound; it must "
            "stand second",
            JS,
        ),
        "one side": Wrong(
            lambda p, q, x: _kl(p, mixture(p, q), x),
            "only p was compared with the mixture; q must be, too",
            JS,
        ),
        "root": Wrong(
            lambda p, q, x: right(p, q, x).sqrt(),
            "this is the square root, the Jensen-Shannon distance; return the divergence",
            "start/distances#distances-ex-triangle",
        ),
        "no step": Wrong(
            lambda p, q, x: right(p, q, x) / (x[1] - x[0]),
            "the step of the grid is missing: an integral is the sum times h",
            KL,
        ),
        "bits": Wrong(
            lambda p, q, x: right(p, q, x) / math.log(2),
            "this is in bits (log2); return nats, with the natural logarithm",
            UNITS,
        ),
    }
    banned = (
        "companion.metrics.divergences.js_divergence",
        "companion.metrics.divergences.kl_divergence",
        "torch.nn.functional.kl_div",
    )
    return Question("js_divergence", 3, _densities, reference, wrong, banned)


def _transport_work(uphill: float) -> Question:
    def price(move: Tensor, right: float = uphill, left: float = 1) -> Tensor:
        return right * move.clamp(min=0) + left * (-move).clamp(min=0)

    def reference(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
        # Grain by grain: the share u of the heap to the left of a grain is that of its place
        heap, hole = ((d.double() * (x[1] - x[0])).cumsum(1) for d in (p, q))
        edges = torch.cat([heap, hole], dim=1).sort().values
        grains = edges.diff(dim=1, prepend=torch.zeros(len(p), 1, dtype=torch.float64))
        u = (edges - grains / 2).contiguous()
        start, end = (x[torch.searchsorted(c, u).clamp(max=len(x) - 1)] for c in (heap, hole))
        return (grains * price(end - start)).sum(1)

    def ahead(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
        return (p - q).cumsum(1) * (x[1] - x[0])  # F - G

    wrong = {
        "densities": Wrong(
            lambda p, q, x: _integral(price(p - q), x),
            "the densities were subtracted, which says nothing of distance; subtract the "
            "cumulative distributions F and G",
            WORK,
        ),
        "one step": Wrong(
            lambda p, q, x: price(ahead(p, q, x)).sum(1),
            "one factor h is missing: the cumulative sum takes one, the integral another",
            WORK,
        ),
        "no step": Wrong(
            lambda p, q, x: price(ahead(p, q, x)).sum(1) / (x[1] - x[0]),
            "both factors h are missing: the cumulative sum takes one, the integral another",
            WORK,
        ),
        "one price": Wrong(
            lambda p, q, x: _integral(ahead(p, q, x).abs(), x),
            "this is the Wasserstein distance with one price for both directions; to the right a "
            "unit of length costs more",
            WORK,
        ),
        "prices exchanged": Wrong(
            lambda p, q, x: _integral(price(-ahead(p, q, x)), x),
            "the prices are exchanged: where F > G, p has more mass on the left than q, which must "
            "go to the right",
            WORK,
        ),
        "dear both ways": Wrong(
            lambda p, q, x: uphill * _integral(ahead(p, q, x).abs(), x),
            "the price to the right was taken for both directions; to the left a unit costs 1",
            WORK,
        ),
        "means": Wrong(
            lambda p, q, x: price(_integral(ahead(p, q, x), x)),
            "this is the distance between the two means: what goes to the right and what goes to "
            "the left were set off against each other",
            "start/distances#eq-distances-projection",
        ),
        "squared": Wrong(
            lambda p, q, x: _integral(price(ahead(p, q, x)) * ahead(p, q, x).abs(), x),
            "the differences of F and G were squared; the work has their absolute values",
            WORK,
        ),
        "largest difference": Wrong(
            lambda p, q, x: price(ahead(p, q, x)).amax(1),
            "this is the largest difference of F and G; integrate the difference over x",
            WORK,
        ),
    }
    banned = ("companion.metrics.divergences.wasserstein_distance",)
    return Question("transport_work", 4, _densities, reference, wrong, banned)
