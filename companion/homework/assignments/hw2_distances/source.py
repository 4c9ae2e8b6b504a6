# %% [markdown]
# # Homework 2: three distances on a grid
#
# *Practiced:* the Kullback-Leibler divergence and its direction, the Jensen-Shannon divergence,
# the Wasserstein distance. *Read first:* [How far apart are two distributions?](start/distances).
# *Time:* about 75 minutes. *Points:* 13.
#
# Densities are given on a grid: `x` has shape `(K,)` and a constant step $h$; `p` and `q` have
# shape `(N, K)`, one density a row, all positive, and $h \sum_i p_i = 1$ in each row. An integral
# is $h$ times the sum over the grid. Return one number for each row, shape `(N,)`; divergences in
# nats.
#
# `kl_divergence`, `js_divergence` and `wasserstein_distance` of `companion` and torch's `kl_div`
# may not be called; everything else of torch may. Each answer is checked on random inputs, in the
# cell below it, as often as you like.
# %%
import torch
from matplotlib import pyplot as plt
from torch import Tensor


# %% [markdown]
# ## Question 1: a guarded divergence (3 points)
#
# Where the model $q$ says "never" and the data $p$ occur all the same, $\mathrm{KL}(p\,\|\,q)$ is
# infinite. A cautious model gives a share $\alpha = VARIANT.guard$ of its mass to the uniform
# density $r$ on the grid, the same number at each of the $K$ points with $h \sum_i r_i = 1$:
#
# $$
# \tilde q = (1 - \alpha)\, q + \alpha\, r .
# $$
#
# Return $\mathrm{KL}(p\,\|\,\tilde q)$, [defined here](start/distances#eq-distances-kl), for each
# row.
# %% question=kl_divergence
def kl_divergence(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """KL(p || guarded q) in nats, shape (N,)."""
    ### BEGIN SOLUTION
    h = x[1] - x[0]
    guarded = (1 - VARIANT.guard) * q + VARIANT.guard / (len(x) * h)
    return (p * (p.log() - guarded.log())).sum(1) * h
    ### END SOLUTION


# %% [markdown]
# ## Question 2: real ones are rare (3 points)
#
# The [Jensen-Shannon divergence](start/distances#eq-distances-js) of the chapter weighs $p$ and
# $q$ alike. If a discriminator sees a share $\pi = VARIANT.weight$ of real images, drawn from $p$,
# and a share $1 - \pi$ of generated ones, drawn from $q$, then the loss of the best discriminator
# is the entropy of the shares less
#
# $$
# \begin{gathered}
# \mathrm{JSD}_\pi = \pi\, \mathrm{KL}(p\,\|\,m)
# \\ {} + (1 - \pi)\, \mathrm{KL}(q\,\|\,m) ,
# \\ m = \pi p + (1 - \pi)\, q .
# \end{gathered}
# $$
#
# Return it for each row. There is no guard in this question.
# %% question=js_divergence
def js_divergence(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """The Jensen-Shannon divergence, p of weight pi, in nats, shape (N,)."""
    ### BEGIN SOLUTION
    h, weight = x[1] - x[0], VARIANT.weight
    m = weight * p + (1 - weight) * q
    pointwise = weight * p * (p / m).log() + (1 - weight) * q * (q / m).log()
    return pointwise.sum(1) * h
    ### END SOLUTION


# %% [markdown]
# ## Question 3: uphill costs more (4 points)
#
# $p$ is a heap of earth and $q$ a hole of the same size, as in the chapter. But the ground rises to
# the right: carrying one unit of mass by one unit of length costs VARIANT.uphill to the right and 1
# to the left. On the line it is still best that no two grains cross. With the cumulative
# distributions $F$ of $p$ and $G$ of $q$, just $F(x) - G(x)$ must then pass $x$ to the right where
# that is positive, and $G(x) - F(x)$ to the left where that is. So the second integral of [the
# Wasserstein distance](start/distances#eq-distances-wasserstein) becomes
#
# $$
# \begin{gathered}
# VARIANT.uphill \int \max(F - G, 0)\, dx
# \\ {} + \int \max(G - F, 0)\, dx .
# \end{gathered}
# $$
#
# Return this least cost for each row. $F(x_i)$ is $h$ times the sum of $p$ up to and including
# $i$.
# %% question=transport_work
def transport_work(p: Tensor, q: Tensor, x: Tensor) -> Tensor:
    """The least cost of carrying p to q, shape (N,)."""
    ### BEGIN SOLUTION
    h = x[1] - x[0]
    ahead = (p - q).cumsum(1) * h
    return (VARIANT.uphill * ahead.clamp(min=0) + (-ahead).clamp(min=0)).sum(1) * h
    ### END SOLUTION


# %% [markdown]
# ## Question 4: which one shows the way? (3 points, in words)
#
# The cell below moves a narrow bell $q$ away from an equally narrow bell $p$ at 0 and draws your
# three functions of the distance $\theta$. Run it and answer in five to eight sentences.
#
# 1. Around $\theta = 3$ the two bells do not meet. Which of the three curves has a slope there,
#    and what does it mean for a generator that is trained by following the slope?
# 2. The chapter says that $\mathrm{KL}(p\,\|\,q)$ of two such bells is $\theta^2/2\sigma^2$. Why
#    does your curve stop rising? At about which height, and what would a smaller $\alpha$ change?
# 3. Why is your third curve not symmetric in $\theta$?
# %%
x = torch.linspace(-6, 6, 1201, dtype=torch.float64)
shifts = torch.linspace(-4, 4, 161, dtype=torch.float64)
bells = torch.exp(-((x - shifts[:, None]) ** 2) / (2 * 0.2**2)) + 1e-300
q = bells / bells.sum(1, keepdim=True) / (x[1] - x[0])
p = q[len(q) // 2].expand_as(q)

figure, axes = plt.subplots(1, 3, figsize=(9, 2.5), layout="constrained")
distances = kl_divergence, js_divergence, transport_work
for ax, distance in zip(axes, distances, strict=True):
    ax.plot(shifts, distance(p, q, x))
    ax.set(title=distance.__name__, xlabel="shift of q")
plt.show()

# %% [markdown] answer
# *Your answer:*
