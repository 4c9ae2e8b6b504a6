r"""The plain recurrent network, written out: its states, its gradients, its memory.

.. math::

    h_t = \tanh(W_{xh}\, x_t + b_{xh} + W_{hh}\, h_{t-1} + b_{hh}), \qquad
    y_t = W_{hy}\, h_t + b_y, \qquad h_0 = 0

The input, the recurrence and the output each have a matrix of their own, and the same three serve
every step.

Sources: Elman (1990) for the network; Werbos (1990) for backpropagation through time; Bengio,
Simard and Frasconi (1994) and Pascanu, Mikolov and Bengio (2013) for why its gradients vanish or
explode.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import checks, noise

# --- the recurrence --------------------------------------------------------------------------


class PlainRNN(nn.Module):
    r"""The recurrence above as a loop over the steps, to be read beside ``torch.nn.RNN``.

    The parameters have torch's names, shapes and initial distribution, so the ``state_dict`` of
    either fits the other: ``weight_ih_l0`` is :math:`W_{xh}`, ``weight_hh_l0`` is :math:`W_{hh}`,
    and the two biases, where one would do, are torch's as well. For training take
    ``torch.nn.RNN``: its loop runs below Python, on a GPU in one kernel of cuDNN.

    Args:
        input_size: numbers per step, d.
        hidden_size: length of the state, m.

    Source: Elman (1990).
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = checks.integer("input_size", input_size)
        self.hidden_size = checks.integer("hidden_size", hidden_size, remedy="use 64, say")
        self.weight_ih_l0 = nn.Parameter(torch.empty(hidden_size, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(hidden_size))
        self.bias_hh_l0 = nn.Parameter(torch.empty(hidden_size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(hidden_size**-0.5), hidden_size**-0.5)

    def forward(self, inputs: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Inputs ``(N, T, d)`` and a first state ``(1, N, m)``, zeros if it is not given.

        Returns:
            All states ``(N, T, m)`` and the last one, ``(1, N, m)``, as ``torch.nn.RNN`` with
            ``batch_first=True``.

        Raises:
            ValueError: if the inputs do not fit.
        """
        check_inputs(inputs, self.input_size)
        W_xh, W_hh, b_xh, b_hh = self.parameters()
        h = inputs.new_zeros(len(inputs), self.hidden_size) if state is None else state[0]
        states = []
        for x in inputs.unbind(dim=1):
            h = torch.tanh(x @ W_xh.T + b_xh + h @ W_hh.T + b_hh)
            states.append(h)
        return torch.stack(states, dim=1), h[None]


def check_inputs(inputs: Tensor, input_size: int) -> None:
    """Raise a ValueError unless the inputs have shape ``(N, T, input_size)``."""
    if inputs.ndim != 3 or inputs.shape[2] != input_size or not inputs.shape[1]:
        raise ValueError(
            f"inputs must have shape (N, T, {input_size}), got {tuple(inputs.shape)}; "
            "use sequences[:, 0] on sequences (N, 1, T, d)"
        )


# --- backpropagation through time ------------------------------------------------------------


class Terms(NamedTuple):
    """What each step adds to the gradients of the shared weights; the first axis is the step."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias: Tensor


@torch.no_grad()
def backpropagation_through_time(
    rnn: PlainRNN | nn.RNN, inputs: Tensor, state_gradients: Tensor
) -> Terms:
    r"""The gradients of a loss on the states, as sums over the steps.

    With :math:`g_t` the gradient with respect to :math:`h_t` that comes directly from the loss at
    step :math:`t`, walk from the last step to the first:

    .. math::

        \delta_t = (1 - h_t^2) \odot (g_t + W_{hh}^\top \delta_{t+1}), \qquad \delta_{T+1} = 0,

    .. math::

        \frac{\partial L}{\partial W_{hh}} = \sum_{t=1}^{T} \delta_t h_{t-1}^\top, \qquad
        \frac{\partial L}{\partial W_{xh}} = \sum_{t=1}^{T} \delta_t x_t^\top, \qquad
        \frac{\partial L}{\partial b_{xh}} = \frac{\partial L}{\partial b_{hh}}
            = \sum_{t=1}^{T} \delta_t .

    Args:
        rnn: with one layer and tanh, started at :math:`h_0 = 0`.
        inputs: ``(N, T, d)``.
        state_gradients: :math:`g_t`, of the shape of the states, ``(N, T, m)``; zeros at the
            steps that the loss does not read.

    Returns:
        The summands, ``(T, m, d)``, ``(T, m, m)`` and ``(T, m)``, each a sum over the batch;
        their sums over the first axis are the gradients.

    Raises:
        ValueError: if the gradients do not have the shape of the states.

    Source: Werbos (1990), *Backpropagation Through Time: What It Does and How to Do It*.
    """
    _, W_hh, *_ = rnn.parameters()
    states, _ = rnn(inputs)
    if state_gradients.shape != states.shape:
        raise ValueError(
            f"state_gradients must have the shape of the states, {tuple(states.shape)}, got "
            f"{tuple(state_gradients.shape)}; set them to 0 where the loss reads no state"
        )
    before = F.pad(states[:, :-1], (0, 0, 1, 0))  # h_0, ..., h_{T-1}
    delta = torch.zeros_like(states[:, 0])
    deltas = torch.empty_like(states)
    for t in reversed(range(states.shape[1])):
        total = state_gradients[:, t] + delta @ W_hh  # from the loss, and from t + 1
        delta = (1 - states[:, t].square()) * total
        deltas[:, t] = delta
    return Terms(
        weight_ih=torch.einsum("nti,ntj->tij", deltas, inputs),
        weight_hh=torch.einsum("nti,ntj->tij", deltas, before),
        bias=deltas.sum(dim=0),
    )


# --- how far a gradient comes ----------------------------------------------------------------


@torch.no_grad()
def jacobian_norms(W_hh: Tensor, slopes: Tensor) -> Tensor:
    r"""The spectral norm of :math:`\partial h_T / \partial h_{T-k}` for k = 1, ..., T.

    .. math::

        \frac{\partial h_T}{\partial h_{T-k}}
            = \prod_{t=T}^{T-k+1} \mathrm{diag}(s_t)\, W_{hh},

    the factors in the order t = T, T - 1, ..., where :math:`s_t` is the slope of the activation
    at step t: :math:`1 - h_t^2` for tanh, 1 for a linear recurrence. The norm is at most
    :math:`(\max s \, \lVert W_{hh} \rVert)^k`. For a linear recurrence it is
    :math:`\lVert W_{hh}^k \rVert`, whose k-th root tends to the spectral radius :math:`\rho`
    (Gelfand): on a logarithmic scale it falls or rises by :math:`\log_{10} \rho` a step.

    Args:
        W_hh: ``(m, m)``.
        slopes: ``(T, m)``, of one sequence.

    Returns:
        ``(T,)`` in float64; the first number is one step back, the last one T steps.

    Raises:
        ValueError: if the shapes do not fit.

    Source: Pascanu, Mikolov and Bengio (2013), eq. 5.
    """
    if W_hh.ndim != 2 or slopes.ndim != 2 or W_hh.shape != (slopes.shape[1],) * 2:
        raise ValueError(
            f"W_hh (m, m) and slopes (T, m) must belong to one state, got {tuple(W_hh.shape)} and "
            f"{tuple(slopes.shape)}; give the slopes of one sequence"
        )
    W, norms = W_hh.double(), []
    product = torch.eye(len(W), dtype=W.dtype, device=W.device)
    for slope in slopes.double().flip(0):  # from step T back to step 1
        product = product @ (slope[:, None] * W)
        norms.append(torch.linalg.matrix_norm(product, 2))
    return torch.stack(norms)


def spectral_radius(matrix: Tensor) -> Tensor:
    """The largest absolute value of an eigenvalue, a scalar."""
    return torch.linalg.eigvals(matrix).abs().max()


def recurrent_matrix(
    size: int,
    radius: float,
    kind: Literal["orthogonal", "gaussian"] = "orthogonal",
    *,
    rng: torch.Generator | None = None,
) -> Tensor:
    r"""A random matrix of a given spectral radius :math:`\rho`.

    ``"orthogonal"`` is :math:`\rho Q` with a uniformly distributed rotation (or reflection) Q: all
    of its singular values are :math:`\rho`, and its k-th power has the norm :math:`\rho^k`
    exactly. ``"gaussian"`` has independent normal entries, all scaled by one number; its norm is
    about :math:`2\rho`, and its powers come to the slope :math:`\log_{10} \rho` after some steps.

    Args:
        size: m.
        radius: :math:`\rho`, positive.
        kind: of matrix.
        rng: the generator to draw from; torch's default generator if it is not given.

    Returns:
        ``(m, m)`` in float64.

    Raises:
        ValueError: if an argument is out of range.

    Source: orthogonal matrices as initial weights are those of Saxe, McClelland and Ganguli
    (2014) and Le, Jaitly and Hinton (2015, the identity).
    """
    checks.integer("size", size, remedy="choose 64, say")
    checks.number("radius", radius, above=0, remedy="choose 1.0, say")
    checks.one_of("kind", kind, ("orthogonal", "gaussian"))
    where = torch.empty(0, dtype=torch.float64, device=noise.home(rng))
    normal = noise.normal(size, size, like=where, rng=rng)
    if kind == "gaussian":
        return radius * normal / spectral_radius(normal)
    Q, R = torch.linalg.qr(normal)
    return radius * Q * R.diagonal().sign()  # without the signs Q would not be uniform
