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

from companion.data import check_images
from companion.game import Player
from companion.layers import evaluating, standard_normal
from companion.likelihoods import bernoulli_log_prob, binarize, check_binary
from companion.models.vae import Elbo, gaussian_kl, reparameterize


class Window(NamedTuple):
    """A grid of N x N Gaussian filters on an image; each entry has shape ``(batch,)``."""

    y: Tensor  # the center, in pixels: 0 is the middle of the first row
    x: Tensor
    stride: Tensor  # pixels from filter to filter
    variance: Tensor  # of each filter, in squared pixels
    intensity: Tensor  # by which what is read is multiplied


def window(parameters: Tensor, points: int, height: int, width: int) -> Window:
    r"""Where to look, from the five numbers that the decoder's state gives.

    .. math::

        (\tilde g_X, \tilde g_Y, \log\sigma^2, \log\tilde\delta, \log\gamma) = W h^{\mathrm{dec}},
        \qquad g_X = \tfrac12 (A - 1)(\tilde g_X + 1), \qquad
        \delta = \frac{\max(A, B) - 1}{N - 1}\,\tilde\delta

    for an image of width A and height B, whose pixels we number from 0 (the paper: from 1). With
    all five at 0 the window covers the whole image.

    Args:
        parameters: shape ``(batch, 5)``.
        points: filters along each side, N, at least 2.
        height, width: of the image.

    Source: Gregor et al. (2015), eq. 21 to 24.
    """
    x, y, log_variance, log_stride, log_intensity = parameters.unbind(dim=1)
    return Window(
        y=0.5 * (height - 1) * (y + 1),
        x=0.5 * (width - 1) * (x + 1),
        stride=(max(height, width) - 1) / (points - 1) * log_stride.exp(),
        variance=log_variance.exp(),
        intensity=log_intensity.exp(),
    )


def filterbank(center: Tensor, stride: Tensor, variance: Tensor, points: int, size: int) -> Tensor:
    r"""The Gaussian filters along one axis, each row summing to one.

    .. math::

        F_{ia} = \frac{1}{Z_i} \exp\!\left(-\frac{(a - \mu_i)^2}{2\sigma^2}\right), \qquad
        \mu_i = g + \left(i - \tfrac{N - 1}{2}\right)\delta

    A softmax over the pixels does the same, and divides by no zero where a filter lies far
    outside of the image.

    Args:
        center, stride, variance: g, delta and sigma squared, shape ``(batch,)`` each.
        points: N.
        size: pixels along the axis.

    Returns:
        Shape ``(batch, N, size)``.

    Source: Gregor et al. (2015), eq. 19, 20, 25 and 26.
    """
    offsets = torch.arange(points, device=center.device) - (points - 1) / 2
    mu = center[:, None] + offsets * stride[:, None]  # (batch, N)
    pixels = torch.arange(size, device=center.device, dtype=center.dtype)
    squared = (pixels - mu[..., None]).square()
    return torch.softmax(-squared / (2 * variance[:, None, None]), dim=2)


def read(images: Tensor, look: Window, points: int) -> Tensor:
    r"""What is seen through the window, :math:`\gamma\, F_Y\, x\, F_X^\top`.

    Args:
        images: shape ``(batch, C, H, W)``.
        look: the window.
        points: N.

    Returns:
        Shape ``(batch, C, N, N)``.

    Source: Gregor et al. (2015), eq. 27.
    """
    rows, columns = _filters(look, points, images.shape[-2], images.shape[-1])
    return look.intensity[:, None, None, None] * (rows @ images @ columns.mT)


def write(patch: Tensor, look: Window, height: int, width: int) -> Tensor:
    r"""A patch put on the canvas, :math:`\tfrac{1}{\gamma}\, F_Y^\top\, w\, F_X`.

    Args:
        patch: shape ``(batch, C, N, N)``.
        look: the window.
        height, width: of the canvas.

    Returns:
        Shape ``(batch, C, H, W)``.

    Source: Gregor et al. (2015), eq. 29.
    """
    rows, columns = _filters(look, patch.shape[-1], height, width)
    return (rows.mT @ patch @ columns) / look.intensity[:, None, None, None]


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

    Raises:
        ValueError: if a window has fewer than two filters a side, or there is no step.

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
        if steps < 1 or min(read_size, write_size) < 2:
            raise ValueError(
                "DRAW needs at least 1 step and windows of at least 2 filters a side, got "
                f"steps={steps}, read_size={read_size}, write_size={write_size}"
            )
        self.steps, self.latent_dim, self.hidden_size = steps, latent_dim, hidden_size
        self.read_size, self.write_size = read_size, write_size
        self.image_shape = tuple(image_shape)
        channels = image_shape[0]
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
        check_images(images, self.image_shape)
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
        return [Player("negative ELBO", self, self.loss, learning_rate=4e-3)]

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
        """
        with evaluating(self):
            z = standard_normal(self, n, self.steps, self.latent_dim, rng=rng)
            probabilities = torch.sigmoid(self.paint(z)[0][-1])
            return probabilities if mean else binarize(probabilities, rng=rng)


def _filters(look: Window, points: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Filters for rows ``(batch, 1, N, H)`` and for columns ``(batch, 1, N, W)``."""
    rows = filterbank(look.y, look.stride, look.variance, points, height)
    columns = filterbank(look.x, look.stride, look.variance, points, width)
    return rows[:, None], columns[:, None]
