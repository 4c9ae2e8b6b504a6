r"""The VQ-VAE: an autoencoder whose code is a small grid of entries of a codebook, and a prior.

.. math::

    e = e_c, \quad c = \arg\min_j \|z - e_j\|^2, \qquad
    \log p(x) \ge \log p_\theta(x|e) + \log p_\psi(c)

The encoder gives one vector :math:`z` for each place of the grid, the quantizer its nearest entry
:math:`e`, and the decoder the pixels' distribution. The prior is a recurrent network that reads
and writes the grid of codes :math:`c` place by place. Since the code is a function of the image,
the right side is a bound on the likelihood: one term of the sum over all codes.

Source: van den Oord, Vinyals and Kavukcuoglu (2017), *Neural Discrete Representation Learning*.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks, noise
from companion.game import Player
from companion.layers import evaluating, model_input
from companion.likelihoods import (
    discretized_mixture_log_prob,
    discretized_mixture_mean,
    discretized_mixture_sample,
    spread_components,
)
from companion.models.quantizer import Quantized, VectorQuantizer, perplexity


class CodePrior(nn.Module):
    r"""A distribution over grids of codes, written place by place by an LSTM.

    .. math:: \log p(c) = \sum_{t=1}^{hw} \log p(c_t \mid c_{<t})

    The places are taken row by row. At each the network reads the code to the left and the one
    above, and which place it is; its state remembers what it has read. (The last code of a row
    has no right neighbor, so it is first read by the place below.)

    Args:
        codebook_size: how many codes there are.
        grid: height and width of the grid.
        hidden_size: length of the LSTM's state.
        embedding_dim: length of the vectors that stand for codes and places.

    Source: in the place of the PixelCNN of van den Oord et al. (2017), section 3.3, a recurrent
    network after Graves (2013).
    """

    def __init__(
        self,
        codebook_size: int,
        grid: tuple[int, int],
        hidden_size: int = 256,
        embedding_dim: int = 64,
    ) -> None:
        super().__init__()
        self.grid = grid
        self.outside = codebook_size  # stands for what lies beyond the grid's border
        self.left = nn.Embedding(codebook_size + 1, embedding_dim)
        self.above = nn.Embedding(codebook_size + 1, embedding_dim)
        self.place = nn.Parameter(torch.randn(grid[0] * grid[1], embedding_dim))
        self.lstm = nn.LSTM(embedding_dim, hidden_size, batch_first=True)
        self.to_logits = nn.Linear(hidden_size, codebook_size)

    def logits(self, codes: Tensor) -> Tensor:
        """Logits of each code given those before it: ``(N, h, w)`` to ``(N, h w, J)``."""
        left = F.pad(codes, (1, 0), value=self.outside)[:, :, :-1]
        above = F.pad(codes, (0, 0, 1, 0), value=self.outside)[:, :-1]
        inputs = self.left(left.flatten(1)) + self.above(above.flatten(1)) + self.place
        return self.to_logits(self.lstm(inputs)[0])

    def log_prob(self, codes: Tensor) -> Tensor:
        """Log-probability of grids of codes ``(N, h, w)``, nats, shape ``(N,)``."""
        logits = self.logits(codes).movedim(1, 2)  # (N, J, h w)
        return -F.cross_entropy(logits, codes.flatten(1), reduction="none").sum(dim=1)

    def sample(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """Draw ``n`` grids of codes, ``(n, h, w)``, one place after another."""
        height, width = self.grid
        device = self.place.device
        codes = torch.full((n, height + 1, width + 1), self.outside, device=device)
        state = None
        for t in range(height * width):
            i, j = divmod(t, width)
            inputs = self.left(codes[:, i + 1, j]) + self.above(codes[:, i, j + 1]) + self.place[t]
            hidden, state = self.lstm(inputs[:, None], state)
            shares = torch.softmax(self.to_logits(hidden[:, 0]), dim=1)
            codes[:, i + 1, j + 1] = noise.choice(shares, rng=rng)
        return codes[:, 1:, 1:]


class VQVAE(nn.Module):
    r"""An autoencoder with a grid of discrete codes, and a prior that draws such grids.

    Two players share the training: the autoencoder lowers

    .. math::

        L = -\log p_\theta(x|e) + \lambda \, \|z - \mathrm{sg}(e)\|^2

    per image (sg: no gradient through it), while the prior learns the codes of the moment.

    Args:
        codebook_size: entries of the codebook.
        code_dim: length of an entry.
        width: channels after the first convolution; all others have twice as many.
        components: mixture components per pixel.
        hidden_size: of the prior's state.
        commitment: :math:`\lambda`, the price of a squared distance from the codebook, in nats.
        moving_average, revive: how the codebook learns, see
            :class:`~companion.models.quantizer.VectorQuantizer`.
        image_shape: ``(C, H, W)``, with ``H`` and ``W`` multiples of 4.

    Attributes:
        encoder: images ``(N, C, H, W)`` in [-1, 1] to vectors ``(N, code_dim, H / 4, W / 4)``;
            may be exchanged for your own.
        quantizer: the codebook.
        decoder: entries ``(N, code_dim, H / 4, W / 4)`` to ``(N, 3KC, H, W)``, the parameters of a
            mixture of K components for each pixel; may be exchanged, too.
        prior: the network that draws grids of codes.
        codebook_size: entries of the codebook.
        grid: rows and columns of the codes, ``(H / 4, W / 4)``.
        image_shape: ``(C, H, W)``.

    Raises:
        TypeError, ValueError: if a size is no positive whole number, or ``image_shape`` not of
            that form.

    Source: van den Oord et al. (2017), eq. 3.
    """

    tasks = ("likelihood", "images")

    def __init__(
        self,
        codebook_size: int = 128,
        code_dim: int = 16,
        width: int = 16,
        components: int = 3,
        hidden_size: int = 128,
        commitment: float = 1.0,
        moving_average: bool = True,
        revive: bool = True,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.commitment = checks.number("commitment", commitment, least=0)
        self.codebook_size = checks.integer("codebook_size", codebook_size, remedy="use 128, say")
        self.image_shape = checks.image_shape(image_shape, multiple=4)
        for name, value in (("width", width), ("components", components)):
            checks.integer(name, value, remedy="use 16, say")
        checks.integer("hidden_size", hidden_size, remedy="use 128, say")
        channels, height, width_px = self.image_shape
        self.grid = (height // 4, width_px // 4)  # 28x28 -> 14x14 -> 7x7
        self.encoder = nn.Sequential(
            nn.Conv2d(channels, width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, code_dim, 1),
        )
        self.quantizer = VectorQuantizer(codebook_size, code_dim, moving_average, revive)
        self.decoder = nn.Sequential(
            nn.Conv2d(code_dim, 2 * width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(width, 3 * components * channels, 4, stride=2, padding=1),
        )
        self.prior = CodePrior(codebook_size, self.grid, hidden_size)
        spread_components(self.decoder[-1].bias, channels)  # type: ignore[arg-type]

    def quantize(self, images: Tensor) -> Quantized:
        """Encode images in [0, 1] and quantize the vectors.

        Raises:
            TypeError, ValueError: if the images are not floats in [0, 1] of the model's shape.
        """
        images = model_input(self, images, self.image_shape)
        return self.quantizer(self.encoder(2 * images - 1))

    def encode(self, images: Tensor) -> Tensor:
        """The grids of codes of images in [0, 1]: whole numbers ``(N, h, w)``, no gradient."""
        with evaluating(self):
            return self.quantize(images).codes

    def distortion(self, vectors: Tensor, images: Tensor) -> Tensor:
        r"""What the pixels cost if the code is known, :math:`-\log p(x|e)`: nats, ``(N,)``."""
        log_prob = discretized_mixture_log_prob(self.decoder(vectors), images)
        return -log_prob.sum(dim=(1, 2, 3))

    def autoencoder_loss(self, images: Tensor) -> dict[str, Tensor]:
        """Distortion and priced distance from the codebook, nats per image; mean of the batch."""
        quantized = self.quantize(images)
        distortion = self.distortion(quantized.vectors, images).mean()
        loss = distortion + self.commitment * quantized.commitment.mean()
        if not self.quantizer.moving_average:
            loss = loss + self.commitment * quantized.codebook.mean()
        used = perplexity(quantized.codes, self.codebook_size)
        return {"loss": loss, "distortion": distortion, "perplexity": used}

    def prior_loss(self, images: Tensor) -> Tensor:
        """What the codes cost under the prior, nats per image; mean of the batch."""
        return -self.prior.log_prob(self.encode(images)).mean()

    def players(self) -> list[Player]:
        """The autoencoder, and the prior over its codes."""
        autoencoder = nn.ModuleList([self.encoder, self.quantizer, self.decoder])
        return [
            Player("autoencoder", autoencoder, self.autoencoder_loss, learning_rate=2e-3),
            Player("prior", self.prior, self.prior_loss, learning_rate=2e-3),
        ]

    def log_prob_bound(self, images: Tensor) -> Tensor:
        """A lower bound on log p(x), not estimated but exact: nats, ``(N,)``, no gradient."""
        with evaluating(self):
            quantized = self.quantize(images)
            rate = -self.prior.log_prob(quantized.codes)
            return -self.distortion(quantized.vectors, images) - rate

    def decode(self, codes: Tensor) -> Tensor:
        """Mean images of grids of codes ``(N, h, w)``, no gradient.

        Raises:
            ValueError: if the codes are no whole numbers of that shape or not in the codebook.
        """
        self._check_codes(codes)
        with evaluating(self):
            parameters = self.decoder(self.quantizer.lookup(codes))
            return discretized_mixture_mean(parameters, channels=self.image_shape[0])

    def reconstruct(self, images: Tensor) -> Tensor:
        """Mean images decoded from the codes of the given images, no gradient."""
        return self.decode(self.encode(images))

    def sample(self, n: int, *, rng: torch.Generator | None = None, mean: bool = False) -> Tensor:
        """Draw images: the codes from the prior, then the pixels from p(x|e).

        Args:
            n: how many.
            rng: the generator to draw from; torch's default generator if it is not given.
            mean: show the mean of p(x|e) in place of a draw from it.

        Returns:
            Shape ``(n, C, H, W)``, values in [0, 1].

        Raises:
            TypeError, ValueError: if ``n`` is no whole number of at least 0, or ``rng`` no
                generator.
        """
        count, channels = checks.integer("n", n, least=0), self.image_shape[0]
        with evaluating(self):
            parameters = self.decoder(self.quantizer.lookup(self.prior.sample(count, rng=rng)))
            if mean:
                return discretized_mixture_mean(parameters, channels=channels)
            return discretized_mixture_sample(parameters, channels=channels, rng=rng)

    def _check_codes(self, codes: Tensor) -> None:
        shape = ("N", *self.grid)
        if codes.dtype != torch.long or codes.ndim != 3 or codes.shape[1:] != self.grid:
            raise ValueError(
                f"codes must be whole numbers (torch.long) of shape ({', '.join(map(str, shape))}),"
                f" got {codes.dtype} of shape {tuple(codes.shape)}; encode(images) gives such ones"
            )
        if not checks.values_are_readable(codes):
            return
        if len(codes) and not 0 <= int(codes.min()) <= int(codes.max()) < self.codebook_size:
            raise ValueError(
                f"codes must lie between 0 and {self.codebook_size - 1}, got "
                f"{int(codes.min())} to {int(codes.max())}; encode(images) gives such ones"
            )
