# %% [markdown]
# # Homework 7: a critic of known slope
#
# *Practiced:* the hinge loss, the gradient penalty and spectral norm, three ways to keep a game
# fair. *Read first:* [Keeping the game fair](gan/stability). *Time:* 60 to 120 minutes. *Points:*
# 12, of which 10 are for functions and 2 for question 5, which a person grades.
#
# Write four functions. The cell below each of them checks it on random inputs, as often as you
# like, and says what is wrong. You may use what `torch` and `torch.nn.functional` have, but no
# function of `companion` or `torch` that does what a question asks for.

# %%
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MARGIN = VARIANT.margin
DRAWS = VARIANT.draws
SLOPE = VARIANT.slope
BOUND = VARIANT.bound

# %% [markdown]
# ## Question 1: the hinge loss with a margin (2 points)
#
# In [the book's hinge loss](gan/stability#eq-stability-losses) an image is left alone once it is on
# the right side of the margin 1. Here the margin is $m = VARIANT.margin$: real images shall be
# above $m$, generated ones below $-m$. Write the discriminator's loss,
#
# $$
# L_D = \mathbb{E}_{x}\big[\max(0, m - D(x))\big]
# + \mathbb{E}_{z}\big[\max(0, m + D(G(z)))\big] .
# $$
#
# `real_logits` has shape `(N,)`, `fake_logits` shape `(M,)`. Return one number: shape `()`. Its
# gradient must reach both.


# %% question=hinge_loss
def hinge_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The discriminator's hinge loss with the margin MARGIN, shape ()."""
    ### BEGIN SOLUTION
    return F.relu(MARGIN - real_logits).mean() + F.relu(MARGIN + fake_logits).mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 2: points between (2 points)
#
# [The gradient penalty](gan/stability#eq-stability-gp) looks at the critic's slope between real and
# generated images, at $\hat x = \epsilon\, x + (1 - \epsilon)\, G(z)$. Draw VARIANT.draws such
# points for every pair of a real and a generated image, so that the estimate is less noisy. Each
# image in each draw has an $\epsilon$ of its own, uniform on $[0, 1]$, which all of its pixels
# share.
#
# `real` and `fake` have shape `(N, C, H, W)`. Return the points, shape
# `(VARIANT.draws, N, C, H, W)`. Draw with `torch.rand`.


# %% question=points_between
def points_between(real: Tensor, fake: Tensor) -> Tensor:
    """Random points between the pairs, shape (DRAWS, N, C, H, W)."""
    ### BEGIN SOLUTION
    epsilon = torch.rand(DRAWS, len(real), 1, 1, 1)
    return epsilon * real + (1 - epsilon) * fake
    ### END SOLUTION


# %% [markdown]
# ## Question 3: the gradient penalty (3 points)
#
# Now the $\epsilon$ are given, one for each pair: `epsilon` has shape `(N,)`. The critic shall have
# the slope $K = VARIANT.slope$ at the points $\hat x_n = \epsilon_n x_n + (1 - \epsilon_n) G(z_n)$,
#
# $$
# \text{penalty} = \frac{1}{N} \sum_{n=1}^{N}
# \big(\lVert \nabla_{\hat x} D(\hat x_n) \rVert_2 - K\big)^2 ,
# $$
#
# where the norm is over all pixels of one image.
# (The [book's penalty](gan/stability#eq-stability-gp)
# has $K = 1$.)
#
# `critic` is a function from images `(N, C, H, W)` to scores `(N,)` that judges each image by
# itself; `real` and `fake` have shape `(N, C, H, W)`. Return one number, shape `()`, with a
# gradient
# in the critic's weights.


# %% question=gradient_penalty
def gradient_penalty(
    critic: Callable[[Tensor], Tensor],
    real: Tensor,
    fake: Tensor,
    epsilon: Tensor,
) -> Tensor:
    """Mean squared difference of the critic's slope from SLOPE, shape ()."""
    ### BEGIN SOLUTION
    weight = epsilon.view(-1, 1, 1, 1)
    points = (weight * real + (1 - weight) * fake).detach().requires_grad_()
    (gradients,) = torch.autograd.grad(critic(points).sum(), points, create_graph=True)
    return (gradients.flatten(1).norm(dim=1) - SLOPE).square().mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 4: spectral norm (3 points)
#
# A layer with the weight matrix $W$ stretches no vector by more than the largest singular value
# $\sigma(W)$. Rescale it so that this becomes $c = VARIANT.bound$: $\bar W = c\, W / \sigma(W)$.
# Estimate $\sigma(W)$ by *two* steps of the [power iteration](gan/stability#eq-stability-power),
# each of which computes first $v$, then $u$, both of length 1; then $\sigma(W) \approx u^\top W v$
# with the last $u$ and $v$.
#
# `weight` is that of a convolution, shape `(out, in, k, k)`; as a matrix $W$ it has the shape
# `(out, in * k * k)`. `u`, of shape `(out,)` and length 1, is where the iteration starts. Return
# two
# tensors: the rescaled weight in the shape of `weight`, and the new `u`. No singular value
# decomposition and no function for norms of matrices may be called.


# %% question=normalized
def normalized(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """The weight scaled to the spectral norm BOUND, and the new u."""
    ### BEGIN SOLUTION
    W = weight.flatten(1)
    for _ in range(2):
        v = F.normalize(W.T @ u, dim=0)
        u = F.normalize(W @ v, dim=0)
    return BOUND * weight / (u @ W @ v), u
    ### END SOLUTION


# %% [markdown]
# ## Question 5: a distance on the line, and explain (2 points)
#
# Real points lie around 0.3 and generated ones around 0.7, and nobody moves but the critic: once
# with
# your hinge loss alone, once with the [Wasserstein loss](gan/stability#eq-stability-losses) and
# your
# penalty. (It sets in after 100 steps, when the critic leans the right way.) The cell takes
# seconds.

# %%
from companion import plots

N, WEIGHT = 64, 5.0


def trained_critic(penalized: bool) -> nn.Module:
    """A critic of points (N, 1, 1, 1) after 600 steps."""
    torch.manual_seed(0)
    hidden = nn.Linear(1, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh()
    last = nn.Linear(64, 1)
    critic = nn.Sequential(nn.Flatten(), *hidden, last, nn.Flatten(0))
    optimizer = torch.optim.Adam(critic.parameters(), lr=3e-3)
    for step in range(600):
        real, fake = (
            0.3 + 0.02 * torch.randn(N, 1, 1, 1),
            0.7 + 0.02 * torch.randn(N, 1, 1, 1),
        )
        if penalized:
            loss = critic(fake).mean() - critic(real).mean()
            if step >= 100:
                epsilon = torch.rand(N)
                penalty = gradient_penalty(critic, real, fake, epsilon)
                loss = loss + WEIGHT * penalty
        else:
            loss = hinge_loss(critic(real), critic(fake))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return critic


places = torch.linspace(0, 1, 201)
lines = {}
for name, penalized in (
    ("hinge, free slope", False),
    ("Wasserstein, penalty", True),
):
    critic = trained_critic(penalized)
    with torch.no_grad():
        scores = critic(places.view(-1, 1, 1, 1))
    lines[name] = scores
    step = places[102] - places[98]
    slope = ((scores[102] - scores[98]) / step).item()  # at 0.5
    difference = (scores[60] - scores[140]).item()  # at 0.3 and at 0.7
    print(f"{name}: slope at 0.5 {slope:.2f}")
    print(f"    difference from 0.3 to 0.7 {difference:.3f}")
plots.curves(
    lines,
    x=places,
    xlabel="place",
    ylabel="score",
    panels=True,
    height=2.0,
)

# %% [markdown]
# Answer in 100 to 200 words:
#
# - The heaps are 0.4 apart. Which number does the second critic's difference estimate, for your
#   $K = VARIANT.slope$, and how large is the error? How much of it does the
#   [exercise on the slope](gan/stability#stability-exercise-slope) explain?
# - What is the slope of each critic at 0.5, half of the way, and why is that of the second not $K$
#   at 0 and at 1? What would a generator that has come to 0.5 learn from each?
# - Why does the penalty look at points *between* real and generated images, and why would batch
#   norm
#   in the critic be a mistake?

# %% [markdown] answer
# *Your answer to question 5.*
