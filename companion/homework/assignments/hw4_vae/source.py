# %% [markdown]
# # Homework 4: the variational autoencoder
#
# *Practiced:* the rate of a code, a draw that lets gradients through, the two terms of the bound,
# free bits. *Read first:* [The variational autoencoder](vae/vae) and
# [Rate against distortion](vae/beta_vae). *Time:* 60 to 120 minutes. *Points:* 12, of which 10 are
# for functions and 2 for question 5, which a person grades.
#
# In this homework the prior of the code is not the standard normal, but
# $p(z) = \mathcal{N}(m \mathbf{1}, I)$ with the mean $m = VARIANT.prior_mean$ in each dimension.
# The encoder gives $\mu$ and $\log \sigma^2$, two tensors of shape `(N, D)`, called `mu` and
# `logvar` in code, and $q(z \mid x) = \mathcal{N}(\mu, \mathrm{diag}(\sigma^2))$.
#
# Write four functions. The cell below each of them checks it on random inputs, as often as you
# like, and says what is wrong. You may use what `torch` and `torch.nn.functional` have. You may not
# call functions of `companion` or of `torch.distributions` that do what a question asks for. An
# answer may call your own earlier answers. All results must be tensors that gradients pass through.
# %%
import torch
import torch.nn.functional as F
from torch import Tensor

PRIOR_MEAN = VARIANT.prior_mean
TEMPERATURE = VARIANT.temperature
FREE_NATS = VARIANT.free_nats


# %% [markdown]
# ## Question 1: the rate (3 points)
#
# What the code of an image costs is the divergence
# $\mathrm{KL}(q(z \mid x) \,\|\, p(z))$. For the prior $\mathcal{N}(0, I)$ it stands
# [here in closed form](vae/vae#eq-vae-rate). Derive it for the prior $\mathcal{N}(m \mathbf{1}, I)$
# with $m = VARIANT.prior_mean$, and write it.
#
# Return nats, one number for each image: shape `(N,)`.
# %% question=rate
def rate(mu: Tensor, logvar: Tensor) -> Tensor:
    """The divergence of N(mu, exp(logvar)) from the prior, shape (N,)."""
    ### BEGIN SOLUTION
    return 0.5 * ((mu - PRIOR_MEAN) ** 2 + logvar.exp() - 1 - logvar).sum(dim=1)
    ### END SOLUTION


# %% [markdown]
# ## Question 2: a draw (2 points)
#
# A code is drawn as [here](vae/vae#eq-vae-reparameterization), but at the temperature
# $\tau = VARIANT.temperature$, which multiplies the standard deviation $\sigma$. The noise
# $\varepsilon \sim \mathcal{N}(0, I)$ is drawn already and given as `noise`, shape `(N, D)`; do not
# draw any yourself.
#
# Return the code $z$ of each image: shape `(N, D)`. Its mean is $\mu$, and its standard deviation
# $\tau\sigma$.
# %% question=draw
def draw(mu: Tensor, logvar: Tensor, noise: Tensor) -> Tensor:
    """Codes drawn from q at the temperature, shape (N, D)."""
    ### BEGIN SOLUTION
    return mu + TEMPERATURE * torch.exp(0.5 * logvar) * noise
    ### END SOLUTION


# %% [markdown]
# ## Question 3: the negative ELBO (3 points)
#
# The images are black and white: each pixel is 0 or 1. The decoder gives the logit $l$ of each
# pixel, so that the pixel is 1 with the probability $1/(1 + e^{-l})$, and the pixels are
# independent given the code. Write the loss that is minimized, minus
# [the bound](vae/vae#eq-vae-elbo), with the logits of one drawn code for each image. The rate is
# that of question 1, for the prior with mean $m = VARIANT.prior_mean$.
#
# `logits` and `images` have shape `(N, C, H, W)`, `mu` and `logvar` shape `(N, D)`. Sum over pixels
# and dimensions, average over the batch, and return one number in nats: shape `()`.
# `F.binary_cross_entropy_with_logits` may be called.
# %% question=negative_elbo
def negative_elbo(
    logits: Tensor,
    images: Tensor,
    mu: Tensor,
    logvar: Tensor,
) -> Tensor:
    """Distortion plus rate, nats, averaged over the batch, shape ()."""
    ### BEGIN SOLUTION
    pixels = F.binary_cross_entropy_with_logits(logits, images, reduction="none")
    return (pixels.flatten(1).sum(dim=1) + rate(mu, logvar)).mean()
    ### END SOLUTION


# %% [markdown]
# ## Question 4: free bits (2 points)
#
# In [this objective](vae/beta_vae#eq-beta-free-bits) each dimension of the code may spend
# $\lambda$ nats for nothing: it costs $\max(\lambda, R_i)$, where $R_i$ is the rate of dimension
# $i$, averaged over the batch. Here $\lambda = VARIANT.free_nats$ nats (nats, despite the name),
# the price $\beta$ is 1, and the prior has the mean $m = VARIANT.prior_mean$.
#
# Return the sum of these costs over the dimensions, without the distortion: one number in nats,
# shape `()`.
# %% question=free_bits
def free_bits(mu: Tensor, logvar: Tensor) -> Tensor:
    """The cost of the code, FREE_NATS a dimension for nothing, shape ()."""
    ### BEGIN SOLUTION
    rates = 0.5 * ((mu - PRIOR_MEAN) ** 2 + logvar.exp() - 1 - logvar)
    return rates.mean(dim=0).clamp(min=FREE_NATS).sum()
    ### END SOLUTION


# %% [markdown]
# ## Question 5: training with your loss (2 points, graded by a person)
#
# The cell below trains a small model on black-and-white images with your functions, in about twenty
# seconds. Run it, and answer in the cell after it, in three to five sentences:
#
# 1. How many nats does the rate take at the end, and how many the distortion?
# 2. The table shows the three dimensions of the lowest rate and the three of the highest: how
#    widely $\mu$ is spread over the images, and the mean $\sigma$. What would both be in a
#    dimension that the decoder does not use at all, and how near do the lowest three come?
# 3. The codes are drawn at the temperature $\tau$, but the rate is that of $q$. Why is the loss no
#    negative ELBO, and what would have to change to make it one?
# %%
from companion import Player, data, train
from companion.likelihoods import binarize


class Model(torch.nn.Module):
    """A VAE of two dense layers a side, trained with your functions."""

    def __init__(self, latent_dim: int = 32) -> None:
        super().__init__()
        self.encoder = torch.nn.Sequential(
            torch.nn.Flatten(), torch.nn.Linear(784, 200), torch.nn.SiLU()
        )
        self.heads = torch.nn.Linear(200, 2 * latent_dim)
        self.decoder = torch.nn.Sequential(
            torch.nn.Linear(latent_dim, 200),
            torch.nn.SiLU(),
            torch.nn.Linear(200, 784),
            torch.nn.Unflatten(1, (1, 28, 28)),
        )

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        mu, logvar = self.heads(self.encoder(images)).chunk(2, dim=1)
        logits = self.decoder(draw(mu, logvar, torch.randn_like(mu)))
        total, price = (
            negative_elbo(logits, images, mu, logvar),
            rate(mu, logvar).mean(),
        )
        return {"loss": total, "distortion": total - price, "rate": price}

    def players(self) -> list[Player]:
        return [Player("loss", self, self.loss, learning_rate=2e-3)]


# %%
torch.manual_seed(0)
images, _ = data.fashion_mnist()
binary = binarize(data.to_float(images))
model = Model()
history = train(model, binary, epochs=5, progress=False)
history.plot()

with torch.no_grad():
    mu, logvar = model.heads(model.encoder(binary)).chunk(2, dim=1)
pairs = zip(mu.split(1, dim=1), logvar.split(1, dim=1), strict=True)
rates = torch.stack([rate(*pair).mean() for pair in pairs])
print("dimension   rate  spread of mu  mean sigma")
order = rates.argsort().tolist()
for i in order[:3] + order[-3:]:
    spread, sigma = mu[:, i].std(), (logvar[:, i] / 2).exp().mean()
    print(f"{i:9}  {rates[i]:5.2f}  {spread:12.2f}  {sigma:10.2f}")

# %% [markdown] answer
# *Your answer to question 5.*
