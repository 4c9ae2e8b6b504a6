r"""The importance-weighted autoencoder: the bound of a VAE, made tighter by more samples.

.. math::

    \mathcal{L}_k(x) = \mathbb{E}_{z_1, \ldots, z_k \sim q_\phi(z|x)}\!\left[
        \log \frac{1}{k} \sum_{j=1}^{k} w_j \right], \qquad
    w_j = \frac{p_\theta(x|z_j)\, p(z_j)}{q_\phi(z_j|x)},

with :math:`\mathcal{L}_1` the evidence lower bound and
:math:`\mathcal{L}_1 \le \mathcal{L}_2 \le \ldots \le \log p_\theta(x)`.

Source: Burda, Grosse and Salakhutdinov (2016), *Importance Weighted Autoencoders*, eq. 8.
"""

import math

import torch
from torch import Tensor, nn

from companion import checks
from companion.game import Player
from companion.layers import evaluating, model_input, standard_normal
from companion.likelihoods import bernoulli_log_prob, binarize, check_binary

CHUNK = 2**21  # pixels that are decoded at once when a likelihood is estimated: 8 MB a tensor


def importance_bound(log_weights: Tensor) -> Tensor:
    r"""The logarithm of the mean weight, :math:`\log \frac1k \sum_j w_j`, in nats per image.

    Args:
        log_weights: :math:`\log w_j`, shape ``(k, N)``.

    Returns:
        Shape ``(N,)``. Its expectation is a lower bound on :math:`\log p(x)` that rises with k.

    Source: Burda et al. (2016), eq. 8 and theorem 1.
    """
    return torch.logsumexp(log_weights, dim=0) - math.log(len(log_weights))


def effective_sample_size(log_weights: Tensor) -> Tensor:
    r"""How many equally weighted samples the weighted ones are worth.

    .. math:: \mathrm{ESS} = \frac{(\sum_j w_j)^2}{\sum_j w_j^2} \in [1, k]

    Args:
        log_weights: :math:`\log w_j`, shape ``(k, N)``.

    Returns:
        Shape ``(N,)``; ``k`` if all weights are equal, 1 if one of them is all that counts.

    Source: Kong (1992), in the form of Owen (2013), *Monte Carlo theory*, eq. 9.13.
    """
    return torch.exp(2 * torch.logsumexp(log_weights, 0) - torch.logsumexp(2 * log_weights, 0))


class IWAE(nn.Module):
    r"""A small fully connected autoencoder of black-and-white images, trained with k samples.

    With ``k=1`` it is a VAE. Encoder and decoder have one hidden layer each (784-400-20 for
    Fashion-MNIST); the decoder gives each pixel the logit of a Bernoulli distribution.

    Args:
        k: samples of the code per image in the loss.
        latent_dim: dimensions of :math:`z`.
        hidden_size: units of the hidden layers.
        image_shape: ``(C, H, W)``.

    Attributes:
        encoder: images ``(N, C, H, W)`` in [0, 1] to ``(N, 2 * latent_dim)``, the means and then
            the log-variances; may be exchanged for your own.
        decoder: codes ``(N, latent_dim)`` to the logits of the pixels, ``(N, C, H, W)``; may be
            exchanged, too.
        k: samples of the code per image in the loss.
        latent_dim: dimensions of :math:`z`.
        image_shape: ``(C, H, W)``.

    Raises:
        TypeError, ValueError: if ``k`` or a size is no positive whole number.

    Source: Burda et al. (2016); the network is that of Kingma and Welling (2013), appendix C,
    with rectifiers.
    """

    binary = True  # a likelihood of black-and-white pixels: in nats, not in bits per dimension

    tasks = ("likelihood", "images")

    def __init__(
        self,
        k: int = 50,
        latent_dim: int = 20,
        hidden_size: int = 400,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.k = checks.integer("k", k, remedy="give the number of samples per image")
        self.latent_dim = checks.integer("latent_dim", latent_dim, remedy="use 20, say")
        self.image_shape = checks.image_shape(image_shape)
        checks.integer("hidden_size", hidden_size, remedy="use 400, say")
        pixels = math.prod(self.image_shape)
        self.encoder = nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, pixels),
            nn.Unflatten(1, self.image_shape),
        )

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each ``(N, latent_dim)``, of images in [0, 1].

        Raises:
            TypeError, ValueError: if the images are not floats in [0, 1] of the model's shape.
        """
        mu, logvar = self.encoder(model_input(self, images, self.image_shape)).chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Logits of the pixels, ``(N, C, H, W)``, of codes ``(N, latent_dim)``.

        Raises:
            ValueError: if the codes do not have that shape.
        """
        checks.codes(z, self.latent_dim)
        return self.decoder(z)

    def log_weights(self, images: Tensor, k: int) -> Tensor:
        r"""Draw k codes an image from q and weigh them: :math:`\log w_j`, nats, ``(k, N)``.

        .. math:: \log w = \log p(x|z) + \log p(z) - \log q(z|x)

        With :math:`z = \mu + \sigma\epsilon` the last two are
        :math:`\tfrac12 \sum_i (\epsilon_i^2 + \log\sigma_i^2 - z_i^2)`.

        Raises:
            TypeError, ValueError: if the images are not black and white, 0 or 1, of the model's
                shape; draw such ones with :func:`~companion.likelihoods.binarize`.
        """
        mu, logvar = self.encode(images)
        check_binary(images)
        epsilon = torch.randn(k, *mu.shape, device=mu.device, dtype=mu.dtype)
        z = mu + torch.exp(0.5 * logvar) * epsilon  # (k, N, latent_dim)
        log_prior_over_q = 0.5 * (epsilon**2 + logvar - z**2).sum(dim=2)
        logits = self.decode(z.flatten(0, 1)).unflatten(0, (k, -1))  # (k, N, C, H, W)
        return bernoulli_log_prob(logits, images).sum(dim=(2, 3, 4)) + log_prior_over_q

    def loss(self, images: Tensor) -> Tensor:
        """The negative bound with k samples, of images that are binarized anew: nats per image."""
        return -importance_bound(self.log_weights(binarize(images), self.k)).mean()

    def players(self) -> list[Player]:
        """One player moves encoder and decoder together."""
        return [Player("negative bound", self, self.loss, learning_rate=2e-3)]

    def log_prob_bound(self, images: Tensor, k: int | None = None) -> Tensor:
        r"""An estimate of :math:`\mathcal{L}_k`, nats, shape ``(N,)``, no gradient.

        As ``k`` grows it approaches :math:`\log p(x)` from below. The codes are drawn and decoded
        in chunks of which only the sum of the weights is kept, so that any ``k`` fits the memory.

        Args:
            images: black and white, 0 or 1.
            k: samples per image; the model's own number if it is not given.

        Raises:
            TypeError, ValueError: if the images are not black and white, or ``k`` is less than 1.
        """
        k = self.k if k is None else k
        checks.integer("k", k, remedy="give the number of samples per image")
        images = model_input(self, images, self.image_shape)
        at_once = max(1, min(k, CHUNK // max(1, images.numel())))
        with evaluating(self):
            total = images.new_full((len(images),), -torch.inf)
            for first in range(0, k, at_once):
                log_weights = self.log_weights(images, min(at_once, k - first))
                total = torch.logaddexp(total, torch.logsumexp(log_weights, dim=0))
        return total - math.log(k)

    def reconstruct(self, images: Tensor) -> Tensor:
        """The pixels' probabilities decoded from the mean codes of the images, no gradient."""
        with evaluating(self):
            return torch.sigmoid(self.decode(self.encode(images)[0]))

    def sample(self, n: int, *, rng: torch.Generator | None = None, mean: bool = False) -> Tensor:
        """Draw black-and-white images: z from the prior, then the pixels from p(x|z).

        Args:
            n: how many.
            rng: the generator to draw from; torch's default generator if it is not given.
            mean: show the pixels' probabilities, as gray values, in place of a draw.

        Returns:
            Shape ``(n, C, H, W)``, values in [0, 1].

        Raises:
            TypeError, ValueError: if ``n`` is no whole number of at least 0, or ``rng`` no
                generator.
        """
        with evaluating(self):
            z = standard_normal(self, n, self.latent_dim, rng=rng)
            probabilities = torch.sigmoid(self.decode(z))
            return probabilities if mean else binarize(probabilities, rng=rng)
