"""Questions of homework 1: bits per dimension, dequantization, a discretized logistic, a leak.

The images have L gray levels, never 256, so a call of ``companion`` answers no question.
"""

import math
from functools import partial

import torch
from torch import Tensor

from companion.homework.question import Question, Wrong

BPD, WIDTH = "start/data#eq-data-bpd", "start/data#ex-data-units"
NOISE, CUBE = "start/data#the-cure-noise-of-one-level", "start/data#eq-data-cube"
LOGISTIC = "vae/vae#eq-vae-logistic"
FLOORS, LEAK = "start/data#the-ladder-of-floors", "start/data#train-test-and-what-leaks"


def constants(variant: int = 0) -> dict[str, float]:
    """Gray levels of the images, and imagined pixels of each level in the histogram."""
    step = variant % 50
    return {"levels": 32 + step, "imagined": 1 + 3 * (step % 10)}


def questions(variant: int = 0) -> dict[str, Question]:
    """The four questions, in the order of the text."""
    numbers = constants(variant)
    levels, imagined = int(numbers["levels"]), int(numbers["imagined"])
    four = (
        _bits_per_dimension(levels),
        _dequantize(levels),
        _log_mass(levels),
        _histogram_bits(levels, imagined),
    )
    return {question.name: question for question in four}


def _bits_per_dimension(levels: int) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, int, int, int]:
        height, width = (int(torch.randint(4, 7, (), generator=rng)) for _ in range(2))
        nats = 1.2 + 0.3 * torch.randn(7, generator=rng, dtype=torch.float64)
        return 3 * height * width * nats, 3, height, width

    def reference(log_density: Tensor, channels: int, height: int, width: int) -> Tensor:
        density = torch.exp(log_density.double() / (channels * height * width))  # of one value
        return -torch.log2(density / levels)

    def bits(log_density: Tensor, dimensions: int) -> Tensor:
        return math.log2(levels) - log_density / dimensions / math.log(2)

    wrong = {
        "density as mass": Wrong(
            lambda q, c, h, w: -q / (c * h * w) / math.log(2),
            "a density was taken for a mass: a level is 1/L wide, its mass is the density divided "
            "by L, and so each value costs log2(L) bits more",
            WIDTH,
        ),
        "256 levels": Wrong(
            lambda q, c, h, w: bits(q, c * h * w) + math.log2(256 / levels),
            "8 bits were added, which is right for 256 levels; these images have fewer",
            WIDTH,
        ),
        "nats": Wrong(
            lambda q, c, h, w: bits(q, c * h * w) * math.log(2),
            "this is in nats; divide by ln 2 to get bits",
            BPD,
        ),
        "nats and bits": Wrong(
            lambda q, c, h, w: math.log2(levels) - q / (c * h * w),
            "bits were added to nats: the log-density is a natural logarithm, divide it by ln 2",
            BPD,
        ),
        "channels": Wrong(
            lambda q, c, h, w: bits(q, h * w),
            "the channels were forgotten: an image has d = C H W values, not H W",
            BPD,
        ),
        "per image": Wrong(
            lambda q, c, h, w: bits(q, c * h * w) * c * h * w,
            "these are the bits of a whole image; divide by its number of values, d = C H W",
            BPD,
        ),
        "divided by N": Wrong(
            lambda q, c, h, w: bits(q, c * h * w * len(q)),
            "this was divided by the number of images, too; divide each log-density by d only",
            BPD,
        ),
        "mean": Wrong(
            lambda q, c, h, w: bits(q, c * h * w).mean(),
            "this is the mean over the images; return one number for each image, shape (N,)",
            BPD,
        ),
    }
    banned = ("companion.likelihoods.bits_per_dimension",)
    return Question("bits_per_dimension", 2, inputs, reference, wrong, banned)


def _dequantize(levels: int) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        images = torch.randint(0, 256, (3, 1, 5, 6), generator=rng, dtype=torch.uint8)
        images[:, 0, 0, 0] = 255  # the pixel that shows a level too many
        return images, torch.rand(3, 1, 5, 6, generator=rng)

    def reference(images: Tensor, noise: Tensor) -> Tensor:
        edges = 256 * torch.arange(1, levels, dtype=torch.float64) / levels  # between the levels
        return (torch.searchsorted(edges, images.double(), right=True) + noise.double()) / levels

    def level(images: Tensor) -> Tensor:
        return images.long() * levels // 256

    wrong = {
        "bytes": Wrong(
            lambda x, u: (torch.floor(x * levels / 256) + u) / levels,
            "the product was computed in bytes, which end at 255: write images.long() before "
            "multiplying",
            "start/data#what-goes-wrong-arithmetic-in-bytes",
        ),
        "no noise": Wrong(
            lambda x, u: level(x) / levels,
            "the noise is missing: on bare levels a density can be made as high as one likes",
            "start/data#levels-against-densities",
        ),
        "noise of the gray range": Wrong(
            lambda x, u: level(x) / levels + u,
            "the noise is as wide as the gray range, not as one level; add it before dividing by L",
            NOISE,
        ),
        "centered noise": Wrong(
            lambda x, u: (level(x) + u - 0.5) / levels,
            "1/2 was subtracted from the noise, so that level 0 reaches below 0; level k owns the "
            "interval from k to k + 1",
            NOISE,
        ),
        "rounded": Wrong(
            lambda x, u: ((x.double() * levels / 256).round() + u) / levels,
            "the level was rounded to the nearest, which gives white a level L that does not "
            "exist; take the whole part (floor)",
            CUBE,
        ),
        "highest level": Wrong(
            lambda x, u: (level(x) + u) / (levels - 1),
            "this divides by L - 1, so that white with its noise exceeds 1; L levels of width 1/L "
            "fill the interval from 0 to 1",
            CUBE,
        ),
        "all levels": Wrong(
            lambda x, u: (x.double() + u) / 256,
            "the images still have 256 levels; reduce them to L levels before adding the noise",
            NOISE,
        ),
    }
    return Question("dequantize", 3, inputs, reference, wrong)


def _log_mass(levels: int) -> Question:
    half = 0.5 / (levels - 1)

    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        level = torch.randint(0, levels, (4, 12), generator=rng)
        level[:, 0], level[:, 1] = 0, levels - 1
        mean = torch.rand(4, 12, generator=rng, dtype=torch.float64)
        return level, mean, -2 + 0.3 * torch.randn(4, 12, generator=rng, dtype=torch.float64)

    def reference(level: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        """The density integrated by the midpoint rule, the tails as far as 60 scales."""
        center, scale = level.double() / (levels - 1), log_scale.double().exp()
        low = torch.where(level == 0, mean - 60 * scale, center - half)
        high = torch.where(level == levels - 1, mean + 60 * scale, center + half)
        places = (torch.arange(4000, dtype=torch.float64) + 0.5) / 4000
        t = (torch.lerp(low[..., None], high[..., None], places) - mean[..., None]) / (
            2 * scale[..., None]
        )
        return torch.log((high - low) / (4 * scale) * t.cosh().pow(-2).mean(-1))

    def mass(level: Tensor, mean: Tensor, scale: Tensor, half: float, tails: bool = True) -> Tensor:
        center = level / (levels - 1)
        above = torch.sigmoid((center + half - mean) / scale)
        below = torch.sigmoid((center - half - mean) / scale)
        return above.masked_fill(tails & (level == levels - 1), 1) - below.masked_fill(
            tails & (level == 0), 0
        )

    def log_density(level: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
        cumulative = torch.sigmoid((level / (levels - 1) - mean) / log_scale.exp())
        return torch.log(cumulative * (1 - cumulative)) - log_scale

    wrong = {
        "no tails": Wrong(
            lambda k, m, s: mass(k, m, s.exp(), half, tails=False).log(),
            "the outermost levels lack their tails: level 0 owns all mass below it and level L - 1 "
            "all mass above it, or the masses add up to less than 1",
            LOGISTIC,
        ),
        "density": Wrong(
            log_density,
            "this is the logarithm of the density at the level, which has no upper bound; a mass "
            "is the density integrated over the width of the level",
            "start/data#levels-against-densities",
        ),
        "half level of 256": Wrong(
            lambda k, m, s: mass(k, m, s.exp(), 0.5 / 255).log(),
            "half a level is 1/510 with 256 levels; with L levels it is 1/(2 (L - 1))",
            LOGISTIC,
        ),
        "whole level": Wrong(
            lambda k, m, s: mass(k, m, s.exp(), 2 * half).log(),
            "the interval is two levels wide; go half a level to each side, not a whole one",
            LOGISTIC,
        ),
        "log variance": Wrong(
            lambda k, m, s: mass(k, m, (s / 2).exp(), half).log(),
            "log_scale was taken for the logarithm of a variance; the scale is exp(log_scale)",
            LOGISTIC,
        ),
        "no logarithm": Wrong(
            lambda k, m, s: mass(k, m, s.exp(), half),
            "these are the masses; return their natural logarithms",
            LOGISTIC,
        ),
        "bits": Wrong(
            lambda k, m, s: mass(k, m, s.exp(), half).log2(),
            "this is in bits (log2); return natural logarithms (nats)",
            BPD,
        ),
    }
    banned = ("companion.likelihoods.discretized_mixture_log_prob",)
    return Question("log_mass", 4, inputs, reference, wrong, banned)


def _histogram_bits(levels: int, imagined: int) -> Question:
    def inputs(rng: torch.Generator) -> tuple[Tensor, Tensor]:
        dark = 31 * torch.rand(30, 1, 6, 6, generator=rng).square()
        train, test = dark.long().split([20, 10])
        test[0, 0, 0, 0] = 31  # a level that training never saw
        return train, test

    def reference(train: Tensor, test: Tensor) -> Tensor:
        counts = (train.reshape(-1, 1) == torch.arange(levels)).double().sum(0) + imagined
        shares = torch.distributions.Categorical(probs=counts)
        return -shares.log_prob(test).mean() / math.log(2)

    def cost(train: Tensor, test: Tensor, extra: float = imagined) -> Tensor:
        counts = train.flatten().bincount(minlength=levels).double() + extra
        return -torch.log2(counts / counts.sum())[test].mean()

    def unnormalized(train: Tensor, test: Tensor) -> Tensor:
        return cost(train, test) + math.log2(1 / (1 + levels * imagined / train.numel()))

    wrong = {
        "leak": Wrong(
            lambda train, test: cost(torch.cat([train, test]), test),
            "the test images were counted, too: this is data leakage, and the score of a model "
            "that has seen the answers means nothing",
            LEAK,
        ),
        "counted on test": Wrong(
            lambda train, test: cost(test, test),
            "the histogram was counted on the test images themselves; count the training images",
            LEAK,
        ),
        "scored on training": Wrong(
            lambda train, test: cost(train, train),
            "the histogram was scored on the training images that it was counted on; score it on "
            "the test images",
            LEAK,
        ),
        "no imagined pixels": Wrong(
            partial(cost, extra=0.0),
            "a level that never occurred in training got mass 0, and one such test pixel costs "
            "infinitely many bits; add the imagined pixels of each level",
            FLOORS,
        ),
        "imagined once": Wrong(
            partial(cost, extra=imagined / levels),
            "the imagined pixels were shared among the levels; each level gets that many",
            FLOORS,
        ),
        "not normalized": Wrong(
            unnormalized,
            "the counts with the imagined pixels were divided by the number of real pixels, so "
            "the shares add up to more than 1; divide by the sum of what you count",
            FLOORS,
        ),
        "nats": Wrong(
            lambda train, test: cost(train, test) * math.log(2),
            "this is in nats; take log2, or divide by ln 2",
            BPD,
        ),
        "per image": Wrong(
            lambda train, test: cost(train, test) * test[0].numel(),
            "these are the bits of a whole image; take the mean over all pixels",
            BPD,
        ),
    }
    return Question("histogram_bits", 3, inputs, reference, wrong)
