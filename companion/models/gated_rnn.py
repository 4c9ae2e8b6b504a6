r"""Gated recurrent networks, written out: the LSTM and the GRU as torch computes them.

A gate is a number between 0 and 1 for each part of the state, computed at every step from the
input and the state before. Multiplied by a gate near 1, a number is kept; by one near 0, it is
forgotten. What is kept is neither mixed by a matrix nor squeezed by a tanh on its way, so neither
is its gradient.

Sources: Hochreiter and Schmidhuber (1997) for the LSTM; Gers, Schmidhuber and Cummins (2000) for
its forget gate; Cho et al. (2014) for the GRU.
"""

import torch
from torch import Tensor, nn

from companion import checks
from companion.models.rnn import check_inputs


def lstm_step(
    x: Tensor, h: Tensor, c: Tensor, W_x: Tensor, W_h: Tensor, b_x: Tensor, b_h: Tensor
) -> tuple[Tensor, Tensor]:
    r"""One step of the long short-term memory.

    .. math::

        i_t, f_t, o_t &= \sigma(W_{x\cdot} x_t + b_{x\cdot} + W_{h\cdot} h_{t-1} + b_{h\cdot}) \\
        g_t &= \tanh(W_{xg} x_t + b_{xg} + W_{hg} h_{t-1} + b_{hg}) \\
        c_t &= f_t \odot c_{t-1} + i_t \odot g_t \\
        h_t &= o_t \odot \tanh(c_t)

    Args:
        x, h, c: input ``(N, d)``, state and cell ``(N, m)``.
        W_x, W_h: ``(4m, d)`` and ``(4m, m)``: the blocks of i, f, g and o, in torch's order.
        b_x, b_h: ``(4m,)``.

    Returns:
        The new state and cell, ``(N, m)`` each.

    Source: Hochreiter and Schmidhuber (1997) with the forget gate of Gers et al. (2000).
    """
    i, f, g, o = (x @ W_x.T + b_x + h @ W_h.T + b_h).chunk(4, dim=-1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(
    x: Tensor,
    h: Tensor,
    W_x: Tensor,
    W_h: Tensor,
    b_x: Tensor,
    b_h: Tensor,
    *,
    reset_after: bool = True,
) -> Tensor:
    r"""One step of the gated recurrent unit.

    .. math::

        r_t, u_t &= \sigma(W_{x\cdot} x_t + b_{x\cdot} + W_{h\cdot} h_{t-1} + b_{h\cdot}) \\
        n_t &= \tanh(W_{xn} x_t + b_{xn} + r_t \odot (W_{hn} h_{t-1} + b_{hn})) \\
        h_t &= u_t \odot h_{t-1} + (1 - u_t) \odot n_t

    The reset gate here acts on what the matrix has made of the state, with the bias inside: that
    is how torch and cuDNN have it, for then all three products with :math:`h_{t-1}` are one. In
    Cho et al. it acts on the state, before the matrix: :math:`W_{hn}(r_t \odot h_{t-1})`. The two
    are different functions of the same weights.

    Args:
        x, h: input ``(N, d)`` and state ``(N, m)``.
        W_x, W_h: ``(3m, d)`` and ``(3m, m)``: the blocks of r, u and n, in torch's order (torch's
            documentation calls u by the letter z).
        b_x, b_h: ``(3m,)``.
        reset_after: the reset gate after the matrix, as torch has it; False for the original.

    Returns:
        The new state, ``(N, m)``.

    Source: Cho et al. (2014), eq. 5 to 8; the reset after the matrix is cuDNN's.
    """
    r_x, u_x, n_x = (x @ W_x.T + b_x).chunk(3, dim=-1)
    W_hr, W_hu, W_hn = W_h.chunk(3)
    b_hr, b_hu, b_hn = b_h.chunk(3)
    r = torch.sigmoid(r_x + h @ W_hr.T + b_hr)
    u = torch.sigmoid(u_x + h @ W_hu.T + b_hu)
    if reset_after:
        n = torch.tanh(n_x + r * (h @ W_hn.T + b_hn))
    else:
        n = torch.tanh(n_x + (r * h) @ W_hn.T + b_hn)
    return u * h + (1 - u) * n


class _GatedByHand(nn.Module):
    """Parameters with torch's names, shapes and initial distribution: a state_dict fits both."""

    blocks: int

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = checks.integer("input_size", input_size)
        self.hidden_size = checks.integer("hidden_size", hidden_size, remedy="use 64, say")
        rows = self.blocks * hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows))
        self.bias_hh_l0 = nn.Parameter(torch.empty(rows))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)


class LSTMByHand(_GatedByHand):
    """:func:`lstm_step` as a loop over the steps, to be read beside ``torch.nn.LSTM``.

    For training take torch's: its loop runs below Python, on a GPU in one kernel of cuDNN.

    Args:
        input_size: numbers per step, d.
        hidden_size: length of the state and of the cell, m.
        forget_bias: if given, the bias of the forget gate, see :func:`set_forget_bias`.
    """

    blocks = 4

    def __init__(self, input_size: int, hidden_size: int, forget_bias: float | None = None) -> None:
        super().__init__(input_size, hidden_size)
        if forget_bias is not None:
            set_forget_bias(self, forget_bias)

    def forward(
        self, inputs: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Inputs ``(N, T, d)``, and first state and cell ``(1, N, m)``, zeros if not given.

        Returns:
            All states ``(N, T, m)``, and the last state and cell, ``(1, N, m)`` each, as
            ``torch.nn.LSTM`` with ``batch_first=True``.

        Raises:
            ValueError: if the inputs do not fit.
        """
        check_inputs(inputs, self.input_size)
        if state is None:
            h = c = inputs.new_zeros(len(inputs), self.hidden_size)
        else:
            h, c = state[0][0], state[1][0]
        states = []
        for x in inputs.unbind(dim=1):
            h, c = lstm_step(x, h, c, *self.parameters())
            states.append(h)
        return torch.stack(states, dim=1), (h[None], c[None])


class GRUByHand(_GatedByHand):
    """:func:`gru_step` as a loop over the steps, to be read beside ``torch.nn.GRU``.

    For training take torch's: its loop runs below Python, on a GPU in one kernel of cuDNN.

    Args:
        input_size: numbers per step, d.
        hidden_size: length of the state, m.
        reset_after: where the reset gate acts, see :func:`gru_step`.
    """

    blocks = 3

    def __init__(self, input_size: int, hidden_size: int, reset_after: bool = True) -> None:
        super().__init__(input_size, hidden_size)
        self.reset_after = reset_after

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Inputs ``(N, T, d)`` and a first state ``(1, N, m)``, zeros if it is not given.

        Returns:
            All states ``(N, T, m)`` and the last one, ``(1, N, m)``, as ``torch.nn.GRU`` with
            ``batch_first=True``.

        Raises:
            ValueError: if the inputs do not fit.
        """
        check_inputs(inputs, self.input_size)
        h = inputs.new_zeros(len(inputs), self.hidden_size) if state is None else state[0]
        states = []
        for x in inputs.unbind(dim=1):
            h = gru_step(x, h, *self.parameters(), reset_after=self.reset_after)
            states.append(h)
        return torch.stack(states, dim=1), h[None]


@torch.no_grad()
def set_forget_bias(lstm: LSTMByHand | nn.LSTM, value: float) -> None:
    r"""Start the forget gates of an LSTM at a bias, :math:`f_t \approx \sigma(\text{value})`.

    With small weights the gate of a fresh LSTM is about :math:`\sigma(0) = \tfrac12`, and a cell
    loses half of its content, and of its gradient, at every step; with 1 it keeps 73 %. Torch has
    two biases, which are added: the first is set to the value, the second to 0. Torch itself
    draws both at random around 0.

    Args:
        lstm: one or more layers, changed in place.
        value: of the bias; 0 or 1 are usual.

    Raises:
        TypeError: if the module is no LSTM.

    Source: Gers, Schmidhuber and Cummins (2000); Jozefowicz, Zaremba and Sutskever (2015),
    section 4.3.
    """
    if not isinstance(lstm, LSTMByHand | nn.LSTM):
        raise TypeError(
            f"only an LSTM has a forget gate, got {type(lstm).__name__}; use set_forget_bias("
            "model.rnn, 1.0) on a model whose cell is 'lstm'"
        )
    forget = slice(lstm.hidden_size, 2 * lstm.hidden_size)
    for name, parameter in lstm.named_parameters():
        if name.startswith("bias_"):
            parameter[forget] = value if name.startswith("bias_ih") else 0.0
