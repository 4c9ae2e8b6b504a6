r"""DRAW: a recurrent variational autoencoder that looks at an image and paints it, patch by patch.

At each of T steps the network reads a small window of the image, draws a code, and adds a window
of strokes to the canvas, whose final state holds the logits of the pixels:

.. math::

    r_t &= \mathrm{read}(x,\; x - \sigma(c_{t-1}),\; h^{\mathrm{dec}}_{t-1}), &
    h^{\mathrm{enc}}_t &= \mathrm{LSTM}([r_t, h^{\mathrm{dec}}_{t-1}],\; h^{\mathrm{enc}}_{t-1}), \\
    z_t &\sim q(z_t \mid h^{\mathrm{enc}}_t), &
    h^{\mathrm{dec}}_t &= \mathrm{LSTM}(z_t,\; h^{\mathrm{dec}}_{t-1}), \\
    c_t &= c_{t-1} + \mathrm{write}(h^{\mathrm{dec}}_t). &&

It is trained as any variational autoencoder is, by the evidence lower bound, with one divergence
for each step:

.. math::

    \log p(x) \ge \mathbb{E}_q\!\left[\log p(x \mid \sigma(c_T))
    - \sum_{t=1}^T \mathrm{KL}(q(z_t \mid h^{\mathrm{enc}}_t) \,\|\, N(0, I))\right].

Source: Gregor et al. (2015), *DRAW: A Recurrent Neural Network For Image Generation*, sections 2
and 3.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from companion import checks
from companion.game import Player
from companion.layers import evaluating, model_input, standard_normal
from companion.likelihoods import bernoulli_log_prob, binarize, check_binary
from companion.models.glimpses import Window, read, window, write
from companion.models.vae import Elbo, gaussian_kl, reparameterize


class Glimpse(NamedTuple):
    """What happens at one step of DRAW."""

    canvas: Tensor  # after the step: logits, (N, C, H, W)
    mu: Tensor  # of q(z_t | ...), (N, latent_dim)
    logvar: Tensor
    read: Window
    write: Window


class DRAW(nn.Module):
    r"""A recurrent variational autoencoder of black-and-white images with attention.

    Args:
        steps: glimpses, T.
        latent_dim: dimensions of each of the T codes.
        hidden_size: units of the encoder's and of the decoder's LSTM.
        read_size, write_size: filters along the sides of the windows.
        image_shape: ``(C, H, W)``.

    Attributes:
        encoder: the LSTM cell that reads, with a state of ``hidden_size``.
        decoder: the LSTM cell that writes, with a state of ``hidden_size``.
        blank: the canvas before the first step, logits ``(C, H, W)``; it is learned.
        steps: glimpses, T.
        latent_dim: dimensions of each of the T codes.
        image_shape: ``(C, H, W)``.

    Raises:
        TypeError, ValueError: if a window has fewer than two filters a side, or there is no step.

    Source: Gregor et al. (2015).
    """

    binary = True  # a likelihood of black-and-white pixels: in nats, not in bits per dimension

    tasks = ("likelihood", "images")

    def __init__(
        self,
        steps: int = 8,
        latent_dim: int = 10,
        hidden_size: int = 128,
        read_size: int = 5,
        write_size: int = 5,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        self.steps = checks.integer("steps", steps, remedy="use 8, say")
        self.latent_dim = checks.integer("latent_dim", latent_dim, remedy="use 10, say")
        self.hidden_size = checks.integer("hidden_size", hidden_size, remedy="use 128, say")
        # A window of a single filter would have no stride.
        self.read_size = checks.integer("read_size", read_size, least=2)
        self.write_size = checks.integer("write_size", write_size, least=2)
        self.image_shape = checks.image_shape(image_shape)
        channels = self.image_shape[0]
        seen = 2 * channels * read_size**2
        self.encoder = nn.LSTMCell(seen + hidden_size, hidden_size)
        self.to_code = nn.Linear(hidden_size, 2 * latent_dim)
        self.decoder = nn.LSTMCell(latent_dim, hidden_size)
        self.to_read_window = nn.Linear(hidden_size, 5)
        self.to_write_window = nn.Linear(hidden_size, 5)
        self.to_patch = nn.Linear(hidden_size, channels * write_size**2)
        self.blank = nn.Parameter(torch.full(self.image_shape, -1.0))  # c_0, mostly black
        self._open_windows()

    def _open_windows(self) -> None:
        """Start with windows without gaps, and strokes that reach the canvas in full strength.

        A variance of 1, as five zeros give, leaves gaps between filters that are several pixels
        apart; and filters that sum to one over the pixels weaken a patch by the stride squared.
        """
        longest = max(self.image_shape[1:])
        for layer, points in (
            (self.to_read_window, self.read_size),
            (self.to_write_window, self.write_size),
        ):
            stride = (longest - 1) / (points - 1)
            with torch.no_grad():
                layer.bias[2] = 2 * math.log(stride / 2)  # sigma is half of the stride
                if layer is self.to_write_window:
                    layer.bias[4] = -2 * math.log(stride)

    def glimpses(self, images: Tensor) -> list[Glimpse]:
        """Read the images and paint them, one draw of each code: all T steps.

        Raises:
            TypeError, ValueError: if the images are not black and white, 0 or 1, of the model's
                shape; draw such ones with :func:`~companion.likelihoods.binarize`.
        """
        images = model_input(self, images, self.image_shape)
        check_binary(images)
        canvas, decoded = self._start(len(images), images)
        encoded = decoded
        result = []
        for _ in range(self.steps):
            look = self._window(self.to_read_window, decoded[0], self.read_size)
            both = torch.cat([images, images - torch.sigmoid(canvas)], dim=1)
            seen = read(both, look, self.read_size).flatten(1)
            encoded = self.encoder(torch.cat([seen, decoded[0]], dim=1), encoded)
            mu, logvar = self.to_code(encoded[0]).chunk(2, dim=1)
            canvas, decoded, place = self._paint(reparameterize(mu, logvar), canvas, decoded)
            result.append(Glimpse(canvas, mu, logvar, look, place))
        return result

    def paint(self, z: Tensor) -> tuple[Tensor, list[Window]]:
        """The canvas after each step, ``(T, N, C, H, W)`` in logits, and the windows written to.

        Args:
            z: the codes, shape ``(N, T, latent_dim)``; the prior is the standard normal.

        Raises:
            ValueError: if the codes do not have that shape.
        """
        if z.ndim != 3 or z.shape[1:] != (self.steps, self.latent_dim):
            raise ValueError(
                f"z must have shape (N, {self.steps}, {self.latent_dim}), got {tuple(z.shape)}; "
                "draw it with torch.randn(n, model.steps, model.latent_dim)"
            )
        canvas, decoded = self._start(len(z), z)
        canvases, places = [], []
        for code in z.unbind(dim=1):
            canvas, decoded, place = self._paint(code, canvas, decoded)
            canvases.append(canvas)
            places.append(place)
        return torch.stack(canvases), places

    def _start(self, n: int, like: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        zero = like.new_zeros(n, self.hidden_size)
        return self.blank.expand(n, -1, -1, -1), (zero, zero)

    def _window(self, layer: nn.Module, state: Tensor, points: int) -> Window:
        return window(layer(state), points, *self.image_shape[1:])

    def _paint(
        self, z: Tensor, canvas: Tensor, decoded: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor], Window]:
        """One step of the decoder: the next canvas and state, and where it wrote."""
        decoded = self.decoder(z, decoded)
        place = self._window(self.to_write_window, decoded[0], self.write_size)
        patch = self.to_patch(decoded[0]).unflatten(1, (-1, self.write_size, self.write_size))
        return canvas + write(patch, place, *self.image_shape[1:]), decoded, place

    def elbo(self, images: Tensor) -> Elbo:
        """Distortion and rate of black-and-white images, nats; the rate is that of all steps."""
        steps = self.glimpses(images)
        distortion = -bernoulli_log_prob(steps[-1].canvas, images).sum(dim=(1, 2, 3))
        mu = torch.cat([step.mu for step in steps], dim=1)
        logvar = torch.cat([step.logvar for step in steps], dim=1)
        return Elbo(distortion=distortion, rate=gaussian_kl(mu, logvar))

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        """The negative bound and its two terms, of images binarized anew: nats per image."""
        distortion, rate = self.elbo(binarize(images))
        return {
            "loss": (distortion + rate).mean(),
            "distortion": distortion.mean(),
            "rate": rate.mean(),
        }

    def players(self) -> list[Player]:
        """One player moves all weights."""
        return [Player("negative ELBO", self, self.loss, learning_rate=4e-3, least=0.0)]

    def log_prob_bound(self, images: Tensor) -> Tensor:
        """A one-sample estimate of the bound on log p(x), nats, shape ``(N,)``, no gradient.

        Raises:
            TypeError, ValueError: if the images are not black and white.
        """
        with evaluating(self):
            return self.elbo(images).value

    def sample(self, n: int, *, rng: torch.Generator | None = None, mean: bool = False) -> Tensor:
        """Draw black-and-white images: the codes from the prior, then the pixels.

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
            z = standard_normal(self, n, self.steps, self.latent_dim, rng=rng)
            probabilities = torch.sigmoid(self.paint(z)[0][-1])
            return probabilities if mean else binarize(probabilities, rng=rng)
