"""A recurrent network with a read-out: what the tasks that test a memory are learned with."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks
from companion.data import check_images
from companion.game import Player
from companion.layers import reference

# torch's recurrent layers, by the names that models take.
CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


class SequenceModel(nn.Module):
    r"""A recurrent network with a read-out, :math:`y_t = W_{hy} h_t + b_y`.

    What it learns depends on the targets. Floats ``(N,)`` are one number for each sequence, asked
    for at its end; the loss is the mean squared error of :math:`y_T`. ``int64`` targets ``(N, T)``
    are one symbol for each step; the loss is the mean cross-entropy of the logits :math:`y_t`, in
    nats per step.

    Args:
        cell: ``"rnn"``, ``"lstm"`` or ``"gru"`` for torch's module of that name; or a module of
            this book, from inputs ``(N, T, d)`` to states ``(N, T, m)`` and a last state.
        input_size: numbers per step, d.
        hidden_size: length of the state, m.
        output_size: length of :math:`y_t`: 1 for a number, the size of the alphabet for symbols.

    Attributes:
        rnn: the cell; inputs ``(N, T, d)`` to states ``(N, T, m)`` and a last state.
        readout: the linear layer from a state to :math:`y_t`.
        learning_rate: of the one player; set it on a model, or in a subclass, before training.

    Raises:
        TypeError, ValueError: if the cell is unknown, or a size no positive whole number.
    """

    tasks = ()  # what it learns is not of Fashion-MNIST
    learning_rate = 2e-3

    def __init__(
        self,
        cell: str | nn.Module = "rnn",
        input_size: int = 2,
        hidden_size: int = 64,
        output_size: int = 1,
    ) -> None:
        super().__init__()
        self.input_size = checks.integer("input_size", input_size)
        checks.integer("hidden_size", hidden_size, remedy="use 64, say")
        checks.integer("output_size", output_size)
        if not isinstance(cell, nn.Module):
            name = checks.one_of("cell", cell, CELLS)
            cell = CELLS[name](input_size, hidden_size, batch_first=True)
        self.rnn = cell
        self.readout = nn.Linear(hidden_size, output_size)  # W_hy, b_y: its own matrix

    def forward(self, sequences: Tensor) -> Tensor:
        """Sequences ``(N, 1, T, d)`` in [0, 1] to the outputs ``(N, T, output_size)``.

        Raises:
            TypeError, ValueError: if the sequences are not as described.
        """
        check_images(sequences)
        sequences = sequences.to(reference(self).dtype)
        if sequences.shape[1] != 1 or sequences.shape[3] != self.input_size:
            raise ValueError(
                f"sequences must have shape (N, 1, T, {self.input_size}), got "
                f"{tuple(sequences.shape)}; build the model with input_size={sequences.shape[3]}, "
                "or use sequences[:, None] if the second axis is missing"
            )
        states, _ = self.rnn(sequences[:, 0])
        return self.readout(states)

    def loss(self, sequences: Tensor, targets: Tensor) -> Tensor:
        """Mean squared error at the last step, or cross-entropy over all steps; see above.

        Raises:
            TypeError, ValueError: if the sequences or targets are not as described.
        """
        outputs = self(sequences)
        n, steps, size = outputs.shape
        if targets.is_floating_point():
            if targets.shape != (n,) or size != 1:
                raise ValueError(
                    f"float targets must have shape ({n},) with output_size=1, got "
                    f"{tuple(targets.shape)} and {size}; give one number for each sequence"
                )
            return F.mse_loss(outputs[:, -1, 0], targets.to(outputs.dtype))
        if targets.dtype != torch.int64 or targets.shape != (n, steps):
            raise ValueError(
                f"symbols must be int64 of shape ({n}, {steps}), got "
                f"{str(targets.dtype).removeprefix('torch.')} of {tuple(targets.shape)}; "
                "give one for each step, or one float for each sequence"
            )
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def players(self) -> list[Player]:
        """One player moves all weights; set ``learning_rate`` on the model to change its steps."""
        return [Player("loss", self, self.loss, learning_rate=self.learning_rate)]
