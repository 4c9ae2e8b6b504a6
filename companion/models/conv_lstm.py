r"""The convolutional LSTM: a recurrent network whose state is a picture, to predict the next ones.

.. math::

    i, f, g, o &= W_x * X_t + W_h * H_{t-1} + b, \\
    C_t &= \sigma(f) \odot C_{t-1} + \sigma(i) \odot \tanh(g), \\
    H_t &= \sigma(o) \odot \tanh(C_t),

the LSTM with a convolution :math:`*` in place of each matrix product, so that the state keeps the
layout of the frame and a motion is learned once for all places.

Source: Shi et al. (2015), *Convolutional LSTM Network*, eq. 3, without its peephole terms.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks
from companion.data import check_sequences, moving_fashion
from companion.data.moving import check_length
from companion.game import Player
from companion.layers import evaluating, reference

State = tuple[Tensor, Tensor]


class ConvLSTMCell(nn.Module):
    r"""One layer of the convolutional LSTM, run over a whole sequence.

    What the input adds to the gates, :math:`W_x * X_t + b`, does not depend on the state: it is
    computed for all steps at once.

    Args:
        channels: of the input :math:`X_t`; 0 for a layer that gets none.
        hidden_size: channels of the state :math:`H_t, C_t`.
        kernel_size: of both convolutions, odd.

    Source: Shi et al. (2015), eq. 3; the forget gate's bias starts at 1.
    """

    def __init__(self, channels: int, hidden_size: int, kernel_size: int = 3) -> None:
        super().__init__()
        if checks.integer("kernel_size", kernel_size, remedy="use 3") % 2 == 0:
            raise ValueError(
                f"kernel_size must be odd, so that a state keeps its place, got {kernel_size}; "
                "use 3 or 5"
            )
        checks.integer("hidden_size", hidden_size, remedy="use 32, say")
        self.hidden_size = hidden_size
        gates, padding = 4 * hidden_size, kernel_size // 2
        self.from_input = (
            nn.Conv2d(channels, gates, kernel_size, padding=padding, bias=False)
            if channels
            else None
        )
        self.from_state = nn.Conv2d(hidden_size, gates, kernel_size, padding=padding)
        with torch.no_grad():
            assert self.from_state.bias is not None
            self.from_state.bias.zero_()
            self.from_state.bias[hidden_size : 2 * hidden_size] = 1.0

    def step(self, pushed: Tensor | None, state: State) -> State:
        """The next state, given :math:`W_x * X_t` of shape ``(N, 4 hidden_size, H, W)``."""
        h, c = state
        gates = self.from_state(h)
        if pushed is not None:
            gates = gates + pushed
        i, f, g, o = gates.chunk(4, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c

    def forward(self, inputs: Tensor | None, state: State, steps: int) -> tuple[Tensor, State]:
        """Hidden states ``(T, N, hidden_size, H, W)`` and the last state.

        Args:
            inputs: ``(T, N, channels, H, W)``, or None for a layer without input.
            state: ``(h, c)``, each ``(N, hidden_size, H, W)``.
            steps: T.
        """
        pushed = None
        if inputs is not None and self.from_input is not None:
            pushed = self.from_input(inputs.flatten(0, 1)).unflatten(0, (steps, -1))
        hidden = []
        for t in range(steps):
            state = self.step(None if pushed is None else pushed[t], state)
            hidden.append(state[0])
        return torch.stack(hidden), state


class ConvLSTM(nn.Module):
    r"""Encoder and forecaster: read some frames, then draw the ones that follow.

    The encoder's layers read the frames; their last states are the first ones of the forecaster's
    layers, which get no frames at all. From the hidden states of all its layers a 1 x 1
    convolution draws each predicted frame. Frames are cut into patches, as in the paper, so that
    a frame of 32 x 32 pixels is one of 8 x 8 places with 16 channels.

    Args:
        hidden_size: channels of the state of a layer.
        layers: of the encoder, and of the forecaster.
        kernel_size: of the convolutions.
        patch: height and width of a patch.
        frames_in, frames_out: how many frames are read and predicted in training.
        size: height and width of the frames, as :func:`~companion.data.moving_fashion` makes them.

    Attributes:
        encoder: the cells that read, one a layer.
        forecaster: the cells that predict, one a layer.
        draw: the 1 x 1 convolution from the hidden states to the patches of a frame.

    Raises:
        TypeError, ValueError: if a size is no positive whole number, or not a multiple of the
            patch.

    Source: Shi et al. (2015), section 3.2.
    """

    tasks = ("video",)

    def __init__(
        self,
        hidden_size: int = 32,
        layers: int = 2,
        kernel_size: int = 3,
        patch: int = 4,
        frames_in: int = 10,
        frames_out: int = 10,
        size: int = 32,
    ) -> None:
        super().__init__()
        for name, value in (("layers", layers), ("patch", patch), ("size", size)):
            checks.integer(name, value)
        for name, value in (("frames_in", frames_in), ("frames_out", frames_out)):
            checks.integer(name, value, remedy="use 10, say")
        if size % patch:
            raise ValueError(
                f"size must be a multiple of patch, got {size} and {patch}; use 32 and 4"
            )
        self.hidden_size, self.patch, self.size = hidden_size, patch, size
        self.frames_in, self.frames_out = frames_in, frames_out
        widths = [hidden_size] * (layers - 1)
        self.encoder = nn.ModuleList(
            ConvLSTMCell(channels, hidden_size, kernel_size) for channels in (patch**2, *widths)
        )
        self.forecaster = nn.ModuleList(
            ConvLSTMCell(channels, hidden_size, kernel_size) for channels in (0, *widths)
        )
        self.draw = nn.Conv2d(layers * hidden_size, patch**2, 1)
        with torch.no_grad():
            self.draw.bias.fill_(-2.0)  # type: ignore[union-attr]  # frames are mostly black

    def forward(self, frames: Tensor, steps: int | None = None) -> Tensor:
        """Predict frames, with gradients.

        Args:
            frames: those that are known, ``(N, T, 1, H, W)`` in [0, 1].
            steps: how many to predict; ``frames_out`` if it is not given.

        Returns:
            Shape ``(N, steps, 1, H, W)``, in [0, 1].

        Raises:
            TypeError, ValueError: if the frames are not as described.
        """
        check_sequences(frames, self.size)
        frames = frames.to(reference(self).dtype)
        steps = self.frames_out if steps is None else checks.integer("steps", steps)
        n, known = frames.shape[:2]
        grid = self.size // self.patch
        x = F.pixel_unshuffle(frames.transpose(0, 1), self.patch)  # (T, N, patch^2, grid, grid)
        zero = x.new_zeros(n, self.hidden_size, grid, grid)
        states = []
        for cell in self.encoder:
            x, state = cell(x, (zero, zero), known)
            states.append(state)
        hidden: list[Tensor] = []
        for cell, state in zip(self.forecaster, states, strict=True):
            above, _ = cell(hidden[-1] if hidden else None, state, steps)
            hidden.append(above)
        patches = self.draw(torch.cat(hidden, dim=2).flatten(0, 1))  # (steps N, patch^2, ...)
        drawn = torch.sigmoid(F.pixel_shuffle(patches, self.patch))
        return drawn.unflatten(0, (steps, n)).transpose(0, 1)

    def sequence_loss(self, sequences: Tensor) -> Tensor:
        r"""The squared error of the predicted frames, summed over the pixels of a frame.

        .. math:: \frac{1}{NT} \sum_{n,t} \lVert \hat{x}_{n,t} - x_{n,t} \rVert^2

        Args:
            sequences: ``(N, frames_in + frames_out, 1, H, W)`` in [0, 1]; the first ones are read.

        Raises:
            TypeError, ValueError: if they are not as described.
        """
        check_sequences(sequences, self.size)
        check_length(sequences, self.frames_in, self.frames_out)
        known, future = sequences.split([self.frames_in, self.frames_out], dim=1)
        return (self(known) - future.to(reference(self).dtype)).square().sum(dim=(2, 3, 4)).mean()

    def loss(self, images: Tensor) -> Tensor:
        """:meth:`sequence_loss` of sequences, or of such as are made anew from still garments.

        Args:
            images: sequences ``(N, T, 1, H, W)``, or garments ``(N, 1, 28, 28)``.
        """
        if images.shape[1:] == (1, 28, 28):
            images = moving_fashion(images, self.frames_in + self.frames_out, self.size)
        return self.sequence_loss(images)

    def players(self) -> list[Player]:
        """One player moves encoder and forecaster together."""
        return [Player("squared error", self, self.loss, learning_rate=2e-3)]

    def predict(self, frames: Tensor, steps: int | None = None) -> Tensor:
        """As :meth:`forward`, without gradient."""
        with evaluating(self):
            return self(frames, steps)
