r"""InfoGAN: a DCGAN whose noise has parts that must be readable from the picture.

The generator's input is noise :math:`z`, a category :math:`c` (one of :math:`K`) and a few
continuous codes :math:`u \in [-1, 1]`. A second head on the discriminator's trunk, the code
head, reads the codes from the picture, as a distribution :math:`q(c, u \mid x)`. For any
:math:`q` the mean of :math:`\log q` bounds the mutual information of code and picture,

.. math::

    I(c; G(z, c, u)) &\ge \log K + \mathbb{E}[\log q(c \mid G(z, c, u))], \\
    I(u; G(z, c, u)) &\ge d \log 2 + \mathbb{E}[\log q(u \mid G(z, c, u))],

and both players raise these bounds beside playing the DCGAN's game: :math:`L_D - \lambda I` and
:math:`L_G - \lambda I`.

Source: Chen et al. (2016), *InfoGAN*, eqs. 4 to 6; that the discriminator's trunk learns from the
codes, too, is the authors' code.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks, noise
from companion.game import Player
from companion.layers import evaluating, model_input, standard_normal
from companion.models import dcgan
from companion.models.dcgan import DCGAN, discriminator_loss, generator_loss

# The continuous codes can be read from a noiseless picture as exactly as one likes, so their
# information has no upper bound. Below a standard deviation of 0.1 nothing more is gained.
MIN_LOGVAR = 2 * math.log(0.1)


class Codes(NamedTuple):
    """What a picture is made of.

    noise: ``(N, noise_dim)``, from N(0, I); category: ``(N,)`` int64, 0 ... K - 1;
    continuous: ``(N, d)``, each in [-1, 1].
    """

    noise: Tensor
    category: Tensor
    continuous: Tensor


class Posterior(NamedTuple):
    """What the code head reads from a picture.

    logits: ``(N, K)`` of the categories; mu, logvar: ``(N, d)``, mean and log variance of the
    continuous codes.
    """

    logits: Tensor
    mu: Tensor
    logvar: Tensor


class Information(NamedTuple):
    """Lower bounds on mutual information, in nats: of the category and of the continuous codes."""

    category: Tensor
    continuous: Tensor


def information(codes: Codes, posterior: Posterior) -> Information:
    r"""How much of its codes a picture tells, at least, in nats (means over the batch).

    .. math::

        I_c = \log K - \mathbb{E}[-\log q(c \mid x)], \qquad
        I_u = d \log 2 - \mathbb{E}\Bigl[\sum_i \tfrac12\Bigl(\log 2\pi\sigma_i^2
        + \frac{(u_i - \mu_i)^2}{\sigma_i^2}\Bigr)\Bigr]

    :math:`I_c` is 0 for a head that knows nothing and :math:`\log K` for one that is always
    right and sure. :math:`\log K` and :math:`d \log 2` are the entropies of the codes.

    Args:
        codes: that the pictures were made of.
        posterior: what was read from the pictures.

    Source: Chen et al. (2016), eq. 5.
    """
    categories, dimensions = posterior.logits.shape[1], codes.continuous.shape[1]
    surprise = F.cross_entropy(posterior.logits, codes.category)
    squared = (codes.continuous - posterior.mu).square() * torch.exp(-posterior.logvar)
    gaussian = 0.5 * (math.log(2 * math.pi) + posterior.logvar + squared).sum(dim=1).mean()
    return Information(math.log(categories) - surprise, dimensions * math.log(2) - gaussian)


class Discriminator(nn.Module):
    """Images ``(N, C, H, W)`` in [-1, 1] to logits ``(N,)`` and the posterior of their codes.

    All layers of a DCGAN's discriminator but the last are the trunk of two heads.
    """

    def __init__(
        self, discriminator: dcgan.Discriminator, categories: int, continuous: int, hidden: int
    ) -> None:
        super().__init__()
        *trunk, logit = discriminator.layers
        assert isinstance(logit, nn.Linear)
        self.parts = categories, continuous, continuous
        self.trunk = nn.Sequential(*trunk)
        self.logit = logit
        self.code_head = nn.Sequential(
            nn.Linear(logit.in_features, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, sum(self.parts)),
        )

    def forward(self, images: Tensor) -> tuple[Tensor, Posterior]:
        """Logits ``(N,)`` of images in [-1, 1], and what their codes probably were."""
        if self.training:
            checks.more_than_one("images", images)
        features = self.trunk(images)
        logits, mu, logvar = self.code_head(features).split(self.parts, dim=1)
        return self.logit(features).squeeze(1), Posterior(logits, mu, logvar.clamp(min=MIN_LOGVAR))


class InfoGAN(nn.Module):
    r"""A DCGAN with codes that its discriminator can read from its pictures.

    Args:
        noise_dim: dimensions of the noise that no head reads.
        categories: K, how many values the category has.
        continuous: d, how many continuous codes there are; may be 0.
        width: as for :class:`companion.models.dcgan.DCGAN`.
        hidden_size: of the code head.
        image_shape: ``(C, H, W)``, with ``H`` and ``W`` multiples of 4.
        weight: :math:`\lambda` of the category's information.
        continuous_weight: :math:`\lambda` of the continuous codes' information.

    Attributes:
        generator: noise and codes ``(N, noise_dim + categories + continuous)`` to images in
            [-1, 1]; may be exchanged for your own.
        discriminator: images in [-1, 1] to logits ``(N,)`` and the
            :class:`~companion.models.infogan.Posterior` of their codes; may be exchanged, too.
        image_shape: ``(C, H, W)``.

    Raises:
        ValueError: if a number is out of its range, or the image shape is not of that form.

    Source: Chen et al. (2016), section 7 and appendix C: 62 noise variables, a category of 10
    and two continuous codes from U(-1, 1), Adam with a larger step for the generator; a smaller
    :math:`\lambda` for continuous codes is section 6's advice.
    """

    tasks = ("images",)

    def __init__(
        self,
        noise_dim: int = 62,
        categories: int = 10,
        continuous: int = 2,
        width: int = 32,
        hidden_size: int = 128,
        image_shape: tuple[int, int, int] = (1, 28, 28),
        weight: float = 1.0,
        continuous_weight: float = 0.1,
    ) -> None:
        super().__init__()
        checks.integer("noise_dim", noise_dim)
        checks.integer("categories", categories, least=2)
        checks.integer("continuous", continuous, least=0)
        checks.integer("hidden_size", hidden_size)
        checks.number("weight", weight, least=0)
        checks.number("continuous_weight", continuous_weight, least=0)
        networks = DCGAN(noise_dim + categories + continuous, width, image_shape)
        self.noise_dim = noise_dim
        self.categories = categories
        self.continuous = continuous
        self.weight = weight
        self.continuous_weight = continuous_weight
        self.image_shape = networks.image_shape
        self.generator = networks.generator
        self.discriminator = Discriminator(
            networks.discriminator, categories, continuous, hidden_size
        )

    def draw_codes(self, n: int, *, rng: torch.Generator | None = None) -> Codes:
        """Codes of ``n`` pictures: normal noise, each category alike, continuous from U(-1, 1).

        Raises:
            TypeError, ValueError: if ``n`` is no whole number of at least 0, or ``rng`` no
                generator.
        """
        z = standard_normal(self, n, self.noise_dim, rng=rng)
        category = noise.integers(self.categories, n, like=z, rng=rng)
        continuous = noise.uniform(n, self.continuous, like=z, rng=rng)
        return Codes(z, category, 2 * continuous - 1)

    def generate(self, codes: Codes) -> Tensor:
        """Images in [0, 1] of codes.

        Raises:
            ValueError: if noise, category and continuous codes do not fit the model or each other.
        """
        return (self.generator(self._join(codes)) + 1) / 2

    def discriminate(self, images: Tensor) -> Tensor:
        """Logits ``(N,)`` of images in [0, 1]; positive means "real".

        Raises:
            TypeError, ValueError: if the images are not floats in [0, 1] of the model's shape.
        """
        return self.discriminator(2 * model_input(self, images, self.image_shape) - 1)[0]

    def posterior(self, images: Tensor) -> Posterior:
        """What the code head reads from images in [0, 1]. Errors as for `discriminate`."""
        return self.discriminator(2 * model_input(self, images, self.image_shape) - 1)[1]

    def classify(self, images: Tensor) -> Tensor:
        """The likeliest category ``(N,)`` of each image; the model is left unchanged.

        The numbers of the categories mean nothing: which one is a boot differs from run to run.
        Errors as for `discriminate`.
        """
        with evaluating(self):
            return self.posterior(images).logits.argmax(dim=1)

    def discriminator_loss(self, images: Tensor) -> Tensor:
        """The DCGAN's loss less the weighted information, of as many pictures as images."""
        codes = self.draw_codes(len(images))
        with torch.no_grad():  # the generator does not move in this turn
            fake = self.generator(self._join(codes))
        fake_logits, posterior = self.discriminator(fake)
        adversarial = discriminator_loss(self.discriminate(images), fake_logits)
        return adversarial - self._weighted(information(codes, posterior))

    def generator_loss(self, images: Tensor) -> dict[str, Tensor]:
        """The DCGAN's loss less the weighted information, of as many pictures as images.

        Recorded beside it: ``category information`` and ``continuous information``, in nats.
        """
        codes = self.draw_codes(len(images))
        fake_logits, posterior = self.discriminator(self.generator(self._join(codes)))
        known = information(codes, posterior)
        return {
            "loss": generator_loss(fake_logits) - self._weighted(known),
            "category information": known.category,
            "continuous information": known.continuous,
        }

    def players(self) -> list[Player]:
        """The discriminator with its code head moves first, then the generator."""
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
                learning_rate=1e-3,
                betas=(0.5, 0.999),
            ),
        ]

    def sample(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` images of shape ``(n, C, H, W)`` in [0, 1]; the model is left unchanged."""
        with evaluating(self):
            return self.generate(self.draw_codes(n, rng=rng))

    def _join(self, codes: Codes) -> Tensor:
        """The generator's input ``(N, noise_dim + K + d)``: noise, one-hot category, continuous."""
        n = len(codes.noise)
        wanted = (n, self.noise_dim), (n,), (n, self.continuous)
        given = tuple(tuple(part.shape) for part in codes)
        if given != wanted:
            raise ValueError(
                f"noise, category and continuous codes must have shapes {wanted}, got {given}; "
                "start from model.draw_codes(n) and exchange parts by codes._replace(...)"
            )
        category = F.one_hot(codes.category, self.categories).to(codes.noise.dtype)
        return torch.cat([codes.noise, category, codes.continuous], dim=1)

    def _weighted(self, known: Information) -> Tensor:
        return self.weight * known.category + self.continuous_weight * known.continuous
