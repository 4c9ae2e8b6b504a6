r"""A network that reads and writes an image pixel by pixel, by masked convolutions alone.

The likelihood and the drawing are those of :class:`~companion.models.pixel_model.PixelModel`.

Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), *Pixel Recurrent Neural Networks*; the
two stacks are those of van den Oord et al. (2016), *Conditional Image Generation with PixelCNN
Decoders*.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks
from companion.models.masked import MaskedConv2d, Seen
from companion.models.pixel_model import Drawing, PixelModel


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
        TypeError, ValueError: if an argument is out of range.

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
        checks.integer("layers", layers)
        if stacks not in (1, 2):
            raise ValueError(f"stacks must be 2, or 1 with a blind spot, got {stacks}; use 2")
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

    def _start(self, n: int) -> Drawing:
        size = self.image_shape[1:]
        layers: Any = self.layers
        if self.stacks == 1:
            layers = [Seen(layer, n, size) for layer in layers]
            return Drawing([Seen(self.first, n, size)], layers)
        layers = [
            (layer, Seen(layer.vertical, n, size), Seen(layer.horizontal, n, size))
            for layer in layers
        ]
        return Drawing([Seen(self.first_above, n, size), Seen(self.first_left, n, size)], layers)

    def _read_rows(self, drawing: Drawing, i: int) -> None:
        if self.stacks == 1:
            return
        v = drawing.image[0].row(i) + self.place[:, i]  # (N, width, W)
        drawing.rows = []
        for layer, seen, _ in drawing.layers:
            seen.write(i, slice(None), v)
            a = seen.row(i)
            drawing.rows.append(layer.link(a[:, :, None])[:, :, 0])
            v = _gate(a)

    def _output_at(self, drawing: Drawing, i: int, j: int) -> Tensor:
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


def _gate(x: Tensor) -> Tensor:
    content, gate = x.chunk(2, dim=1)
    return content.tanh() * gate.sigmoid()
