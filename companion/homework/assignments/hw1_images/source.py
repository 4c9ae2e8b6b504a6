# %% [markdown]
# # Homework 1: what an image costs
#
# *Practiced:* bits per dimension, dequantization, masses of gray levels, a clean split of the
# data. *Read first:* [Images as numbers](start/data). *Time:* about 90 minutes. *Points:* 15.
#
# All images of this homework have $L = VARIANT.levels$ gray levels, not 256, so every constant of
# the chapter has to be thought over. `bits_per_dimension` and `discretized_mixture_log_prob` of
# `companion` may not be called; everything of torch may. Each answer is checked on random inputs,
# in the cell below it, as often as you like.
# %%
import math

import torch
from torch import Tensor

from companion import data

LEVELS = VARIANT.levels


# %% [markdown]
# ## Question 1: from a density to bits (2 points)
#
# A model gives the natural logarithm of its *density* $q(v)$ at each of $N$ dequantized images
# $v$. An image has $C$ channels, $H$ rows and $W$ columns, and its values are scaled to $[0, 1)$,
# so that a gray level is $1/L$ wide, with $L = VARIANT.levels$.
#
# Return the bits per dimension of each image, shape `(N,)`. They are [defined
# here](start/data#eq-data-bpd) for the *mass* of an image; the mass that belongs to a density is
# density times width, for every value of the image. The exercise [Units of a
# density](start/data#ex-data-units) does it for 256 levels.
# %% question=bits_per_dimension
def bits_per_dimension(
    log_density: Tensor,
    channels: int,
    height: int,
    width: int,
) -> Tensor:
    """Bits per dimension of each image, shape (N,)."""
    ### BEGIN SOLUTION
    dimensions = channels * height * width
    return math.log2(LEVELS) - log_density / (dimensions * math.log(2))
    ### END SOLUTION


# %% [markdown]
# ## Question 2: dequantization (3 points)
#
# The images are bytes $x$, a tensor of `uint8` from 0 to 255, shape `(N, C, H, W)`. Reduce them to
# the $L = VARIANT.levels$ levels $k = \lfloor L x / 256 \rfloor$. Then add the noise $u$, which is
# given: uniform on $[0, 1)$, one number for each value, the same shape. Return $(k + u)/L$ as
# floats from 0 to 1. Why the noise is needed is said
# [here](start/data#eq-data-dequantization).
# %% question=dequantize
def dequantize(images: Tensor, noise: Tensor) -> Tensor:
    """Images from 0 to 1, shape (N, C, H, W)."""
    ### BEGIN SOLUTION
    level = images.long() * LEVELS // 256
    return (level + noise) / LEVELS
    ### END SOLUTION


# %% [markdown]
# ## Question 3: the mass of a gray level (4 points)
#
# Level $k$ of $L = VARIANT.levels$ lies at $x_k = k/(L - 1)$, so that 0 is black and 1 is white. A
# logistic distribution with mean $m$ and scale $s$ has the cumulative distribution function
# $\sigma((x - m)/s)$, where $\sigma(t) = 1/(1 + e^{-t})$. A level gets the mass between
# $x_k - \delta$ and $x_k + \delta$, where $\delta$ is half the distance between two levels. Level
# 0 also gets all the mass below it, and level $L - 1$ all the mass above it. (A later chapter does
# this [for 256 levels](vae/vae#eq-vae-logistic).)
#
# Return the natural logarithm of the mass for each pixel, of the shape of `level`; `log_scale` is
# $\log s$. The inputs are `float64` and not extreme, so that the difference of two sigmoids is
# precise enough. A test of your own: the masses of all levels add up to 1.
# %% question=log_mass
def log_mass(level: Tensor, mean: Tensor, log_scale: Tensor) -> Tensor:
    """Log-mass of each pixel in nats, of the shape of all three arguments."""
    ### BEGIN SOLUTION
    scale, center, half = (
        log_scale.exp(),
        level / (LEVELS - 1),
        0.5 / (LEVELS - 1),
    )
    above = torch.sigmoid((center + half - mean) / scale)
    below = torch.sigmoid((center - half - mean) / scale)
    above = torch.where(level == LEVELS - 1, torch.ones_like(above), above)
    below = torch.where(level == 0, torch.zeros_like(below), below)
    return torch.log(above - below)
    ### END SOLUTION


# %% [markdown]
# ## Question 4: a histogram, honestly scored (3 points)
#
# The simplest model of a pixel is one histogram for all of them; it is the first rung of [the
# ladder of floors](start/data#the-ladder-of-floors). Count how often each of the
# $L = VARIANT.levels$ levels occurs in the training images, all pixels taken together. Add
# VARIANT.imagined to the count of every level, so that none has mass zero. Divide by the sum:
# these are the masses. Return the mean of $-\log_2$ of the mass over all pixels of the test
# images, one number (shape `()`); these are [bits per dimension](start/data#eq-data-bpd) of a
# model of independent pixels.
#
# `train` and `test` hold levels, whole numbers of shape `(N, 1, H, W)`; the two $N$ may differ.
# %% question=histogram_bits
def histogram_bits(train: Tensor, test: Tensor) -> Tensor:
    """Bits per dimension of the test images."""
    ### BEGIN SOLUTION
    counts = train.flatten().bincount(minlength=LEVELS) + VARIANT.imagined
    return -torch.log2(counts / counts.sum())[test].mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 5: a leak (3 points, in words)
#
# The cell below scores the same $n$ test images twice: with a histogram of $2n$ training images,
# and with one of $n$ training images and the $n$ test images. Run it and answer in five to eight
# sentences.
#
# 1. Which column is the leak, and why is its number lower?
# 2. How does the difference of the columns change with $n$, and why? Is the leak harmless where
#    the difference is small?
# 3. You try ten numbers in place of the VARIANT.imagined that is added to each count, and report
#    the lowest cost on the test images. Is this a leak? What would you do instead?
# %%
train, test = (
    part.images.long() * LEVELS // 256
    for part in (data.fashion_mnist(), data.fashion_mnist("test"))
)
for n in (1, 3, 10, 100, 1000):
    honest = histogram_bits(train[: 2 * n], test[:n])
    leaked = histogram_bits(torch.cat([train[:n], test[:n]]), test[:n])
    bits = f"honest {honest:.4f}  leaked {leaked:.4f}"
    print(f"{n:5} images  {bits}  bits per dimension")

# %% [markdown] answer
# *Your answer:*
