r"""What the models that write an image pixel by pixel share: the likelihood, and the drawing.

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
from companion.layers import evaluating, model_input, reference
from companion.likelihoods import (
    bernoulli_log_prob,
    check_binary,
    discretized_mixture_log_prob,
    discretized_mixture_sample,
    spread_components,
)
from companion.models.masked import Seen


class Drawing:
    """What is kept while images are drawn: nothing is computed twice."""

    def __init__(self, image: list[Seen], layers: list[Any]) -> None:
        self.image = image  # what the convolutions of the image have seen of it
        self.layers = layers  # the same for each layer, and its state
        self.rows: list[Tensor] = []  # of each layer, what the row being drawn gets from above


class PixelModel(nn.Module):
    """What the two models share: the likelihood, and drawing pixel after pixel.

    A model computes the distributions of all pixels of given images at once in `_outputs`. To
    draw, it computes them one by one: `_start` makes room for what is to be kept, `_read_rows`
    does what can be done for a row once the rows above are known, `_output_at` the rest.

    Args:
        width: length of the vector at each pixel.
        components, levels, image_shape: see :class:`PixelRNN`.
    """

    tasks: tuple[str, ...] = ("likelihood", "images")

    def __init__(
        self, width: int, components: int, levels: int, image_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.levels = checks.one_of("levels", levels, (256, 2))
        checks.integer("components", components)
        self.image_shape = checks.image_shape(image_shape, channels=1)
        # Tells where a pixel is.
        self.place = nn.Parameter(torch.zeros(width, *self.image_shape[1:]))
        outputs = 3 * components if levels == 256 else 1
        self.to_output = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, outputs, 1)
        )
        if levels == 256:
            spread_components(self.to_output[-1].bias, components)  # type: ignore[arg-type]

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
        return self._outputs(_inputs(images)).to(images.dtype)

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
        """
        checks.integer("n", n, least=0)
        start = reference(self).new_zeros(n, *self.image_shape)
        return self.complete(start, 0, rng=rng, temperature=temperature) if n else start

    def complete(
        self,
        images: Tensor,
        known: int | Tensor,
        *,
        rng: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """Keep the known pixels of each image and draw the others, each given those before it.

        This is the fast way, which computes nothing twice; it equals :meth:`complete_slowly`.

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
        _, height, width = self.image_shape
        images, keep = self._given(images, known)
        checks.number("temperature", temperature, above=0)
        checks.generator(rng)
        known_pixels = keep.tolist()
        with evaluating(self):
            drawing = self._start(len(images))
            for i in range(height):
                self._read_rows(drawing, i)
                for j in range(width):
                    output = self._output_at(drawing, i, j)
                    if not known_pixels[i][j]:
                        images[:, :, i, j] = self._draw(output, rng, temperature)
                    for seen in drawing.image:
                        seen.write(i, j, _inputs(images[:, :, i, j]))
        return images

    def complete_slowly(
        self,
        images: Tensor,
        known: int | Tensor,
        *,
        rng: torch.Generator | None = None,
        temperature: float = 1.0,
    ) -> Tensor:
        """What :meth:`complete` does, as it reads: one pass over the whole image for each pixel.

        Arguments, result and errors are the same.
        """
        images, keep = self._given(images, known)
        with evaluating(self):
            for i, j in (~keep).nonzero().tolist():
                output = self._outputs(_inputs(images))[:, :, i, j]
                images[:, :, i, j] = self._draw(output, rng, temperature)
        return images

    def _given(self, images: Tensor, known: int | Tensor) -> tuple[Tensor, Tensor]:
        """The images, black where they are to be drawn, and the mask of what is known."""
        images, keep = model_input(self, images, self.image_shape), self._mask(known)
        images = torch.where(keep.to(images.device), images, 0)
        if self.levels == 2:
            check_binary(images)
        return images, keep

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
        remedy = f"give a number of rows, or a mask of booleans of shape ({height}, {width})"
        checks.integer("known", known, least=0, most=height, remedy=remedy)
        return (torch.arange(height) < known)[:, None].expand(height, width)

    def _outputs(self, inputs: Tensor) -> Tensor:
        """Parameters of all distributions, ``(N, P, H, W)``."""
        raise NotImplementedError

    def _start(self, n: int) -> Drawing:
        """Room for what is kept while ``n`` images are drawn."""
        raise NotImplementedError

    def _read_rows(self, drawing: Drawing, i: int) -> None:
        """What can be computed for row ``i`` as soon as the rows above it are known."""
        raise NotImplementedError

    def _output_at(self, drawing: Drawing, i: int, j: int) -> Tensor:
        """Parameters ``(N, P)`` of one pixel's distribution, once all before it are known."""
        raise NotImplementedError


def _inputs(pixels: Tensor) -> Tensor:
    """Gray values and, beside them, flags for exact black: the background is a value apart.

    Zeros around the image are then no black pixels: their flag is zero, too.
    """
    return torch.cat([pixels, (pixels == 0).to(pixels.dtype)], dim=1)
