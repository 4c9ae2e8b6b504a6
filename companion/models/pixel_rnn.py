r"""Networks that read and write an image pixel by pixel, with an exact likelihood.

By the chain rule over the pixels in the order of reading, row by row from the left,

.. math::

    \log p(x) = \sum_{i=1}^{H} \sum_{j=1}^{W} \log p(x_{i,j} \mid x_{<i},\, x_{i,<j}),

one network gives all conditional distributions at once, if its output for a pixel depends on no
pixel at or after it. :class:`PixelRNN` remembers the rows above by a row LSTM; :class:`PixelCNN`
sees them by masked convolutions. Both are trained by maximum likelihood with the true pixels as
input, and both draw an image pixel after pixel.

Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), *Pixel Recurrent Neural Networks*; the
two stacks are those of van den Oord et al. (2016), *Conditional Image Generation with PixelCNN
Decoders*.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion.data import check_images
from companion.game import Player
from companion.layers import evaluating
from companion.likelihoods import (
    bernoulli_log_prob,
    check_binary,
    discretized_mixture_log_prob,
    discretized_mixture_sample,
)

KINDS = ("A", "B", "above", "rows")


class MaskedConv2d(nn.Conv2d):
    r"""A convolution that looks back only.

    With the pixel :math:`(i, j)` at the center of the kernel, the weights are zero except at

    ======= ==========================================================================
    "A"     rows above, and the pixels to the left in row :math:`i`: for the image itself
    "B"     the same and :math:`(i, j)`: for features, which have seen no pixel too many
    "above" rows above only: for the image
    "rows"  rows above and all of row :math:`i`: for features that have seen rows above only
    ======= ==========================================================================

    What lies outside the image counts as zero. The part of the kernel below row :math:`i`, or, in
    a kernel of one row, to the right of :math:`j`, is not even stored.

    Args:
        kind: of mask, see above.
        in_channels, out_channels: as for a convolution.
        kernel: height and width of the whole window, both odd.

    Raises:
        ValueError: if the kind is unknown or the kernel's height or width even.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), section 3.4.
    """

    mask: Tensor

    def __init__(
        self, kind: str, in_channels: int, out_channels: int, kernel: tuple[int, int] = (3, 3)
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(map(repr, KINDS))}, got {kind!r}")
        if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
            raise ValueError(
                f"kernel must be odd, or no pixel is at its center, got {tuple(kernel)}; "
                "use (3, 3) or (1, 7)"
            )
        self.above, self.left = kernel[0] // 2, kernel[1] // 2
        self.right = self.left if self.above else 0
        super().__init__(in_channels, out_channels, (self.above + 1, self.left + 1 + self.right))
        mask = torch.ones(self.kernel_size)
        first_unseen = {"A": self.left, "B": self.left + 1, "above": 0}
        if kind in first_unseen:
            mask[-1, first_unseen[kind] :] = 0
        self.register_buffer("mask", mask, persistent=False)

    @property
    def seen(self) -> Tensor:
        """The weights with those of unseen pixels set to zero."""
        return self.weight * self.mask

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_channels, H, W)`` to ``(N, out_channels, H, W)``."""
        x = F.pad(x, (self.left, self.right, self.above, 0))
        return F.conv2d(x, self.seen, self.bias)


class RowLSTM(nn.Module):
    r"""An LSTM whose steps are rows, and whose state is a row of vectors.

    .. math::

        [o_i, f_i, i_i, g_i] &= K^{is} \circledast x_i + K^{ss} \circledast h_{i-1}, \\
        c_i &= \sigma(f_i) \odot c_{i-1} + \sigma(i_i) \odot \tanh(g_i), \\
        h_i &= \sigma(o_i) \odot \tanh(c_i),

    where the convolution over the inputs of row :math:`i` is masked (kind B, two pixels wide) and
    the one over the state of the row above is not (three pixels wide). So a vector of the state
    has seen what lies to its left in its row, and a triangle of what lies above.

    Args:
        hidden_size: length of each vector, in the inputs and in the state.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), section 3.1, eq. 3.
    """

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.from_inputs = MaskedConv2d("B", hidden_size, 4 * hidden_size, (1, 3))  # K^is
        self.from_state = nn.Linear(3 * hidden_size, 4 * hidden_size, bias=False)  # K^ss
        with torch.no_grad():
            self.from_inputs.bias[hidden_size : 2 * hidden_size] = 1  # type: ignore[index]

    def forward(self, x: Tensor) -> Tensor:
        """All states: ``(N, hidden_size, H, W)`` to the same shape."""
        gates = self.from_inputs(x).permute(2, 0, 3, 1)  # (H, N, W, 4 hidden_size)
        h = c = x.new_zeros(len(x), x.shape[3], x.shape[1])  # (N, W, hidden_size)
        states = []
        for row in gates:
            h, c = self.step(row + self.read_state(h), c)
            states.append(h)
        return torch.stack(states, dim=1).permute(0, 3, 1, 2)

    def read_state(self, h: Tensor) -> Tensor:
        """The convolution over the state of the row above, ``(N, W, hidden_size)``."""
        wide = F.pad(h, (0, 0, 1, 1))
        return self.from_state(torch.cat([wide[:, :-2], h, wide[:, 2:]], dim=2))

    def step(self, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """State and memory from the sums for the four gates and the memory of the row above."""
        o, f, i, g = gates.chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class GatedLayer(nn.Module):
    r"""One layer of two stacks: what is above, and what is to the left.

    .. math::

        a &= W_{rows} * v, &\quad v' &= \tanh(a_1) \odot \sigma(a_2), \\
        b &= W_{B} * h + W_{link}\, a, & h' &= h + W_{out} (\tanh(b_1) \odot \sigma(b_2)).

    The vertical features :math:`v` have seen all rows above and nothing else, so they may be
    convolved to both sides; the horizontal ones :math:`h` receive them, and look to the left.

    Args:
        width: channels of either stack.

    Source: van den Oord et al. (2016), *Conditional Image Generation*, figure 2 and eq. 2.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.vertical = MaskedConv2d("rows", width, 2 * width, (3, 3))
        self.horizontal = MaskedConv2d("B", width, 2 * width, (1, 3))
        self.link = nn.Conv2d(2 * width, 2 * width, 1)
        self.out = nn.Conv2d(width, width, 1)

    def forward(self, v: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """The two stacks, each ``(N, width, H, W)``, to the next layer's."""
        a = self.vertical(v)
        return _gate(a), h + self.out(_gate(self.horizontal(h) + self.link(a)))


class PixelModel(nn.Module):
    """What the two models share: the likelihood, and drawing pixel after pixel.

    A model computes the distributions of all pixels of given images at once in `_outputs`. To
    draw, it computes them one by one: `_start` makes room for what is to be kept, `_read_rows`
    does what can be done for a row once the rows above are known, `_output_at` the rest.

    Args:
        width: length of the vector at each pixel.
        components, levels, image_shape: see :class:`PixelRNN`.
    """

    tasks = ("likelihood", "images")

    def __init__(
        self, width: int, components: int, levels: int, image_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        if levels not in (2, 256):
            raise ValueError(
                f"levels must be 256 (8-bit gray) or 2 (black and white), got {levels}"
            )
        if len(image_shape) != 3 or image_shape[0] != 1:
            raise ValueError(
                f"image_shape must be (1, height, width): gray images, got {tuple(image_shape)}; "
                "average the channels first"
            )
        self.levels = levels
        self.image_shape = tuple(image_shape)
        self.place = nn.Parameter(torch.zeros(width, *image_shape[1:]))  # tells where a pixel is
        outputs = 3 * components if levels == 256 else 1
        self.to_output = nn.Sequential(
            nn.SiLU(), nn.Conv2d(width, width, 1), nn.SiLU(), nn.Conv2d(width, outputs, 1)
        )
        if levels == 256:
            with torch.no_grad():
                bias = self.to_output[-1].bias.view(3, components)  # type: ignore[operator]
                bias[1] = torch.linspace(0, 0.8, components)
                bias[2] = -2.0

    def parameters_of(self, images: Tensor) -> Tensor:
        """Parameters of each pixel's distribution given the pixels before it.

        Returns:
            Shape ``(N, 3K, H, W)``, of a mixture of K discretized logistics; or, with two
            levels, the logits ``(N, 1, H, W)`` of white.

        Raises:
            TypeError, ValueError: if the images are not floats in [0, 1] of the model's shape,
                or not black and white for a model of two levels.
        """
        check_images(images, self.image_shape)
        if self.levels == 2 and images.device.type == "cpu":
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
        like = next(self.parameters())
        start = torch.zeros(n, *self.image_shape, device=like.device, dtype=like.dtype)
        return self.complete(start, 0, rng=rng, temperature=temperature)

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
        check_images(images, self.image_shape)
        _, height, width = self.image_shape
        keep = self._mask(known)
        if temperature <= 0:
            raise ValueError(f"temperature must be positive, got {temperature}")
        images = torch.where(keep.to(images.device), images, 0)
        if self.levels == 2:
            check_binary(images)
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

    def _draw(self, output: Tensor, rng: torch.Generator | None, temperature: float) -> Tensor:
        """A pixel ``(N, 1)`` of each image from the parameters ``(N, P)`` of its distribution."""
        if self.levels == 256:
            parameters = output[:, :, None, None]
            pixel = discretized_mixture_sample(parameters, rng=rng, temperature=temperature)
            return pixel[:, :, 0, 0]
        where = rng.device if rng is not None else output.device
        u = torch.rand(output.shape, generator=rng, device=where, dtype=output.dtype)
        return (u.to(output.device) < torch.sigmoid(output / temperature)).to(output.dtype)

    def _mask(self, known: int | Tensor) -> Tensor:
        _, height, width = self.image_shape
        if isinstance(known, Tensor):
            if known.dtype != torch.bool or known.shape != (height, width):
                raise ValueError(
                    f"known must be a mask of booleans of shape ({height}, {width}), got "
                    f"{known.dtype} of shape {tuple(known.shape)}; or a number of rows"
                )
            return known
        if not 0 <= known <= height:
            raise ValueError(f"known must be between 0 and {height} rows, got {known}")
        return (torch.arange(height) < known)[:, None].expand(height, width)

    def _outputs(self, inputs: Tensor) -> Tensor:
        """Parameters of all distributions, ``(N, P, H, W)``."""
        raise NotImplementedError

    def _start(self, n: int) -> "_Drawing":
        """Room for what is kept while ``n`` images are drawn."""
        raise NotImplementedError

    def _read_rows(self, drawing: "_Drawing", i: int) -> None:
        """What can be computed for row ``i`` as soon as the rows above it are known."""
        raise NotImplementedError

    def _output_at(self, drawing: "_Drawing", i: int, j: int) -> Tensor:
        """Parameters ``(N, P)`` of one pixel's distribution, once all before it are known."""
        raise NotImplementedError


class PixelRNN(PixelModel):
    r"""A density over images, with a memory that goes from row to row.

    .. math::

        z = K_A * [x, x = 0] + p, \qquad z \leftarrow z + \mathrm{RowLSTM}(z), \qquad
        x_{i,j} \sim \mathrm{mixture}(f(z_{i,j}))

    A masked convolution (kind A, 7 by 7) reads the pixels and their flags of being black, a vector
    :math:`p_{i,j}` tells the place, one or more row LSTMs follow, and a small network :math:`f` at
    each pixel.

    Args:
        hidden_size: length of each vector of the state.
        layers: how many row LSTMs.
        components: mixture components per pixel.
        levels: 256 for 8-bit gray images; 2 for black-and-white ones, with one logit per pixel.
        image_shape: ``(1, H, W)``, gray images of any size.

    Raises:
        ValueError: if an argument is out of range.

    Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), sections 3.1 and 3.3; the
    likelihood of 8-bit pixels is that of Salimans et al. (2017).
    """

    def __init__(
        self,
        hidden_size: int = 32,
        layers: int = 1,
        components: int = 3,
        levels: int = 256,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__(hidden_size, components, levels, image_shape)
        self.first = MaskedConv2d("A", 2, hidden_size, (7, 7))
        self.layers = nn.ModuleList(RowLSTM(hidden_size) for _ in range(layers))

    def _outputs(self, inputs: Tensor) -> Tensor:
        z = self.first(inputs) + self.place
        for layer in self.layers:
            z = z + layer(z)
        return self.to_output(z)

    def _start(self, n: int) -> "_Drawing":
        size = self.image_shape[1:]
        layers: Any = self.layers
        room = (2, n, size[1], len(self.place))  # for the state and the memory of one row
        layers = [
            (layer, _Seen(layer.from_inputs, n, size), self.place.new_zeros(room))
            for layer in layers
        ]
        return _Drawing([_Seen(self.first, n, size)], layers)

    def _read_rows(self, drawing: "_Drawing", i: int) -> None:
        drawing.rows = [layer.read_state(state) for layer, _, (state, _) in drawing.layers]

    def _output_at(self, drawing: "_Drawing", i: int, j: int) -> Tensor:
        z = drawing.image[0].at(i, j) + self.place[:, i, j]
        for (layer, seen, rows), row in zip(drawing.layers, drawing.rows, strict=True):
            seen.write(i, j, z)
            # The state and memory above (i, j) are read for the last time here, and replaced.
            h, c = layer.step(seen.at(i, j) + row[:, j], rows[1, :, j])
            rows[0, :, j], rows[1, :, j] = h, c
            z = z + h
        return self.to_output(z[:, :, None, None])[:, :, 0, 0]


class PixelCNN(PixelModel):
    r"""A density over images by masked convolutions alone.

    With two stacks (the default) the layers are :class:`GatedLayer`, and each pixel is told of
    all pixels before it within reach. With one stack they are
    :math:`h' = h + K_B * \mathrm{SiLU}(h)` with 3 by 3 masks: simpler, but blind for a growing
    part of the rows above, on the right.

    Args:
        width: channels of a stack.
        layers: how many.
        stacks: 2, or 1 for the network with a blind spot.
        components: mixture components per pixel.
        levels: 256 for 8-bit gray images; 2 for black-and-white ones, with one logit per pixel.
        image_shape: ``(1, H, W)``, gray images of any size.

    Raises:
        ValueError: if an argument is out of range.

    Source: one stack: van den Oord, Kalchbrenner and Kavukcuoglu (2016), section 3.4; two: van den
    Oord et al. (2016), *Conditional Image Generation with PixelCNN Decoders*.
    """

    def __init__(
        self,
        width: int = 24,
        layers: int = 4,
        stacks: int = 2,
        components: int = 3,
        levels: int = 256,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ) -> None:
        super().__init__(width, components, levels, image_shape)
        if stacks not in (1, 2):
            raise ValueError(f"stacks must be 2, or 1 with a blind spot, got {stacks}")
        self.stacks = stacks
        if stacks == 1:
            self.first = MaskedConv2d("A", 2, width, (7, 7))
            self.layers = nn.ModuleList(MaskedConv2d("B", width, width) for _ in range(layers))
        else:
            self.first_above = MaskedConv2d("above", 2, width, (7, 7))
            self.first_left = MaskedConv2d("A", 2, width, (1, 7))
            self.layers = nn.ModuleList(GatedLayer(width) for _ in range(layers))

    def _outputs(self, inputs: Tensor) -> Tensor:
        if self.stacks == 1:
            h = self.first(inputs) + self.place
            for layer in self.layers:
                h = h + layer(F.silu(h))
            return self.to_output(h)
        v, h = self.first_above(inputs) + self.place, self.first_left(inputs)
        for layer in self.layers:
            v, h = layer(v, h)
        return self.to_output(h)

    def _start(self, n: int) -> "_Drawing":
        size = self.image_shape[1:]
        layers: Any = self.layers
        if self.stacks == 1:
            layers = [_Seen(layer, n, size) for layer in layers]
            return _Drawing([_Seen(self.first, n, size)], layers)
        layers = [
            (layer, _Seen(layer.vertical, n, size), _Seen(layer.horizontal, n, size))
            for layer in layers
        ]
        return _Drawing([_Seen(self.first_above, n, size), _Seen(self.first_left, n, size)], layers)

    def _read_rows(self, drawing: "_Drawing", i: int) -> None:
        if self.stacks == 1:
            return
        v = drawing.image[0].row(i) + self.place[:, i]  # (N, width, W)
        drawing.rows = []
        for layer, seen, _ in drawing.layers:
            seen.write(i, slice(None), v)
            a = seen.row(i)
            drawing.rows.append(layer.link(a[:, :, None])[:, :, 0])
            v = _gate(a)

    def _output_at(self, drawing: "_Drawing", i: int, j: int) -> Tensor:
        if self.stacks == 1:
            h = drawing.image[0].at(i, j) + self.place[:, i, j]
            for seen in drawing.layers:
                seen.write(i, j, F.silu(h))
                h = h + seen.at(i, j)
        else:
            h = drawing.image[1].at(i, j)
            for (layer, _, seen), row in zip(drawing.layers, drawing.rows, strict=True):
                seen.write(i, j, h)
                b = _gate(seen.at(i, j) + row[:, :, j])
                h = h + layer.out(b[:, :, None, None])[:, :, 0, 0]
        return self.to_output(h[:, :, None, None])[:, :, 0, 0]


class _Drawing:
    """What is kept while images are drawn: nothing is computed twice."""

    def __init__(self, image: list["_Seen"], layers: list[Any]) -> None:
        self.image = image  # what the convolutions of the image have seen of it
        self.layers = layers  # the same for each layer, and its state
        self.rows: list[Tensor] = []  # of each layer, what the row being drawn gets from above


class _Seen:
    """The inputs of a masked convolution so far, in the frame of zeros that it sees around them."""

    def __init__(self, conv: MaskedConv2d, n: int, size: tuple[int, ...]) -> None:
        self.conv, self.weight = conv, conv.seen
        height, width = size[0] + conv.above, conv.left + size[1] + conv.right
        self.values = self.weight.new_zeros(n, conv.in_channels, height, width)
        first = conv.left
        self.inside = self.values[:, :, conv.above :, first : first + size[1]]

    def write(self, i: int, j: int | slice, values: Tensor) -> None:
        """Inputs ``(N, in_channels)`` of one pixel; or of a row, with one dimension more."""
        self.inside[:, :, i, j] = values

    def row(self, i: int) -> Tensor:
        """The convolution in row ``i``: ``(N, out_channels, W)``."""
        window = self.values[:, :, i : i + self.conv.above + 1]
        return F.conv2d(window, self.weight, self.conv.bias)[:, :, 0]

    def at(self, i: int, j: int) -> Tensor:
        """The convolution at one pixel: ``(N, out_channels)``."""
        rows, columns = self.weight.shape[2:]
        window = self.values[:, :, i : i + rows, j : j + columns]
        return F.linear(window.flatten(1), self.weight.flatten(1), self.conv.bias)


def _inputs(pixels: Tensor) -> Tensor:
    """Gray values and, beside them, flags for exact black: the background is a value apart.

    Zeros around the image are then no black pixels: their flag is zero, too.
    """
    return torch.cat([pixels, (pixels == 0).to(pixels.dtype)], dim=1)


def _gate(x: Tensor) -> Tensor:
    content, gate = x.chunk(2, dim=1)
    return content.tanh() * gate.sigmoid()
