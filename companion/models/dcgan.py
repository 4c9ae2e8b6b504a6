r"""The deep convolutional generative adversarial network.

Two players: the discriminator learns to tell real images from generated ones, the generator to
make images that the discriminator takes for real,

.. math::

    L_D &= \mathbb{E}_{x}\,[\zeta(-D(x))] + \mathbb{E}_{z}\,[\zeta(D(G(z)))], \\
    L_G &= \mathbb{E}_{z}\,[\zeta(-D(G(z)))], \qquad \zeta(t) = \log(1 + e^t),

where :math:`D` returns a logit: the probability of "real" is its logistic sigmoid.

Source: Goodfellow et al. (2014), *Generative Adversarial Nets*, section 3 (with the
non-saturating generator loss); Radford, Metz and Chintala (2016), the architecture.
"""

import torch
from torch import Tensor, nn

from companion import checks
from companion.game import Player
from companion.layers import evaluating, model_input, standard_normal
from companion.models.gan import check_generated, discriminator_loss, generator_loss


class Generator(nn.Module):
    """Noise ``(N, latent_dim)`` to images ``(N, C, H, W)`` in [-1, 1].

    A transposed convolution of kernel k, stride s and padding p makes
    ``(h - 1) * s - 2 * p + k`` rows of h. For 28x28 images the sides are 4, 7, 14, 28:
    ``(4 - 1) * 2 - 2 + 3 = 7``, ``(7 - 1) * 2 - 2 + 4 = 14`` and ``(14 - 1) * 2 - 2 + 4 = 28``.
    """

    def __init__(self, latent_dim: int, width: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width_px = image_shape
        quarter = height // 4, width_px // 4  # (7, 7)
        small = (4 * width, (quarter[0] + 1) // 2, (quarter[1] + 1) // 2)
        # Two sides, 2 h - 1 and 2 h, come from the same h; the larger one needs an extra row.
        extra = 1 - quarter[0] % 2, 1 - quarter[1] % 2
        self.layers = nn.Sequential(
            nn.Linear(latent_dim, small[0] * small[1] * small[2], bias=False),
            nn.Unflatten(1, small),  # (N, 4 width, 4, 4)
            nn.BatchNorm2d(4 * width),
            nn.ReLU(),
            nn.ConvTranspose2d(
                4 * width, 2 * width, 3, stride=2, padding=1, output_padding=extra, bias=False
            ),
            nn.BatchNorm2d(2 * width),  # (N, 2 width, 7, 7)
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(width),  # (N, width, 14, 14)
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 4, stride=2, padding=1),
            nn.Tanh(),  # (N, C, 28, 28)
        )

    def forward(self, z: Tensor) -> Tensor:
        """Images ``(N, C, H, W)`` in [-1, 1] of noise ``(N, latent_dim)``."""
        return self.layers(z)


class Discriminator(nn.Module):
    """Images ``(N, C, H, W)`` in [-1, 1] to logits ``(N,)``.

    A convolution of kernel k, stride s and padding p makes ``(h + 2 * p - k) // s + 1`` rows of
    h. For 28x28 images the sides are 28, 14, 7, 4: the generator's, backwards.
    """

    def __init__(self, width: int, image_shape: tuple[int, int, int]) -> None:
        super().__init__()
        channels, height, width_px = image_shape
        small = (4 * width, (height // 4 + 1) // 2, (width_px // 4 + 1) // 2)
        self.layers = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),  # (N, width, 14, 14)
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(0.2),  # (N, 2 width, 7, 7)
            nn.Conv2d(2 * width, 4 * width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(4 * width),
            nn.LeakyReLU(0.2),  # (N, 4 width, 4, 4)
            nn.Flatten(),
            nn.Linear(small[0] * small[1] * small[2], 1),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``(N,)`` of images in [-1, 1]."""
        return self.layers(images).squeeze(1)


class DCGAN(nn.Module):
    """A generator and a discriminator after the DCGAN recipe, for images of any multiple of 4.

    Args:
        latent_dim: dimensions of the noise z.
        width: channels of the layers at half resolution; each halving has twice as many.
        image_shape: ``(C, H, W)``, with ``H`` and ``W`` multiples of 4.

    Attributes:
        generator: noise ``(N, latent_dim)`` to images in [-1, 1], the range of tanh; may be
            exchanged for your own.
        discriminator: images in [-1, 1] to logits ``(N,)``; may be exchanged, too.
        latent_dim: dimensions of the noise z.
        image_shape: ``(C, H, W)``.

    Raises:
        TypeError, ValueError: if a size is no positive whole number, or ``image_shape`` not of
            that form.

    Source: Radford, Metz and Chintala (2016), section 3: strided convolutions, batch norm,
    leaky ReLU in the discriminator, weights from N(0, 0.02), Adam with beta1 = 0.5.
    """

    tasks = ("images",)

    def __init__(
        self,
        latent_dim: int = 64,
        width: int = 32,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.latent_dim = checks.integer("latent_dim", latent_dim, remedy="use 64, say")
        self.image_shape = checks.image_shape(image_shape, multiple=4)
        checks.integer("width", width, remedy="use 32, say")
        self.generator = Generator(latent_dim, width, self.image_shape)
        self.discriminator = Discriminator(width, self.image_shape)
        self.apply(_initialize)

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
        return (self.generator(z) + 1) / 2

    def discriminate(self, images: Tensor) -> Tensor:
        """Logits ``(N,)`` of images in [0, 1]; positive means "real".

        Raises:
            TypeError, ValueError: if the images are not floats in [0, 1] of the model's shape.
        """
        return self.discriminator(2 * model_input(self, images, self.image_shape) - 1)

    def real_and_fake(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What the discriminator gets to see in its turn: the images and as many fakes.

        Both are in [-1, 1]. The fakes have no gradient, for the generator does not move.
        """
        real = 2 * model_input(self, images, self.image_shape) - 1
        with torch.no_grad():
            fake = self.generator(self.draw_noise(len(images)))
        check_generated(fake, self.image_shape, low=-1)
        return real, fake

    def logits(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of both, each in a pass of its own: batch norm mixes the images of a pass."""
        return self.discriminator(real), self.discriminator(fake)

    def fake_logits(self, n: int) -> Tensor:
        """Logits of n new fakes, with their gradient: what the generator gets to see."""
        return self.discriminator(self.generator(self.draw_noise(n)))

    def discriminator_loss(self, images: Tensor) -> Tensor:
        """The loss of the discriminator on real images and as many generated ones."""
        return discriminator_loss(*self.logits(*self.real_and_fake(images)))

    def generator_loss(self, images: Tensor) -> Tensor:
        """The loss of the generator on as many noise vectors as there are images."""
        return generator_loss(self.fake_logits(len(images)))

    def players(self) -> list[Player]:
        """The discriminator moves first, then the generator, on every batch."""
        return [
            Player(
                "discriminator",
                self.discriminator,
                self.discriminator_loss,
                learning_rate=2e-4,
                betas=(0.5, 0.999),
            ),
            Player(
                "generator",
                self.generator,
                self.generator_loss,
                learning_rate=2e-4,
                betas=(0.5, 0.999),
            ),
        ]

    def sample(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` images of shape ``(n, C, H, W)`` in [0, 1]; the model is left unchanged.

        Raises:
            TypeError, ValueError: as for :meth:`draw_noise`.
        """
        with evaluating(self):
            return self.generate(self.draw_noise(n, rng=rng))


def _initialize(module: nn.Module) -> None:
    """Weights from N(0, 0.02) and batch-norm gains from N(1, 0.02), as the paper has them."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)
