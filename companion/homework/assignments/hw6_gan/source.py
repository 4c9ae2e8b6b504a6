# %% [markdown]
# # Homework 6: two losses and the sides of a network
#
# You write the losses of both players of a GAN from logits, for batches in which real and generated images are not
# equally frequent; smooth a label; and compute the sides of a generator's layers. At the end you train with your own losses.
#
# **Follows** the chapters {doc}`/book/gan/minimax` and {doc}`/book/gan/dcgan`. **Time** about 90 minutes. **Points** 12.
#
# *Rules.* Replace the line that raises an error in each function; leave its first line as it is. Use PyTorch's elementary functions,
# such as `F.softplus` and `F.logsigmoid`; functions of `companion` that compute what is asked refuse while your answer is checked.
# Logits $D(x)$ are real numbers, $\sigma(t) = 1/(1 + e^{-t})$ is the logistic function, $\log$ the natural logarithm.

# %%
import math

import torch
from torch import Tensor
from torch.nn import functional as F

# %% [markdown]
# ## Question 1: the discriminator's loss (3 points)
#
# For each real image your discriminator sees VARIANT.fakes generated ones, so the share of real images is
# $\pi = 1/(1 + \text{VARIANT.fakes})$. Its loss is the mean cross-entropy of what it sees,
#
# $$
# \begin{aligned}
# L_D ={}& -\pi\, \mathbb{E}_{x}\big[\log \sigma(D(x))\big] \\
# & - (1 - \pi)\, \mathbb{E}_{z}\big[\log(1 - \sigma(D(G(z))))\big] ,
# \end{aligned}
# $$
#
# compare {eq}`eq-minimax-value` and {eq}`eq-dcgan-losses`. Each expectation is the mean over the logits that you are given; how many there
# are of each kind says nothing about $\pi$.
#
# **Return** a scalar tensor, in nats. A generated image with the logit 50 must cost 50 nats, not 100 and not infinity.


# %% question=discriminator_loss
def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's loss for VARIANT.fakes generated images to each real one; logits (N,) and (M,)."""
    ### BEGIN SOLUTION
    share = 1 / (1 + VARIANT.fakes)
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
# see the {ref}`exercise on unequal shares <minimax-exercise-prior>`. The generator corrects for this: with
# $D_0 = D - \log \frac{\pi}{1 - \pi}$, it lowers the non-saturating loss {eq}`eq-minimax-ns` of the corrected logit,
#
# $$
# L_G = -\mathbb{E}_{z}\big[\log \sigma(D_0(G(z)))\big] .
# $$
#
# The logits of the real images are an argument as well, since a training step has both at hand; decide whether you need them.
#
# **Return** a scalar tensor, in nats, whose gradient reaches the logits.


# %% question=generator_loss
def generator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The non-saturating loss of the corrected logits; logits (N,) and (N,)."""
    ### BEGIN SOLUTION
    return F.softplus(-(fake_logits + math.log(VARIANT.fakes))).mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 3: one-sided label smoothing (2 points)
#
# Now real and generated images are equally frequent again, and the loss is the sum of their two means as in
# {eq}`eq-dcgan-losses`. But the label of real images is VARIANT.label in place of 1: a real image costs VARIANT.label times what the answer "real"
# costs, plus the rest, 1 - VARIANT.label, times what "fake" would. Generated images keep the label 0. See the
# {ref}`exercise on smoothing <dcgan-ex-smoothing>` for what this is good for.
#
# **Return** a scalar tensor, in nats.


# %% question=smoothed_loss
def smoothed_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's loss with the label VARIANT.label for real images; logits (N,) and (M,)."""
    ### BEGIN SOLUTION
    on_real = VARIANT.label * F.softplus(-real_logits) + (1 - VARIANT.label) * F.softplus(
        real_logits
    )
    return on_real.mean() + F.softplus(fake_logits).mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 4: the side of every layer (2 points)
#
# A generator consists of transposed convolutions, and all of its kernels are *dilated* by VARIANT.dilation: neighboring entries of a
# kernel are stamped VARIANT.dilation pixels apart, not next to each other. How does {eq}`eq-dcgan-size` change? Think of the first stamp and
# the last one, and of the pixels that one stamp covers.
#
# You get the side of the first, square input and an integer tensor `layers` of shape `(L, 4)`, a row a layer: kernel size, stride, padding, output
# padding. Each layer takes what the one before it has made.
#
# **Return** an integer tensor of shape `(L,)`, the sides after each layer. Compute them; `conv_transpose2d` refuses.


# %% question=sides
def sides(start: int, layers: Tensor) -> Tensor:
    """The sides after each of the layers (L, 4), whose kernels are dilated by VARIANT.dilation."""
    ### BEGIN SOLUTION
    found, side = [], start
    for kernel, stride, padding, output_padding in layers.tolist():
        covered = VARIANT.dilation * (kernel - 1) + 1
        side = (side - 1) * stride - 2 * padding + covered + output_padding
        found.append(side)
    return torch.tensor(found)
    ### END SOLUTION


# %% [markdown]
# ## Question 5: train with them, and explain (2 points)
#
# This cell trains a small GAN on 2,000 images with your two losses and draws what both players pay. It takes less than a minute.

# %%
from companion import plots, train
from companion.data import fashion_mnist
from companion.models import GAN
from companion.notebook import seed


class MyGAN(GAN):
    """The GAN of the book with the losses of this homework."""

    def discriminator_loss(self, images: Tensor) -> Tensor:
        real, fake = self.real_and_fake(images)
        more = [
            self.generator(self.draw_noise(len(images))).detach() for _ in range(VARIANT.fakes - 1)
        ]
        return discriminator_loss(
            self.discriminator(real), self.discriminator(torch.cat([fake, *more]))
        )

    def generator_loss(self, images: Tensor) -> Tensor:
        fake = self.discriminator(self.generator(self.draw_noise(len(images))))
        return generator_loss(torch.zeros_like(fake), fake)


rng = seed(0)
gan = MyGAN()
history = train(gan, fashion_mnist().images[:2000], epochs=10, learning_rate=1e-3, progress=False)
plots.curves(history.losses, xlabel="update", ylabel="loss (nats)", smooth=5)

# %%
plots.sheet(gan.sample(32, rng=rng))

# %% [markdown]
# In 100 to 200 words: (a) What would both losses be at the end of the game, where $p_G = p$ and the discriminator is the best one? Derive both
# numbers for your $\pi$. (b) How far are the curves from these numbers, before the first update and at the end? (c) Somebody says "the generator's loss is low, so the
# pictures are good". Why does this not follow? Name one way to a low generator loss with poor pictures.

# %% [markdown] answer
# *Your answer here.*
