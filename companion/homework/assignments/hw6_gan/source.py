# %% [markdown]
# # Homework 6: two losses and the sides of a network
#
# *Practiced:* both players' losses from logits, for real and generated images that are not equally
# frequent; label smoothing; the shapes of a generator's layers. *Read first:*
# [Two players](gan/minimax) and [A GAN with convolutions](gan/dcgan). *Time:* 60 to 120 minutes.
# *Points:* 12, of which 10 are for functions and 2 for question 5, which a person grades.
#
# $D(x)$ is a logit, any real number; $\sigma(t) = 1/(1 + e^{-t})$ is the logistic function, and
# $\log$ the natural logarithm.
#
# Write four functions. The cell below each of them checks it on random inputs, as often as you
# like, and says what is wrong. You may use what `torch` and `torch.nn.functional` have, such as
# `F.softplus`; functions of `companion` that do what a question asks for may not be called.

# %%
import math

import torch
import torch.nn.functional as F
from torch import Tensor

FAKES = VARIANT.fakes
LABEL = VARIANT.label
DILATION = VARIANT.dilation

# %% [markdown]
# ## Question 1: the discriminator's loss (3 points)
#
# For each real image the discriminator sees VARIANT.fakes generated ones, so that the share of real
# images is $\pi = 1/(1 + VARIANT.fakes)$. Its loss is the mean cross-entropy of all that it sees,
#
# $$
# L_D = -\pi\, \mathbb{E}_{x}\big[\log \sigma(D(x))\big]
# - (1 - \pi)\, \mathbb{E}_{z}\big[\log(1 - \sigma(D(G(z))))\big] ,
# $$
#
# compare [the value of the game](gan/minimax#eq-minimax-value) and
# [the losses from logits](gan/dcgan#eq-dcgan-losses). Each expectation is the mean over the logits
# that you get. How many you get of each kind says nothing about $\pi$.
#
# `real_logits` has shape `(N,)`, `fake_logits` shape `(M,)`. Return one number in nats: shape `()`.
# A generated image with the logit 50 must cost 50 nats, and not 100 or infinity.


# %% question=discriminator_loss
def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Mean cross-entropy, FAKES generated images a real one, shape ()."""
    ### BEGIN SOLUTION
    share = 1 / (1 + FAKES)
    return share * F.softplus(-real_logits).mean() + (1 - share) * F.softplus(fake_logits).mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 2: the generator's loss against it (3 points)
#
# The best discriminator of question 1 is not $\log p/p_G$ but
#
# $$
# D^*(x) = \log \frac{p(x)}{p_G(x)} + \log \frac{\pi}{1 - \pi} ,
# $$
#
# see the [exercise on a share that is not one half](gan/minimax#minimax-exercise-prior). The
# generator corrects for it: with $D_0 = D - \log \frac{\pi}{1 - \pi}$ and the same $\pi$ as before,
# it lowers the [non-saturating loss](gan/minimax#eq-minimax-ns) of the corrected logit,
#
# $$
# L_G = -\mathbb{E}_{z}\big[\log \sigma(D_0(G(z)))\big] .
# $$
#
# The logits of the real images are given as well, since a training step has both at hand; decide
# whether you need them. Both have shape `(N,)`. Return one number in nats, shape `()`, whose
# gradient reaches `fake_logits`.


# %% question=generator_loss
def generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The non-saturating loss of the corrected logits, nats, shape ()."""
    ### BEGIN SOLUTION
    return F.softplus(-(fake_logits + math.log(FAKES))).mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 3: one-sided label smoothing (2 points)
#
# Now real and generated images are equally frequent, and the loss is again the sum of two means, as
# in [the losses from logits](gan/dcgan#eq-dcgan-losses). But real images have the label
# $s = VARIANT.label$ in place of 1: each costs $s$ times what the answer "real" costs, plus $1 - s$
# times what the answer "fake" costs,
#
# $$
# -s \log \sigma(D(x)) - (1 - s) \log(1 - \sigma(D(x))) .
# $$
#
# Generated images keep the label 0. What this is good for is the subject of an
# [exercise](gan/dcgan#dcgan-ex-smoothing).
#
# `real_logits` has shape `(N,)`, `fake_logits` shape `(M,)`. Return one number in nats: shape `()`.


# %% question=smoothed_loss
def smoothed_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's loss, LABEL for real images, nats, shape ()."""
    ### BEGIN SOLUTION
    on_real = LABEL * F.softplus(-real_logits) + (1 - LABEL) * F.softplus(real_logits)
    return on_real.mean() + F.softplus(fake_logits).mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 4: the side of every layer (2 points)
#
# A generator consists of transposed convolutions whose kernels are *dilated* by VARIANT.dilation:
# neighboring entries of a kernel are stamped VARIANT.dilation pixels apart, with gaps in between.
# How does [the formula of the side](gan/dcgan#eq-dcgan-size) change? Think of where the last stamp
# starts, and of how many pixels one stamp covers from its first entry to its last.
#
# `start` is the side of the square input. `layers` is an integer tensor of shape `(L, 4)` with a
# row for each layer: kernel size, stride, padding, output padding. Each layer takes what the one
# before it has made. Return the sides after each layer, integers of shape `(L,)`. Compute them; a
# transposed convolution may not be called.


# %% question=sides
def sides(start: int, layers: Tensor) -> Tensor:
    """The sides after each layer of dilation DILATION, shape (L,)."""
    ### BEGIN SOLUTION
    found, side = [], start
    for kernel, stride, padding, output_padding in layers.tolist():
        covered = DILATION * (kernel - 1) + 1
        side = (side - 1) * stride - 2 * padding + covered + output_padding
        found.append(side)
    return torch.tensor(found)
    ### END SOLUTION


# %% [markdown]
# ## Question 5: train with them, and explain (2 points)
#
# This cell trains a small GAN on 2,000 images with your two losses, in less than a minute, and
# draws what both players pay.

# %%
from companion import plots, train
from companion.data import fashion_mnist
from companion.models import GAN


class MyGAN(GAN):
    """The GAN of the book with the losses of this homework."""

    def discriminator_loss(self, images: Tensor) -> Tensor:
        real, fake = self.real_and_fake(images)
        return discriminator_loss(*self.logits(real, fake))

    def generator_loss(self, images: Tensor) -> Tensor:
        fake_logits = self.fake_logits(len(images))
        return generator_loss(torch.zeros_like(fake_logits), fake_logits)


torch.manual_seed(0)
gan = MyGAN()
history = train(
    gan,
    fashion_mnist().images[:2000],
    epochs=20,
    learning_rate=1e-3,
    progress=False,
)
plots.curves(history.losses, xlabel="update", ylabel="loss (nats)", smooth=5)

# %%
plots.sheet(gan.sample(32))

# %% [markdown]
# Answer in 100 to 200 words:
#
# - What are both losses at the end of the game, where $p_G = p$ and the discriminator is the best
#   one? Derive both numbers for your $\pi$.
# - Where are the curves before the first update and at the end, compared with these numbers?
# - "The generator's loss is low, so the pictures are good." Why does this not follow? Describe one
#   way to a low loss of the generator with poor pictures.

# %% [markdown] answer
# *Your answer to question 5.*
