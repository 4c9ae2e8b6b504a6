r"""The variational autoencoder, with a decoder that gives 8-bit pixels a likelihood.

.. math::

    \log p_\theta(x) \;\ge\;
    \underbrace{\mathbb{E}_{q_\phi(z|x)}[\log p_\theta(x|z)]}_{-\text{distortion}}
    - \underbrace{\mathrm{KL}(q_\phi(z|x) \,\|\, p(z))}_{\text{rate}}

Source: Kingma and Welling (2013), *Auto-Encoding Variational Bayes*, eq. 3.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from companion import checks
from companion.game import Player
from companion.layers import evaluating, model_input, standard_normal
from companion.likelihoods import (
    discretized_mixture_log_prob,
    discretized_mixture_mean,
    discretized_mixture_sample,
    spread_components,
)


def gaussian_kl(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Divergence of a diagonal Gaussian from the standard normal, in nats per row.

    .. math::

        \mathrm{KL}(N(\mu, \sigma^2) \,\|\, N(0, I))
        = \tfrac12 \sum_i \left(\mu_i^2 + \sigma_i^2 - 1 - \log \sigma_i^2\right) \ge 0

    Args:
        mu: means, shape ``(N, latent_dim)``.
        logvar: logarithms of the variances :math:`\log \sigma^2`, the same shape.

    Returns:
        Shape ``(N,)``; zero only where ``mu`` and ``logvar`` are zero.

    Raises:
        TypeError: if they are no tensors of floats.
        ValueError: if their shapes differ.

    Source: Kingma and Welling (2013), appendix B.
    """
    return gaussian_kl_per_dimension(mu, logvar).sum(dim=1)


def gaussian_kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """The summands of :func:`gaussian_kl`, nats, of the shape of ``mu``; errors as there."""
    checks.same_shape(mu=mu, logvar=logvar)
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar)


def reparameterize(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""Draw :math:`z = \mu + \sigma \epsilon` with :math:`\epsilon \sim N(0, I)`.

    The noise does not depend on the parameters, so gradients pass through :math:`\mu` and
    :math:`\sigma = \exp(\tfrac12 \log \sigma^2)`.

    Args:
        mu: means, shape ``(N, latent_dim)``.
        logvar: logarithms of the variances, the same shape.

    Source: Kingma and Welling (2013), section 2.4.
    """
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)


def active_units(mu: Tensor, threshold: float = 0.01) -> Tensor:
    r"""Which latent dimensions say anything about the image.

    Dimension :math:`i` is active if :math:`\mathrm{Var}_x(\mu_i(x)) > 0.01`: an unused one has the
    mean 0 for every image.

    Args:
        mu: means of q(z|x) for many images, shape ``(N, latent_dim)``.
        threshold: the variance from which on a dimension counts.

    Returns:
        Booleans of shape ``(latent_dim,)``.

    Source: Burda, Grosse and Salakhutdinov (2016), section 5.2.
    """
    return mu.var(dim=0) > threshold


class Elbo(NamedTuple):
    """The two terms of the bound, in nats per image, shape ``(N,)`` each."""

    distortion: Tensor  # -log p(x|z) for one z drawn from q(z|x)
    rate: Tensor  # KL(q(z|x) || p(z))

    @property
    def value(self) -> Tensor:
        """The evidence lower bound, at most log p(x) in expectation."""
        return -(self.distortion + self.rate)


class VAE(nn.Module):
    r"""A convolutional variational autoencoder.

    The encoder gives mean and log-variance of :math:`q_\phi(z|x)`; the decoder gives, for each
    pixel, a mixture of discretized logistics.

    Args:
        latent_dim: dimensions of :math:`z`.
        width: channels after the first convolution; the second has twice as many.
        components: mixture components per pixel.
        image_shape: ``(C, H, W)``, with ``H`` and ``W`` multiples of 4.

    Attributes:
        encoder: images ``(N, C, H, W)`` in [-1, 1] to ``(N, 2 * latent_dim)``, the means and then
            the log-variances; may be exchanged for your own.
        decoder: codes ``(N, latent_dim)`` to ``(N, 3KC, H, W)``, the parameters of a mixture of K
            components for each pixel; may be exchanged, too.
        latent_dim: dimensions of :math:`z`.
        image_shape: ``(C, H, W)``.

    Raises:
        TypeError, ValueError: if a size is no positive whole number, or ``image_shape`` not of
            that form.

    Source: Kingma and Welling (2013); the pixels' likelihood is that of Salimans et al. (2017).
    """

    tasks = ("likelihood", "images")

    def __init__(
        self,
        latent_dim: int = 16,
        width: int = 16,
        components: int = 3,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim = checks.integer("latent_dim", latent_dim, remedy="use 16, say")
        self.image_shape = checks.image_shape(image_shape, multiple=4)
        checks.integer("width", width, remedy="use 16, say")
        checks.integer("components", components, remedy="use 3, say")
        channels, height, width_px = self.image_shape
        small = (2 * width, height // 4, width_px // 4)  # 28x28 -> 14x14 -> 7x7
        features = small[0] * small[1] * small[2]

        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(features, 2 * latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent_dim, features),
            nn.Unflatten(1, small),
            nn.SiLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(width, 3 * components * channels, 4, stride=2, padding=1),
        )
        spread_components(self.decoder[-1].bias, channels)  # type: ignore[arg-type]

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance of q(z|x), each ``(N, latent_dim)``, of images in [0, 1].

        Raises:
            TypeError, ValueError: if the images are not floats in [0, 1] of the model's shape.
        """
        images = model_input(self, images, self.image_shape)
        mu, logvar = self.encoder(2 * images - 1).chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: Tensor) -> Tensor:
        """Parameters of p(x|z), shape ``(N, 3KC, H, W)``, of codes ``(N, latent_dim)``.

        Raises:
            ValueError: if the codes do not have that shape.
        """
        checks.codes(z, self.latent_dim)
        return self.decoder(z)

    def distortion(self, z: Tensor, images: Tensor) -> Tensor:
        r"""What the pixels cost given the code, :math:`-\log p_\theta(x|z)`: nats, ``(N,)``."""
        return -discretized_mixture_log_prob(self.decode(z), images).sum(dim=(1, 2, 3))

    def elbo(self, images: Tensor) -> Elbo:
        """Distortion and rate of each image, with one draw of z; nats, summed over pixels."""
        mu, logvar = self.encode(images)
        z = reparameterize(mu, logvar)
        return Elbo(distortion=self.distortion(z, images), rate=gaussian_kl(mu, logvar))

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """The negative bound, averaged over the batch, in nats per image, and its two terms."""
        distortion, rate = self.elbo(images)
        return {
            "loss": (distortion + rate).mean(),
            "distortion": distortion.mean(),
            "rate": rate.mean(),
        }

    def players(self) -> list[Player]:
        """One player moves encoder and decoder together.

        Its loss is never negative: of 8-bit pixels the distortion is minus the logarithm of
        probabilities, not of densities, and the rate is a divergence.
        """
        return [Player("negative ELBO", self, self.loss, learning_rate=2e-3, least=0.0)]

    def log_prob_bound(self, images: Tensor) -> Tensor:
        """A one-sample estimate of the bound on log p(x), nats, shape ``(N,)``, no gradient."""
        with evaluating(self):
            return self.elbo(images).value

    def mean_image(self, z: Tensor) -> Tensor:
        """The mean of p(x|z) for each code, shape ``(N, C, H, W)``: smooth, without pixel noise."""
        return discretized_mixture_mean(self.decode(z), channels=self.image_shape[0])

    def reconstruct(self, images: Tensor) -> Tensor:
        """Mean images decoded from the mean codes of the given images, no gradient."""
        with evaluating(self):
            return self.mean_image(self.encode(images)[0])

    def sample(self, n: int, *, rng: torch.Generator | None = None, mean: bool = False) -> Tensor:
        """Draw images: z from the prior, then the pixels from p(x|z).

        Args:
            n: how many.
            rng: the generator to draw from; torch's default generator if it is not given.
            mean: show the mean of p(x|z) in place of a draw from it.

        Returns:
            Shape ``(n, C, H, W)``, values in [0, 1].

        Raises:
            TypeError, ValueError: if ``n`` is no whole number of at least 0, or ``rng`` no
                generator.
        """
        with evaluating(self):
            z = standard_normal(self, n, self.latent_dim, rng=rng)
            if mean:
                return self.mean_image(z)
            return discretized_mixture_sample(self.decode(z), channels=self.image_shape[0], rng=rng)
