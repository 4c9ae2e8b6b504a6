r"""The beta-VAE: a VAE that pays another price for its code, and two ways to keep the code alive.

.. math::

    L = \underbrace{\mathbb{E}_{q_\phi(z|x)}[-\log p_\theta(x|z)]}_{\text{distortion}}
    + \beta \, \underbrace{\mathrm{KL}(q_\phi(z|x) \,\|\, p(z))}_{\text{rate}}

Each :math:`\beta` chooses a point on the curve of distortion against rate.

Source: Higgins et al. (2017), *beta-VAE*, eq. 4; rate and distortion after Alemi et al. (2018),
*Fixing a Broken ELBO*, section 3.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from companion import checks
from companion.game import Player
from companion.models.vae import VAE, gaussian_kl_per_dimension, reparameterize


class BetaVAE(VAE):
    r"""A VAE whose rate has the price :math:`\beta`.

    Args:
        beta: the price of a nat of rate in nats of distortion.
        warm_up: so many training steps raise the price from 0 to ``beta``, in a straight line.
        free_bits: :math:`\lambda`, nats of rate that every latent dimension may spend at no
            price: its rate, averaged over the batch, counts as
            :math:`\max(\lambda, \mathrm{rate}_i)`.
        network: as for :class:`companion.models.vae.VAE`.

    Attributes:
        beta: the full price; it, ``warm_up`` and ``free_bits`` may be set anew before training.
        warm_up: the steps until the full price.
        free_bits: nats of rate without a price.
        steps: the training steps so far.

    Raises:
        TypeError, ValueError: if ``beta``, ``warm_up`` or ``free_bits`` is no number of at least
            0, or as for a VAE.

    Source: Higgins et al. (2017), eq. 4; the warm-up is that of Bowman et al. (2016), section 3.1,
    and the free bits those of Kingma et al. (2016), eq. 15.
    """

    steps: Tensor

    def __init__(
        self,
        *,
        beta: float = 4.0,
        warm_up: int = 0,
        free_bits: float = 0.0,
        **network: Any,
    ) -> None:
        super().__init__(**network)
        self.beta = checks.number("beta", beta, least=0)
        self.warm_up = checks.integer("warm_up", warm_up, least=0)
        self.free_bits = checks.number("free_bits", free_bits, least=0)
        # How many steps training has taken; part of the state, so that a resumed run goes on.
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))

    def price(self) -> Tensor:
        r"""The present price of a nat: :math:`\beta \min(1, \text{steps} / \text{warm-up})`."""
        if not self.warm_up:
            return torch.full((), self.beta, device=self.steps.device)
        return self.beta * (self.steps / self.warm_up).clamp(max=1)

    def players(self) -> list[Player]:
        """The VAE's player, whose steps are counted; what it minimizes is no negative bound."""
        (player,) = super().players()
        return [replace(player, name="priced loss", after=self.count_step)]

    def count_step(self) -> None:
        """One more step towards the full price."""
        self.steps += 1

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        r"""Distortion plus the priced rate, averaged over the batch, in nats per image.

        .. math::

            L = \text{distortion} + \beta \sum_i \max(\lambda, \text{rate}_i)

        Recorded beside it: ``distortion``, and the true ``rate``, without price or free bits.
        """
        mu, logvar = self.encode(images)
        distortion = self.distortion(reparameterize(mu, logvar), images).mean()
        rates = gaussian_kl_per_dimension(mu, logvar).mean(dim=0)  # (latent_dim,)
        priced = self.price() * rates.clamp(min=self.free_bits).sum()
        return {"loss": distortion + priced, "distortion": distortion, "rate": rates.sum()}
