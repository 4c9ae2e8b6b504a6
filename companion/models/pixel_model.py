r"""What the models share that read and write an image pixel by pixel: likelihood and drawing.

By the chain rule over the pixels in the order of reading, row by row from the left,

.. math::

    \log p(x) = \sum_{i=1}^{H} \sum_{j=1}^{W} \log p(x_{i,j} \mid x_{<i},\, x_{i,<j}),

one network gives all conditional distributions at once, if its output for a pixel depends on no
pixel at or after it.

Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), *Pixel Recurrent Neural Networks*.
"""

from typing import Any

import torch
from torch import Tensor, nn

from companion import checks, noise
from companion.game import Player
from companion.layers import evaluating, model_input
from companion.likelihoods import (
    bernoulli_log_prob,
    check_binary,
    discretized_mixture_log_prob,
    discretized_mixture_sample,
    spread_components,
)
from companion.models.masked import Seen


class PixelModel(nn.Module):
    """What the two models share: the likelihood, and drawing pixel after pixel.

    A model computes the distributions of all pixels of given images at once in `_outputs`, which
    is all that drawing needs: :meth:`draw_slowly` says in eight lines what is drawn. To draw fast,
    a model computes them one by one: `_start` makes room for what is to be kept, `_read_rows`
    does what can be done for a row once the rows above are known, `_output_at` the rest.

    Args:
        width: length of the vector at each pixel.
        components, levels, image_shape: see :class:`~companion.models.pixel_rnn.PixelRNN`.
    """

    tasks = ("likelihood", "images")

    def __init__(
        self, width: int, components: int, levels: int, image_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        if levels not in (2, 256):
            raise ValueError(
                f"levels must be 256 (8-bit gray) or 2 (black and white), got {levels}; use 256"
            )
        checks.integer("width", width, remedy="use 32, say")
        checks.integer("components", components, remedy="use 3, say")
        self.levels = levels
        self.image_shape = checks.image_shape(image_shape, channels=1)
        self.place = nn.Parameter(
            torch.zeros(width, *self.image_shape[1:])
        )  # tells where a pixel is
        outputs = 3 * components if levels == 256 else 1
        self.to_output = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, outputs, 1)
        )
        if levels == 256:
            spread_components(self.to_output[-1].bias)  # type: ignore[arg-type]

    def parameters_of(self, images: Tensor) -> Tensor:
        """Parameters of each pixel's distribution given the pixels before it.

        Returns:
            Shape ``(N, 3K, H, W)``, of a mixture of K discretized logistics; or, with two
            levels, the logits ``(N, 1, H, W)`` of white.

        Raises:
            TypeError, ValueError: if the images are not floats in [0, 1] of the model's shape,
                or not black and white for a model of two levels.
        """
        images = model_input(self, images, self.image_shape)
        if self.levels == 2:
            check_binary(images)
        return self._outputs(pixels_and_flags(images)).to(images.dtype)

    def pixel_log_prob(self, images: Tensor) -> Tensor:
        """Log-probability of each pixel given those before it, nats, shape ``(N, 1, H, W)``."""
        parameters = self.parameters_of(images)
        if self.levels == 2:
            return bernoulli_log_prob(parameters, images)
        return discretized_mixture_log_prob(parameters, images)

    def log_prob(self, images: Tensor) -> Tensor:
        """Exact log-likelihood of images in [0, 1], nats, shape ``(N,)``."""
        return self.pixel_log_prob(images).sum(dim=(1, 2, 3))

    def loss(self, images: Tensor) -> Tensor:
        r"""Mean of :math:`-\log p(x)` over the batch, nats per image."""
        return -self.log_prob(images).mean()

    def players(self) -> list[Player]:
        """One player moves all weights."""
        return [Player("negative log-likelihood", self, self.loss, learning_rate=3e-3)]

    def log_prob_bound(self, images: Tensor) -> Tensor:
        """The exact log-likelihood, nats, shape ``(N,)``, without gradient."""
        with evaluating(self):
            return self.log_prob(images)

    def sample(
        self, n: int, *, rng: torch.Generator | None = None, temperature: float = 1.0
    ) -> Tensor:
        """Draw ``n`` images of shape ``(n, 1, H, W)`` in [0, 1], pixel after pixel.

        Args:
            n: how many.
            rng: the generator to draw from; torch's default generator if it is not given.
            temperature: 1 draws from the model; lower values are safer and less varied.

        Raises:
            TypeError, ValueError: if ``n`` is no whole number of at least 0, ``rng`` no generator,
                or the temperature not positive.
        """
        count = checks.integer("n", n, least=0)
        start = self.place.new_zeros(count, *self.image_shape)
        return self._complete(start, self._mask(0), rng, temperature)

    def complete(
        self,
        images: Tensor,
        known: int | Tensor,
        *,
        rng: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Keep the known pixels of each image and draw the others, each given those before it.

        A drawn pixel does not look ahead: if known pixels follow it, the result is no draw from
        the distribution given them all.

        Args:
            images: shape ``(N, 1, H, W)`` in [0, 1]; the pixels to be drawn are not read.
            known: how many rows, from the top; or a mask ``(H, W)``, true where a pixel is known.
            rng: the generator to draw from; torch's default generator if it is not given.
            temperature: 1 draws from the model; lower values are safer and less varied.

        Returns:
            New images of the same shape.

        Raises:
            TypeError, ValueError: if the images or what is known do not fit.
        """
        images = model_input(self, images, self.image_shape)
        return self._complete(images, self._mask(known), rng, temperature)

    def _complete(
        self, images: Tensor, known: Tensor, rng: torch.Generator | None, temperature: float
    ) -> Tensor:
        _, height, width = self.image_shape
        checks.generator(rng)
        checks.number("temperature", temperature, above=0, remedy="use 1.0 for the model itself")
        images = torch.where(known.to(images.device), images, 0)
        if self.levels == 2:
            check_binary(images)
        known_pixels = known.tolist()
        with evaluating(self):
            drawing = self._start(len(images))
            for i in range(height):
                self._read_rows(drawing, i)
                for j in range(width):
                    output = self._output_at(drawing, i, j)
                    if not known_pixels[i][j]:
                        images[:, :, i, j] = self._draw(output, rng, temperature)
                    for seen in drawing.image:
                        seen.write(i, j, pixels_and_flags(images[:, :, i, j]))
        return images

    def draw_slowly(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        """What :meth:`sample` draws, by a whole pass of the network for every single pixel."""
        images = self.place.new_zeros(checks.integer("n", n, least=0), *self.image_shape)
        with evaluating(self):
            for i in range(self.image_shape[1]):
                for j in range(self.image_shape[2]):
                    output = self.parameters_of(images)[:, :, i, j]
                    images[:, :, i, j] = self._draw(output, rng, temperature=1.0)
        return images

    def _draw(self, output: Tensor, rng: torch.Generator | None, temperature: float) -> Tensor:
        """A pixel ``(N, 1)`` of each image from the parameters ``(N, P)`` of its distribution."""
        if self.levels == 256:
            parameters = output[:, :, None, None]
            pixel = discretized_mixture_sample(parameters, rng=rng, temperature=temperature)
            return pixel[:, :, 0, 0]
        u = noise.uniform(*output.shape, like=output, rng=rng)
        return (u < torch.sigmoid(output / temperature)).to(output.dtype)

    def _mask(self, known: int | Tensor) -> Tensor:
        _, height, width = self.image_shape
        if isinstance(known, Tensor):
            if known.dtype != torch.bool or known.shape != (height, width):
                raise ValueError(
                    f"known must be a mask of booleans of shape ({height}, {width}), got "
                    f"{known.dtype} of shape {tuple(known.shape)}; or a number of rows"
                )
            return known
        remedy = "give a number of rows, or a mask of booleans"
        rows = checks.integer("known", known, least=0, most=height, remedy=remedy)
        return (torch.arange(height) < rows)[:, None].expand(height, width)

    def _outputs(self, inputs: Tensor) -> Tensor:
        """Parameters of all distributions, ``(N, P, H, W)``."""
        raise NotImplementedError

    def _start(self, n: int) -> "Drawing":
        """Room for what is kept while ``n`` images are drawn."""
        raise NotImplementedError

    def _read_rows(self, drawing: "Drawing", i: int) -> None:
        """What can be computed for row ``i`` as soon as the rows above it are known."""
        raise NotImplementedError

    def _output_at(self, drawing: "Drawing", i: int, j: int) -> Tensor:
        """Parameters ``(N, P)`` of one pixel's distribution, once all before it are known."""
        raise NotImplementedError


class Drawing:
    """What is kept while images are drawn: nothing is computed twice."""

    def __init__(self, image: list["Seen"], layers: list[Any]) -> None:
        self.image = image  # what the convolutions of the image have seen of it
        self.layers = layers  # the same for each layer, and its state
        self.rows: list[Tensor] = []  # of each layer, what the row being drawn gets from above


def pixels_and_flags(pixels: Tensor) -> Tensor:
    """Gray values and, beside them, flags for exact black: the background is a value apart.

    Zeros around the image are then no black pixels: their flag is zero, too.
    """
    return torch.cat([pixels, (pixels == 0).to(pixels.dtype)], dim=1)
