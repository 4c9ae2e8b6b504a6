r"""A recurrent network that reads and writes an image row by row, with an exact likelihood.

By the chain rule over rows, and over the pixels of a row,

.. math::

    \log p(x) = \sum_{t=1}^{H} \log p(x_t \mid x_{<t}), \qquad
    \log p(x_t \mid x_{<t}) = \sum_{j=1}^{W} \log p(x_{t,j} \mid x_{t,<j}, h_t),

where the state :math:`h_t` of the recurrent network has read all rows above row :math:`t`. It
is trained by maximum likelihood of the next row with the true rows as input (teacher forcing).

Source: Graves (2013), *Generating Sequences With Recurrent Neural Networks*, section 2; rows as
steps follow van den Oord et al. (2016), *Pixel Recurrent Neural Networks*, section 2.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks
from companion.game import Player
from companion.layers import evaluating, model_input, reference
from companion.likelihoods import (
    discretized_mixture_log_prob,
    discretized_mixture_sample,
    spread_components,
)
from companion.models.sequence_model import CELLS


class RowRNN(nn.Module):
    r"""A density over images, written one row at a time.

    For row :math:`t` and its pixel :math:`j`, with the row :math:`x_{t-1}` above,

    .. math::

        h_t = \mathrm{cell}(x_{t-1}, h_{t-1}), \qquad
        a_{t,j} = \mathrm{SiLU}(W_j h_t + U\,[x_{t,j-k}, \ldots, x_{t,j-1}]), \qquad
        x_{t,j} \sim \mathrm{mixture}(V a_{t,j}).

    The network runs once per row; only the small map :math:`U, V` runs once per pixel.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"``.
        hidden_size: length of the state :math:`h_t`.
        features: length of :math:`a_{t,j}`.
        context: how many pixels to the left, :math:`k`, a pixel looks at; with 0 the pixels of a
            row are independent of each other given the rows above.
        components: mixture components per pixel.
        image_shape: ``(1, H, W)``, gray images of any size.

    Attributes:
        rnn: rows ``(N, T, W)`` to states ``(N, T, hidden_size)`` and a last state; may be exchanged
            for your own, if its last state can be given back to it.
        context: how many pixels to the left a pixel looks at.
        image_shape: ``(1, H, W)``.

    Raises:
        ValueError: if the cell is unknown or the images have more than one channel.

    Source: Graves (2013); the pixels' likelihood is that of Salimans et al. (2017).
    """

    tasks = ("likelihood", "images")

    def __init__(
        self,
        cell: str = "lstm",
        hidden_size: int = 128,
        features: int = 16,
        context: int = 6,
        components: int = 3,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__()
        checks.one_of("cell", cell, CELLS)
        self.image_shape = checks.image_shape(image_shape, channels=1)
        self.context = checks.integer("context", context, least=0)
        for name, value in (("hidden_size", hidden_size), ("features", features)):
            checks.integer(name, value)
        checks.integer("components", components, remedy="use 3, say")
        _, _, width = self.image_shape
        self.rnn = CELLS[cell](width, hidden_size, batch_first=True)
        self.to_features = nn.Linear(hidden_size, width * features)  # W_1, ..., W_W
        self.from_left = nn.Linear(2 * context, features, bias=False) if context else None  # U
        self.to_mixture = nn.Linear(features, 3 * components)  # V
        spread_components(self.to_mixture.bias)

    def parameters_of(self, images: Tensor) -> Tensor:
        """Parameters of each pixel's mixture given what precedes it, ``(N, 3K, H, W)``.

        Raises:
            TypeError, ValueError: if the images are not floats in [0, 1] of the model's shape.
        """
        images = model_input(self, images, self.image_shape)
        rows = images[:, 0]  # (N, H, W)
        above = F.pad(2 * rows[:, :-1] - 1, (0, 0, 1, 0))  # row t sees t-1; the first sees zeros
        states, _ = self.rnn(above)  # (N, H, hidden_size)
        return self._mixture(states, F.pad(rows, (self.context, 0), value=-1.0))

    def _mixture(self, states: Tensor, padded: Tensor) -> Tensor:
        """States ``(N, T, hidden_size)`` and rows padded on the left to mixture parameters."""
        width = self.image_shape[2]
        a = self.to_features(states).unflatten(2, (width, -1))  # (N, T, W, features)
        if self.from_left is not None:
            a = a + self.from_left(_left_of(padded, self.context)[:, :, :width])
        return self.to_mixture(F.silu(a)).permute(0, 3, 1, 2)  # (N, 3K, T, W)

    def log_prob(self, images: Tensor) -> Tensor:
        """Exact log-likelihood of 8-bit images in [0, 1], nats, shape ``(N,)``."""
        parameters = self.parameters_of(images)
        return discretized_mixture_log_prob(parameters, images).sum(dim=(1, 2, 3))

    def loss(self, images: Tensor) -> Tensor:
        r"""Mean of :math:`-\log p(x)` over the batch, nats per image."""
        return -self.log_prob(images).mean()

    def players(self) -> list[Player]:
        """One player moves all weights."""
        return [Player("negative log-likelihood", self, self.loss, learning_rate=2e-3)]

    def log_prob_bound(self, images: Tensor) -> Tensor:
        """The exact log-likelihood, nats, shape ``(N,)``, without gradient."""
        with evaluating(self):
            return self.log_prob(images)

    def sample(
        self, n: int, *, rng: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Draw ``n`` images of shape ``(n, 1, H, W)`` in [0, 1], from the first row to the last.

        Args:
            n: how many.
            rng: the generator to draw from; torch's default generator if it is not given.
            temperature: 1 draws from the model; lower values are safer and less varied.

        Raises:
            TypeError, ValueError: if ``n`` is no whole number of at least 0, ``rng`` no generator,
                or the temperature not positive.
        """
        count = checks.integer("n", n, least=0)
        start = reference(self).new_zeros(count, *self.image_shape)
        return self._complete(start, 0, rng, temperature)

    def complete(
        self,
        images: Tensor,
        known: int,
        *,
        rng: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Keep the first rows of each image and draw the others given them.

        Args:
            images: shape ``(N, 1, H, W)`` in [0, 1]; the rows to be drawn are not read.
            known: how many rows, from 0 (draw everything) to ``H`` (draw nothing).
            rng: the generator to draw from; torch's default generator if it is not given.
            temperature: 1 draws from the model; lower values are safer and less varied.

        Returns:
            New images of the same shape.

        Raises:
            TypeError, ValueError: if the images do not fit or ``known`` is out of range.
        """
        images = model_input(self, images, self.image_shape)
        remedy = "give a number of rows"
        rows = checks.integer("known", known, least=0, most=self.image_shape[1], remedy=remedy)
        return self._complete(images, rows, rng, temperature)

    def _complete(
        self, images: Tensor, known: int, rng: torch.Generator | None, temperature: float
    ) -> Tensor:
        checks.generator(rng)
        images, height = images.clone(), self.image_shape[1]
        with evaluating(self):
            state = None
            above = torch.zeros_like(images[:, 0, :1])  # what the first row sees
            for t in range(height):
                hidden, state = self.rnn(above, state)  # (N, 1, hidden_size)
                if t >= known:
                    images[:, 0, t] = self._draw_row(hidden, rng, temperature)
                above = 2 * images[:, 0, t : t + 1] - 1
        return images

    def _draw_row(self, hidden: Tensor, rng: torch.Generator | None, temperature: float) -> Tensor:
        """One row ``(N, W)`` given the state that has read the rows above."""
        width = self.image_shape[2]
        a = self.to_features(hidden).unflatten(2, (width, -1))  # (N, 1, W, features)
        row = hidden.new_full((len(hidden), 1, self.context + width), -1.0)
        for j in range(width):
            a_j = a[:, :, j : j + 1]
            if self.from_left is not None:
                left = row[:, :, j : j + self.context]
                a_j = a_j + self.from_left(_with_black(left))[:, :, None]
            parameters = self.to_mixture(F.silu(a_j)).permute(0, 3, 1, 2)  # (N, 3K, 1, 1)
            pixel = discretized_mixture_sample(parameters, rng=rng, temperature=temperature)
            row[:, :, self.context + j] = pixel[:, 0, :, 0]
        return row[:, 0, self.context :]


def _left_of(padded: Tensor, context: int) -> Tensor:
    """Windows of ``context`` pixels that end just before each pixel, with their flags."""
    return _with_black(padded.unfold(2, context, 1))


def _with_black(values: Tensor) -> Tensor:
    """Gray values and, beside them, flags for exact black: the background is a value apart."""
    return torch.cat([values, (values == 0).to(values.dtype)], dim=-1)
