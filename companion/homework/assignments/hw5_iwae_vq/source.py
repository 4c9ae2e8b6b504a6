# %% [markdown]
# # Homework 5: many guesses, and a choice without a slope
#
# *Practiced:* the importance-weighted bound in logarithms, the effective sample size, the
# straight-through estimator, the loss of a codebook. *Read first:* [A tighter bound](vae/iwae) and
# [Discrete codes](vae/vq_vae). *Time:* about 100 minutes. *Points:* 17.
#
# `importance_bound` and `effective_sample_size` of `companion` and its `VectorQuantizer` may not
# be called; everything of torch may. Tensors are `float32` unless you change them. Each answer is
# checked on random inputs, in the cell below it, as often as you like.
# %%
import math

import torch
from matplotlib import pyplot as plt
from torch import Tensor
from torch.distributions import Normal


# %% [markdown]
# ## Question 1: the bound of many guesses (3 points)
#
# For each of $N$ images, $k$ codes $z_j$ of length $\ell$ were drawn from the encoder's
# $q = \mathcal{N}(\mu, \mathrm{diag}(\sigma^2))$. You get $\log p(x \mid z_j)$ as
# `log_likelihood`, shape `(N, k)`, the codes `z`, shape `(N, k, l)`, and `mu` and `logvar`
# ($\log \sigma^2$), shape `(N, l)`. The prior is not the book's: it is $p(z) = \mathcal{N}(m, I)$
# with $m = VARIANT.prior_mean$ in every dimension.
#
# Return $\log \frac1k \sum_j w_j$, [the bound](vae/iwae#eq-iwae-bound) from this one set of draws,
# in nats, shape `(N,)`, with [the weights](vae/iwae#eq-iwae-weight)
# $w_j = p(x \mid z_j)\, p(z_j)/q(z_j)$. They are as small as $e^{-240}$.
# %% question=importance_bound
def importance_bound(
    log_likelihood: Tensor,
    z: Tensor,
    mu: Tensor,
    logvar: Tensor,
) -> Tensor:
    """The logarithm of the mean weight of each image, shape (N,)."""
    ### BEGIN SOLUTION
    prior = Normal(torch.tensor(VARIANT.prior_mean), 1.0)
    q = Normal(mu[:, None], torch.exp(logvar[:, None] / 2))
    log_weights = log_likelihood + (prior.log_prob(z) - q.log_prob(z)).sum(2)
    return torch.logsumexp(log_weights, dim=1) - math.log(z.shape[1])
    ### END SOLUTION


# %% [markdown]
# ## Question 2: what the guesses are worth (3 points)
#
# A few enormous weights can outweigh all others. One remedy is to cut the weights of an image at a
# multiple of their mean: $v_j = \min(w_j,\, c\, \bar w)$ with $\bar w = \frac1k \sum_j w_j$ (the
# mean before anything is cut) and $c = VARIANT.cap$. Return the [effective sample
# size](vae/iwae#eq-iwae-ess) of what is left, $(\sum_j v_j)^2 / \sum_j v_j^2$, for each image,
# shape `(N,)`. You get $\log w_j$, shape `(N, k)`, around $-240$. The result does not change if
# all weights of an image are multiplied by one number.
# %% question=effective_sample_size
def effective_sample_size(log_weights: Tensor) -> Tensor:
    """What the capped weights of each image are worth, shape (N,)."""
    ### BEGIN SOLUTION
    shares = torch.softmax(log_weights, dim=1)
    capped = shares.clamp(max=VARIANT.cap / log_weights.shape[1])
    return capped.sum(1) ** 2 / capped.square().sum(1)
    ### END SOLUTION


# %% [markdown]
# ## Question 3: straight through, in part (4 points)
#
# `vectors` holds $P$ vectors of length $m$ for each of $N$ images, shape `(N, P, m)`, and
# `codebook` the $J$ entries, shape `(J, m)`. Replace each vector by [the nearest
# entry](vae/vq_vae#eq-vq-nearest) and return the entries, shape `(N, P, m)`.
#
# The gradient is to pass [straight through](vae/vq_vae#eq-vq-straight), but only a share of it:
#
# $$
# \nabla_{\mathrm{vectors}} L := VARIANT.share\, \nabla_{\mathrm{entries}} L .
# $$
#
# None of it reaches the codebook, and the value that is returned is exactly the entry. The
# stop-gradient of torch is `.detach()`. The check compares values and both gradients.
# %% question=straight_through
def straight_through(vectors: Tensor, codebook: Tensor) -> Tensor:
    """The nearest entries, shape (N, P, m)."""
    ### BEGIN SOLUTION
    distances = (vectors[:, :, None] - codebook).square().sum(3)  # (N, P, J)
    entries = codebook[distances.argmin(2)]
    passed = VARIANT.share * vectors
    return passed + (entries - passed).detach()
    ### END SOLUTION


# %% [markdown]
# ## Question 4: two terms of one value (4 points)
#
# Return the last two terms of [the loss](vae/vq_vae#eq-vq-loss), with
# $\lambda = VARIANT.commitment$:
#
# $$
# \lVert \mathrm{sg}(z) - e \rVert^2 + \lambda\, \lVert z - \mathrm{sg}(e) \rVert^2 ,
# $$
#
# the squares summed over the numbers and places of an image and averaged over the $N$ images: one
# number, shape `()`. `vectors` ($z$) and `entries` ($e$) both have shape `(N, P, m)`; the entries
# are already looked up. The check compares the value and the gradients in both.
# %% question=codebook_loss
def codebook_loss(vectors: Tensor, entries: Tensor) -> Tensor:
    """The codebook and the commitment term, shape ()."""
    ### BEGIN SOLUTION
    codebook = (vectors.detach() - entries).square().sum((1, 2))
    commitment = (vectors - entries.detach()).square().sum((1, 2))
    return (codebook + VARIANT.commitment * commitment).mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 5: too narrow, too wide (3 points, in words)
#
# Take a posterior $\mathcal{N}(0, 1)$ and a guess $q = \mathcal{N}(0, t)$ of another variance. The
# cell below draws $k = 1000$ codes for each $t$ and shows your effective sample size, divided by
# $k$, beside [the formula](vae/iwae#eq-iwae-r) for $1/R$, which holds for infinitely many draws
# without a cap. Run it and answer in five to eight sentences.
#
# 1. Which is worse, a guess that is too narrow or one that is too wide, and why?
# 2. Below $t = 1/2$ the formula says 0, the draws do not. Which of the two would you trust, and
#    what did the draws not contain?
# 3. What does the cap do to the effective sample size, and what does it do to the mean of the
#    weights, which was an unbiased estimate of $p(x)$?
# %%
k, variances = 1000, torch.logspace(-1, 1, 41)
rng = torch.Generator().manual_seed(0)
noise = torch.randn(len(variances), k, generator=rng)
z = variances.sqrt()[:, None] * noise
q = Normal(0.0, variances.sqrt()[:, None])
log_weights = Normal(0.0, 1.0).log_prob(z) - q.log_prob(z)
formula = (2 * variances - 1).clamp(min=0).sqrt() / variances

plt.figure(figsize=(5, 3), layout="constrained")
plt.semilogx(
    variances,
    effective_sample_size(log_weights) / k,
    "o",
    label="drawn, with the cap",
)
plt.semilogx(variances, formula, label="formula, without it")
plt.xlabel("variance t of the guess")
plt.ylabel("effective sample size / k")
plt.legend()
plt.show()

# %% [markdown] answer
# *Your answer:*
