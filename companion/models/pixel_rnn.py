r"""A network that reads and writes an image pixel by pixel, with a memory from row to row.

By the chain rule over the pixels in the order of reading (see
:class:`~companion.models.pixel_model.PixelModel`), one network gives all conditional distributions
at once, if its output for a pixel depends on no pixel at or after it. The row LSTM remembers the
rows above. It is trained by maximum likelihood with the true pixels as input.

Source: van den Oord, Kalchbrenner and Kavukcuoglu (2016), *Pixel Recurrent Neural Networks*.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks
from companion.models.masked import MaskedConv2d, Seen
from companion.models.pixel_model import Drawing, PixelModel


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
        TypeError, ValueError: if an argument is out of range.

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
        checks.integer("hidden_size", hidden_size, remedy="use 32, say")
        checks.integer("layers", layers)
        super().__init__(hidden_size, components, levels, image_shape)
        self.first = MaskedConv2d("A", 2, hidden_size, (7, 7))
        self.layers = nn.ModuleList(RowLSTM(hidden_size) for _ in range(layers))

    def _outputs(self, inputs: Tensor) -> Tensor:
        z = self.first(inputs) + self.place
        for layer in self.layers:
            z = z + layer(z)
        return self.to_output(z)

    def _start(self, n: int) -> Drawing:
        size = self.image_shape[1:]
        layers: Any = self.layers
        room = (2, n, size[1], len(self.place))  # for the state and the memory of one row
        layers = [
            (layer, Seen(layer.from_inputs, n, size), self.place.new_zeros(room))
            for layer in layers
        ]
        return Drawing([Seen(self.first, n, size)], layers)

    def _read_rows(self, drawing: Drawing, i: int) -> None:
        drawing.rows = [layer.read_state(state) for layer, _, (state, _) in drawing.layers]

    def _output_at(self, drawing: Drawing, i: int, j: int) -> Tensor:
        z = drawing.image[0].at(i, j) + self.place[:, i, j]
        for (layer, seen, rows), row in zip(drawing.layers, drawing.rows, strict=True):
            seen.write(i, j, z)
            # The state and memory above (i, j) are read for the last time here, and replaced.
            h, c = layer.step(seen.at(i, j) + row[:, j], rows[1, :, j])
            rows[0, :, j], rows[1, :, j] = h, c
            z = z + h
        return self.to_output(z[:, :, None, None])[:, :, 0, 0]
