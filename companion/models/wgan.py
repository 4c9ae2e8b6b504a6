r"""Keeping the game fair: losses and penalties that let the discriminator help the generator.

The networks are those of :mod:`companion.models.gan` throughout; each method changes the losses,
or what keeps the discriminator :math:`D` from becoming too steep:

- :class:`LSGAN` compares D with the labels 1 and 0 by least squares;
- :class:`WGAN` takes D for a critic, whose mean difference estimates a distance, and clips its
  weights; :class:`WGANGP` penalizes slopes other than 1 in place of the clipping;
- :class:`HingeGAN` bounds the slope by spectral norm, and stops where D is sure;
- :class:`R1GAN` is the GAN with a penalty on the slope of D at real images.
"""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from companion import checks
from companion.game import Player
from companion.models.gan import GAN, discriminator_loss, wide
from companion.models.penalties import gradient_penalty, r1_penalty

# --- losses ----------------------------------------------------------------------------------


def least_squares_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r""":math:`\tfrac12\mathbb{E}[(D(x) - 1)^2] + \tfrac12\mathbb{E}[D(G(z))^2]`: real 1, fake 0.

    Args:
        real_logits, fake_logits: outputs of the discriminator, any shape.

    Source: Mao et al. (2017), eq. 9 (labels 0 and 1).
    """
    real, fake = wide(real_logits=real_logits, fake_logits=fake_logits)
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def least_squares_generator_loss(fake_logits: Tensor) -> Tensor:
    r""":math:`\tfrac12\mathbb{E}[(D(G(z)) - 1)^2]`.

    Args:
        fake_logits: outputs of the discriminator for generated images, any shape.

    Source: Mao et al. (2017), eq. 9.
    """
    (fake,) = wide(fake_logits=fake_logits)
    return 0.5 * (fake - 1).square().mean()


def critic_loss(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    r""":math:`\mathbb{E}[D(G(z))] - \mathbb{E}[D(x)]`.

    If D is the best of all functions whose slope is nowhere more than 1, this is minus the
    Wasserstein-1 distance of the two distributions (Kantorovich and Rubinstein).

    Args:
        real_scores, fake_scores: outputs of the critic, any shape.

    Source: Arjovsky, Chintala and Bottou (2017), eq. 2.
    """
    real, fake = wide(real_scores=real_scores, fake_scores=fake_scores)
    return fake.mean() - real.mean()


def critic_generator_loss(fake_scores: Tensor) -> Tensor:
    r""":math:`-\mathbb{E}[D(G(z))]`, the generator's loss of WGAN, WGAN-GP and the hinge game.

    Args:
        fake_scores: outputs of the critic for generated images, any shape.

    Source: Arjovsky, Chintala and Bottou (2017), algorithm 1.
    """
    (fake,) = wide(fake_scores=fake_scores)
    return -fake.mean()


def hinge_discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r""":math:`\mathbb{E}[\max(0, 1 - D(x))] + \mathbb{E}[\max(0, 1 + D(G(z)))]`.

    Args:
        real_logits, fake_logits: outputs of the discriminator, any shape.

    Source: Lim and Ye (2017), *Geometric GAN*; Miyato et al. (2018), eq. 16.
    """
    real, fake = wide(real_logits=real_logits, fake_logits=fake_logits)
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


# --- models ----------------------------------------------------------------------------------


class LSGAN(GAN):
    """The least-squares GAN: a fake that D takes for real, but far from 1, is still pulled.

    Built as :class:`companion.models.gan.GAN` is, whose step sizes it has.

    Source: Mao et al. (2017), eq. 9.
    """

    def discriminator_loss(self, images: Tensor) -> Tensor:
        """The least-squares loss of real images and as many generated ones."""
        return least_squares_discriminator_loss(*self.logits(*self.real_and_fake(images)))

    def generator_loss(self, images: Tensor) -> Tensor:
        """The least-squares loss of as many generated images."""
        return least_squares_generator_loss(self.fake_logits(len(images)))


class WGAN(GAN):
    """The Wasserstein GAN: the discriminator is a critic, kept from steepness by clipped weights.

    The critic moves on every batch, the generator on every fifth. After each of its steps, and at
    the start, the critic's weights are cut to [-clip, clip].

    Args:
        clip: the largest absolute value that a weight of the critic may have.
        network: as for :class:`companion.models.gan.GAN`.

    Raises:
        TypeError, ValueError: if ``clip`` is no positive number, or as for a GAN.

    Source: Arjovsky, Chintala and Bottou (2017), algorithm 1. Its RMSProp with 5e-5 is Adam
    without momentum, beta1 = 0.
    """

    learning_rate = 5e-5
    betas = (0.0, 0.99)
    discriminator_steps = 5  # and as many batches: the generator moves on every fifth

    def __init__(self, *, clip: float = 0.01, **network: Any) -> None:
        super().__init__(**network)
        self.clip = checks.number("clip", clip, above=0, remedy="use 0.01, say")
        self.clip_weights()

    @torch.no_grad()
    def clip_weights(self) -> None:
        """Cut the critic's weights to [-clip, clip]."""
        for weight in self.discriminator.parameters():
            weight.clamp_(-self.clip, self.clip)

    def players(self) -> list[Player]:
        """The GAN's, with the clipping after each step of the critic."""
        critic, generator = super().players()
        critic.after = self.clip_weights
        return [critic, generator]

    def discriminator_loss(self, images: Tensor) -> Tensor:
        """Minus the critic's estimate of the distance, up to a scale."""
        return critic_loss(*self.logits(*self.real_and_fake(images)))

    def generator_loss(self, images: Tensor) -> Tensor:
        """Minus the mean score of as many generated images."""
        return critic_generator_loss(self.fake_logits(len(images)))


class WGANGP(GAN):
    """The Wasserstein GAN with a gradient penalty in place of the clipping.

    Args:
        penalty: the factor of :func:`~companion.models.penalties.gradient_penalty`.
        network: as for :class:`companion.models.gan.GAN`.

    Raises:
        TypeError, ValueError: if ``penalty`` is no positive number, or as for a GAN.

    Source: Gulrajani et al. (2017), algorithm 1, with its defaults: penalty 10, five steps of
    the critic for each of the generator, Adam with 1e-4 and betas (0, 0.9).
    """

    learning_rate = 1e-4
    betas = (0.0, 0.9)
    discriminator_steps = 5

    def __init__(self, *, penalty: float = 10.0, **network: Any) -> None:
        super().__init__(**network)
        self.penalty = checks.number("penalty", penalty, above=0, remedy="use 10.0, say")

    def players(self) -> list[Player]:
        """The GAN's; the critic's loss has a gradient inside, which torch cannot compile."""
        critic, generator = super().players()
        critic.compilable = False
        return [critic, generator]

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        """The critic's loss plus the penalty.

        Recorded beside it: ``distance``, the critic's estimate of the Wasserstein-1 distance of
        images, and ``gradient penalty``, without its factor.
        """
        real, fake = self.real_and_fake(images)
        difference = critic_loss(*self.logits(real, fake))
        penalty = gradient_penalty(self.discriminator, real, fake)
        return {
            "loss": difference + self.penalty * penalty,
            "distance": -difference,
            "gradient penalty": penalty,
        }

    def generator_loss(self, images: Tensor) -> Tensor:
        """Minus the mean score of as many generated images."""
        return critic_generator_loss(self.fake_logits(len(images)))


class HingeGAN(GAN):
    r"""Hinge losses and a discriminator with spectral norm.

    Each weight matrix W is used as :math:`W / \sigma(W)`, its largest singular value estimated by
    one step of the power iteration per pass. No layer can then stretch a distance, and neither
    can the whole: :math:`|D(x) - D(y)| \le \lVert x - y \rVert`.

    Args:
        network: as for :class:`companion.models.gan.GAN`.

    Source: Miyato et al. (2018), algorithm 1, eq. 16 and 17; five steps of the discriminator for
    each of the generator and Adam with 2e-4 and betas (0, 0.9), as they have it for ImageNet.
    """

    betas = (0.0, 0.9)
    discriminator_steps = 5

    def __init__(self, **network: Any) -> None:
        super().__init__(**network)
        for layer in self.discriminator.modules():
            if isinstance(layer, nn.Linear):
                parametrizations.spectral_norm(layer)

    def __deepcopy__(self, memo: dict[int, Any]) -> "HingeGAN":
        memo[id(self)] = twin = type(self).__new__(type(self))
        twin.__dict__ = copy.deepcopy(self.__dict__, memo)
        return twin

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError(
            "HingeGAN cannot be pickled, for torch's spectral norm cannot be; save its weights by "
            "companion.files.save_model(path, model), and load them into a new HingeGAN"
        )

    def discriminator_loss(self, images: Tensor) -> Tensor:
        """The hinge loss of real images and as many generated ones."""
        return hinge_discriminator_loss(*self.logits(*self.real_and_fake(images)))

    def generator_loss(self, images: Tensor) -> Tensor:
        """Minus the mean logit of as many generated images."""
        return critic_generator_loss(self.fake_logits(len(images)))


class R1GAN(GAN):
    """The non-saturating GAN with a penalty on the discriminator's slope at real images.

    Args:
        gamma: the loss has ``gamma / 2`` times :func:`~companion.models.penalties.r1_penalty`.
        network: as for :class:`companion.models.gan.GAN`.

    Raises:
        TypeError, ValueError: if ``gamma`` is no positive number, or as for a GAN.

    Source: Mescheder, Geiger and Nowozin (2018), eq. 9, with their RMSProp of 1e-4 as Adam
    without momentum, beta1 = 0.
    """

    learning_rate = 1e-4
    betas = (0.0, 0.99)

    def __init__(self, *, gamma: float = 10.0, **network: Any) -> None:
        super().__init__(**network)
        self.gamma = checks.number("gamma", gamma, above=0, remedy="use 10.0, say")

    def players(self) -> list[Player]:
        """The GAN's; the discriminator's loss has a gradient inside, which torch cannot compile."""
        discriminator, generator = super().players()
        discriminator.compilable = False
        return [discriminator, generator]

    def discriminator_loss(self, images: Tensor) -> dict[str, Tensor]:
        """The GAN's loss plus half of gamma times the penalty, recorded as ``r1 penalty``."""
        real, fake = self.real_and_fake(images)
        penalty = r1_penalty(self.discriminator, real)
        loss = discriminator_loss(*self.logits(real, fake)) + self.gamma / 2 * penalty
        return {"loss": loss, "r1 penalty": penalty}
