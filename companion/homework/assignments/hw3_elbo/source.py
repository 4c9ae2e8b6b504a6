# %% [markdown]
# # Homework 3: a bound, its gap, and two ways to its gradient
#
# *Practiced:* the evidence lower bound by quadrature, the divergence that it leaves out, the
# score-function and the pathwise estimator of a gradient. *Read first:* [A bound on the
# evidence](vae/elbo). *Time:* about 100 minutes. *Points:* 15.
#
# The model has one hidden number and gives one number, seen with a noise of width
# $s = VARIANT.noise$; the decoder bends the code by $b = VARIANT.bend$:
#
# $$
# z \sim \mathcal{N}(0, 1), \qquad x \mid z \sim \mathcal{N}\big(\sin(bz),\, s^2\big)
# $$
#
# The guess for each $x$ is $q = \mathcal{N}(\mu, \sigma^2)$; as an encoder would, we give it by
# `mu` and `logvar`, that is $\log \sigma^2$. All logarithms are natural, all tensors `float64`.
#
# `companion` has no function for this model; its `gaussian_kl`, a part of question 1, may not be
# called. Everything of torch may, `torch.distributions` and `torch.autograd` included. Each answer
# is checked on random inputs, in the cell below it, as often as you like.
# %%
import math

import torch
from torch import Tensor
from torch.distributions import Normal

BEND, NOISE = VARIANT.bend, VARIANT.noise


# %% [markdown]
# ## Question 1: the bound (3 points)
#
# Return $\mathrm{ELBO}(x; q) = \mathbb{E}_q[\log p(x, z) - \log q(z)]$, [the
# bound](vae/elbo#eq-elbo-jensen), in nats, for each of $N$ points; `x`, `mu` and `logvar` have
# shape `(N,)`, and so has the result. Do not draw: `z` is a grid of shape `(G,)` with a constant
# step $h$, wide and fine enough for all inputs, and an integral is $h$ times the sum over the
# grid. (The rate has [a closed form](vae/elbo#eq-elbo-rate), which you may use.)
# %% question=elbo
def elbo(x: Tensor, mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
    """The bound of each point in nats, shape (N,)."""
    ### BEGIN SOLUTION
    q = Normal(mu[:, None], torch.exp(logvar[:, None] / 2))
    likelihood = Normal(torch.sin(BEND * z), NOISE).log_prob(x[:, None])  # (N, G)
    prior = -0.5 * (z**2 + math.log(2 * math.pi))
    log_weight = likelihood + prior - q.log_prob(z)
    return (q.log_prob(z).exp() * log_weight).sum(1) * (z[1] - z[0])
    ### END SOLUTION


# %% [markdown]
# ## Question 2: the gap (3 points)
#
# Return what the bound leaves out, $\mathrm{KL}\big(q\,\|\,p(z \mid x)\big)$ in [the
# identity](vae/elbo#eq-elbo-identity), in nats, shape `(N,)`. The posterior follows from [Bayes'
# rule](vae/elbo#eq-elbo-evidence), with $p(x)$ as an integral over the grid `z`. Inputs as in
# question 1. A test of your own: the gap and your bound add up to $\log p(x)$, whatever $q$ is.
# %% question=gap
def gap(x: Tensor, mu: Tensor, logvar: Tensor, z: Tensor) -> Tensor:
    """The divergence from the guess to the posterior, in nats, shape (N,)."""
    ### BEGIN SOLUTION
    h = z[1] - z[0]
    log_q = Normal(mu[:, None], torch.exp(logvar[:, None] / 2)).log_prob(z)
    joint = Normal(torch.sin(BEND * z), NOISE).log_prob(x[:, None])
    joint = joint - 0.5 * z**2  # the prior's constant cancels in the posterior
    posterior = joint - torch.logsumexp(joint, dim=1, keepdim=True) - torch.log(h)
    return (log_q.exp() * (log_q - posterior)).sum(1) * h
    ### END SOLUTION


# %% [markdown]
# ## Question 3: the score function (3 points)
#
# Let $f(z) = \log p(x \mid z)$ and $z = \mu + \sigma\varepsilon$. Return the score-function
# estimate of the derivative of $\mathbb{E}_q[f(z)]$ with respect to `logvar`, for each single
# draw,
#
# $$
# \big(f(z) - c\big)\, \frac{\partial \log q(z)}{\partial \log \sigma^2} , \qquad
# c = VARIANT.baseline ,
# $$
#
# where $z$ is held fixed while $\log q(z)$ is differentiated: [the first of the two
# ways](vae/elbo#eq-elbo-score) without its expectation, with the baseline $c$. `x`, `mu` and
# `logvar` have shape `(N,)`, the standard normal noise $\varepsilon$ has shape `(K, N)`, and the
# result has shape `(K, N)`.
# %% question=score_gradient
def score_gradient(
    x: Tensor,
    mu: Tensor,
    logvar: Tensor,
    noise: Tensor,
) -> Tensor:
    """An estimate of the derivative in logvar for each draw, shape (K, N)."""
    ### BEGIN SOLUTION
    z = mu + torch.exp(logvar / 2) * noise
    f = Normal(torch.sin(BEND * z), NOISE).log_prob(x)
    return (f - VARIANT.baseline) * (noise**2 - 1) / 2
    ### END SOLUTION


# %% [markdown]
# ## Question 4: through the draw (3 points)
#
# Return [the pathwise estimate](vae/elbo#eq-elbo-pathwise) of the same derivative for each single
# draw, $f'(z)\, \partial z / \partial \log \sigma^2$. Inputs and shape as in question 3. By hand
# or by autograd, as you like; the slope of $f$ has the inner derivative of $\sin(bz)$.
# %% question=pathwise_gradient
def pathwise_gradient(
    x: Tensor,
    mu: Tensor,
    logvar: Tensor,
    noise: Tensor,
) -> Tensor:
    """An estimate of the derivative in logvar for each draw, shape (K, N)."""
    ### BEGIN SOLUTION
    sigma = torch.exp(logvar / 2)
    z = mu + sigma * noise
    slope = (x - torch.sin(BEND * z)) / NOISE**2 * BEND * torch.cos(BEND * z)
    return slope * sigma * noise / 2
    ### END SOLUTION


# %% [markdown]
# ## Question 5: two estimators, one gradient (3 points, in words)
#
# The cell below draws both estimators 200,000 times, for a narrow and for a wide guess, and prints
# their means and standard deviations. Run it and answer in five to eight sentences.
#
# 1. Do the means agree within what so many draws allow? (The standard error of a mean is the
#    standard deviation divided by $\sqrt{200000}$.) Why must they?
# 2. Which estimator is noisier for the narrow guess, and why? Where does each one look for
#    information about $f$?
# 3. When would you have to use the noisier one all the same? Give an example from this book or
#    from elsewhere.
# %%
rng = torch.Generator().manual_seed(0)
noise = torch.randn(200_000, 1, dtype=torch.float64, generator=rng)
x, mu = torch.tensor([[0.6], [0.3]], dtype=torch.float64)
for sigma in (0.05, 0.5):
    logvar = torch.tensor([2 * math.log(sigma)], dtype=torch.float64)
    score = score_gradient(x, mu, logvar, noise)
    pathwise = pathwise_gradient(x, mu, logvar, noise)
    for name, draws in (("score function", score), ("pathwise", pathwise)):
        moments = f"mean {draws.mean():7.4f}  std {draws.std():6.4f}"
        print(f"sigma {sigma:4}  {name:14}  {moments}")

# %% [markdown] answer
# *Your answer:*
