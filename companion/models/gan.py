r"""The generative adversarial network, with fully connected networks.

Two players share one value,

.. math::

    V(D, G) = \mathbb{E}_{x}\,[\log \sigma(D(x))]
            + \mathbb{E}_{z}\,[\log(1 - \sigma(D(G(z))))],

where :math:`D` returns a logit: the probability of "real" is its logistic sigmoid
:math:`\sigma`. The discriminator raises :math:`V`, which is to lower :math:`L_D = -V`. The
generator lowers :math:`V`, or the non-saturating loss that has the same fixed points. From
logits, with :math:`\zeta(t) = \log(1 + e^t)` (softplus):

.. math::

    L_D &= \mathbb{E}_{x}\,[\zeta(-D(x))] + \mathbb{E}_{z}\,[\zeta(D(G(z)))], \\
    L_G &= \mathbb{E}_{z}\,[\zeta(-D(G(z)))] \quad \text{(non-saturating)}, \\
    L_G &= -\mathbb{E}_{z}\,[\zeta(D(G(z)))] \quad \text{(saturating, the minimax game)}.

Source: Goodfellow et al. (2014), *Generative Adversarial Nets*, eq. 1 and section 3.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks
from companion.game import Player
from companion.layers import evaluating, model_input, standard_normal


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    r"""The discriminator's loss :math:`\mathbb{E}[\zeta(-D(x))] + \mathbb{E}[\zeta(D(G(z)))]`.

    It is :math:`-\mathbb{E}[\log \sigma(D(x))] - \mathbb{E}[\log(1 - \sigma(D(G(z))))]` computed
    from logits, and :math:`2 \log 2 = 1.386` nats for a discriminator that cannot tell.

    Args:
        real_logits: of real images, any shape.
        fake_logits: of generated images, any shape.

    Source: Goodfellow et al. (2014), algorithm 1.
    """
    real, fake = wide(real_logits=real_logits, fake_logits=fake_logits)
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake_logits: Tensor) -> Tensor:
    r"""The non-saturating loss :math:`\mathbb{E}[\zeta(-D(G(z)))]`, :math:`-\log\sigma(D(G(z)))`.

    Its gradient is largest where the discriminator is sure of itself, which is where the
    generator needs one; it is :math:`\log 2 = 0.693` nats for a discriminator that cannot tell.

    Args:
        fake_logits: of generated images, any shape.

    Source: Goodfellow et al. (2014), section 3.
    """
    (fake,) = wide(fake_logits=fake_logits)
    return F.softplus(-fake).mean()


def saturating_generator_loss(fake_logits: Tensor) -> Tensor:
    r"""The minimax game's loss :math:`-\mathbb{E}[\zeta(D(G(z)))]`.

    It is :math:`\mathbb{E}[\log(1 - \sigma(D(G(z))))]`, what of :math:`V` depends on the
    generator. Its gradient vanishes where the
    discriminator is sure of itself; it is :math:`-\log 2 = -0.693` nats for one that cannot tell.

    Args:
        fake_logits: of generated images, any shape.

    Source: Goodfellow et al. (2014), eq. 1.
    """
    (fake,) = wide(fake_logits=fake_logits)
    return -F.softplus(fake).mean()


def wide(**logits: Tensor) -> list[Tensor]:
    """Logits in float32 at least: a mean over scores in bf16 would be as coarse as they are.

    Raises:
        TypeError: something is no tensor of floats.
    """
    checks.floats(**logits)
    return [x.to(torch.promote_types(x.dtype, torch.float32)) for x in logits.values()]


def check_generated(fake: Tensor, image_shape: tuple[int, ...], low: float) -> None:
    """Refuse what a generator of the user's own makes, if it is no image of the model's kind.

    Args:
        fake: what it made.
        image_shape: of the model's images.
        low: the value of black, 0 or -1; white is 1.

    Raises:
        ValueError: another shape, or values outside of the range.
    """
    if tuple(fake.shape[1:]) != tuple(image_shape):
        raise ValueError(
            f"the generator must make images (N, {', '.join(map(str, image_shape))}), got "
            f"{tuple(fake.shape)}; change its last layers, or build the model with image_shape="
        )
    if fake.numel() and checks.values_are_readable(fake):
        bounds = [float(bound) for bound in fake.detach().aminmax()]
        # NaN is no mistake of the range: the loss, which is then NaN, too, is told of it.
        if bounds[0] < low - checks.TOLERANCE or bounds[1] > 1 + checks.TOLERANCE:
            last = "nn.Tanh()" if low < 0 else "nn.Sigmoid()"
            raise ValueError(
                f"the generator must make values from {low:g} to 1, got {bounds[0]:.4g} to "
                f"{bounds[1]:.4g}; end it with {last}"
            )


class Generator(nn.Module):
    """Noise ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [0, 1]."""

    def __init__(
        self, latent_dim: int, hidden_size: int, image_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, hidden_size),
            nn.ReLU(),
            nn.Linear(hidden_size, math.prod(image_shape)),
            nn.Sigmoid(),
            nn.Unflatten(1, tuple(image_shape)),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [0, 1] of noise ``(N, latent_dim)``."""
        return self.layers(z)


class Discriminator(nn.Module):
    """Images ``(N, C, H, W)`` in [0, 1] to logits ``(N,)``, each image judged by itself."""

    def __init__(self, hidden_size: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(math.prod(image_shape), hidden_size),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden_size, hidden_size),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden_size, 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N,)`` of images in [0, 1]."""
        return self.layers(images - 0.5).squeeze(1)  # centered inputs train better


class GAN(nn.Module):
    """Two networks of two hidden layers each, for images of any shape.

    Points of the plane are images, too: those of two channels and one pixel, ``(2, 1, 1)``.

    Args:
        latent_dim: dimensions of the noise z.
        hidden_size: units of each hidden layer.
        image_shape: ``(C, H, W)``.
        saturating: let the generator minimize the value V itself, the minimax game, in place of
            the non-saturating loss.

    Attributes:
        generator: noise ``(N, latent_dim)`` to images in [0, 1]; may be exchanged for your own.
        discriminator: images in [0, 1] to logits ``(N,)``; may be exchanged, too.
        latent_dim: dimensions of the noise z.
        image_shape: ``(C, H, W)``.
        learning_rate: of both players; set it on a model, or in a subclass, before training.
        betas: Adam's decay rates, of both players; set like ``learning_rate``.
        discriminator_steps: how often the discriminator moves for each step of the generator.

    Raises:
        TypeError, ValueError: if a size is no positive whole number, or ``image_shape`` not of
            that form.

    Source: Goodfellow et al. (2014), algorithm 1, one step of each player in turn; the step
    sizes and the leaky ReLU are those of Radford, Metz and Chintala (2016).
    """

    learning_rate = 2e-4
    betas = (0.5, 0.999)
    discriminator_steps = 1  # for each step of the generator

    tasks = ("images",)

    def __init__(
        self,
        latent_dim: int = 64,
        hidden_size: int = 64,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        saturating: bool = False,
    ) -> None:
        super().__init__()
        self.latent_dim = checks.integer("latent_dim", latent_dim, remedy="use 64, say")
        self.image_shape = checks.image_shape(image_shape)
        checks.integer("hidden_size", hidden_size, remedy="use 64, say")
        self.saturating = saturating
        self.generator = Generator(latent_dim, hidden_size, self.image_shape)
        self.discriminator = Discriminator(hidden_size, self.image_shape)

    def draw_noise(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """Draw z from the standard normal, ``(n, latent_dim)``.

        Raises:
            TypeError, ValueError: if ``n`` is no whole number of at least 0, or ``rng`` no
                generator.
        """
        return standard_normal(self, n, self.latent_dim, rng=rng)

    def generate(self, z: Tensor) -> Tensor:
        """Images in [0, 1] of noise ``(N, latent_dim)``."""
        checks.codes(z, self.latent_dim)
        return self.generator(z)

    def discriminate(self, images: Tensor) -> Tensor:
        """Logits ``(N,)`` of images in [0, 1]; positive means "real".

        Raises:
            TypeError, ValueError: if the images are not floats in [0, 1] of the model's shape.
        """
        return self.discriminator(model_input(self, images, self.image_shape))

    def real_and_fake(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator gets to see in its turn: the images and as many fakes.

        The fakes have no gradient, for the generator does not move.
        """
        images = model_input(self, images, self.image_shape)
        with torch.no_grad():
            fake = self.generator(self.draw_noise(len(images)))
        check_generated(fake, self.image_shape, low=0)
        return images, fake

    def logits(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of both in one pass, which is quicker than two.

        It changes nothing: no layer of this discriminator mixes the images of a batch.
        """
        real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).chunk(2)
        return real_logits, fake_logits

    def fake_logits(self, n: int) -> Tensor:
        """Logits of n new fakes, with their gradient: what the generator gets to see."""
        return self.discriminator(self.generator(self.draw_noise(n)))

    def discriminator_loss(self, images: Tensor) -> Tensor | dict[str, Tensor]:
        """The loss of the discriminator on real images and as many generated ones."""
        return discriminator_loss(*self.logits(*self.real_and_fake(images)))

    def generator_loss(self, images: Tensor) -> Tensor:
        """The loss of the generator on as many noise vectors as there are images."""
        loss = saturating_generator_loss if self.saturating else generator_loss
        return loss(self.fake_logits(len(images)))

    def players(self) -> list[Player]:
        """The discriminator moves first, on every batch; the generator moves after it."""
        return [
            Player(
                "discriminator",
                self.discriminator,
                self.discriminator_loss,
                learning_rate=self.learning_rate,
                betas=self.betas,
            ),
            Player(
                "generator",
                self.generator,
                self.generator_loss,
                learning_rate=self.learning_rate,
                betas=self.betas,
                every=self.discriminator_steps,
            ),
        ]

    def sample(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` images of shape ``(n, C, H, W)`` in [0, 1]; the model is left unchanged.

        Raises:
            TypeError, ValueError: as for :meth:`draw_noise`.
        """
        with evaluating(self):
            return self.generate(self.draw_noise(n, rng=rng))
