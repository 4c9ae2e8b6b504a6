"""The plain recurrence: torch's values and gradients, backpropagation through time, Jacobians."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from companion import train
from companion.data import adding_problem, copy_task
from companion.models import GRUByHand, LSTMByHand, PlainRNN, SequenceModel
from companion.models.rnn import (
    backpropagation_through_time,
    jacobian_norms,
    recurrent_matrix,
    spectral_radius,
)

CELLS = ("rnn", "lstm", "gru")


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pair(dtype: torch.dtype = torch.float32) -> tuple[PlainRNN, nn.RNN]:
    """The recurrence by hand and torch's, with the same weights."""
    torch.manual_seed(0)
    by_hand, by_torch = PlainRNN(3, 5).to(dtype), nn.RNN(3, 5, batch_first=True).to(dtype)
    by_hand.load_state_dict(by_torch.state_dict())
    return by_hand, by_torch


def inputs(
    n: int = 4, steps: int = 30, size: int = 3, dtype: torch.dtype = torch.float32
) -> Tensor:
    return torch.randn(n, steps, size, generator=rng(1), dtype=dtype)


# --- the recurrence --------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_all_gradients_are_those_of_torch(dtype: torch.dtype) -> None:
    by_hand, by_torch = pair(dtype)
    results = []
    for rnn in (by_hand, by_torch):
        x = inputs(dtype=dtype).requires_grad_()
        h_0 = torch.full((1, 4, 5), 0.3, dtype=dtype, requires_grad=True)
        states, last = rnn(x, h_0)
        loss = (states * torch.linspace(-1, 1, 5, dtype=dtype)).sum() / 100 + last.square().mean()
        gradients = torch.autograd.grad(loss, [x, h_0, *rnn.parameters()])
        results.append([states, last, *gradients])
    assert len(results[0]) == 8
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_the_state_starts_at_zero() -> None:
    by_hand, _ = pair()
    x = inputs()
    torch.testing.assert_close(by_hand(x)[0], by_hand(x, torch.zeros(1, 4, 5))[0])


def test_a_sequence_may_be_read_in_two_pieces() -> None:
    by_hand, _ = pair()
    x = inputs()
    whole, last = by_hand(x)
    first, state = by_hand(x[:, :11])
    second, end = by_hand(x[:, 11:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(end, last)


def test_fresh_weights_are_distributed_as_torchs() -> None:
    torch.manual_seed(0)
    for parameter in PlainRNN(50, 64).parameters():
        assert parameter.abs().max() <= 64**-0.5
        assert parameter.std().item() == pytest.approx(64**-0.5 / math.sqrt(3), rel=0.2)


# --- backpropagation through time ------------------------------------------------------------


@pytest.mark.parametrize("last_only", [True, False])
@pytest.mark.parametrize("build", [0, 1], ids=["by hand", "torch"])
def test_the_sum_over_the_steps_is_the_gradient(build: int, last_only: bool) -> None:
    rnn = pair(torch.float64)[build]
    x = inputs(dtype=torch.float64)
    states, _ = rnn(x)
    direct = torch.randn(states.shape, generator=rng(2), dtype=torch.float64)
    if last_only:
        direct[:, :-1] = 0
    W_xh, W_hh, b_xh, b_hh = torch.autograd.grad((states * direct).sum(), list(rnn.parameters()))
    terms = backpropagation_through_time(rnn, x, direct)
    assert terms.weight_hh.shape == (30, 5, 5)
    assert terms.weight_ih.shape == (30, 5, 3)
    assert terms.bias.shape == (30, 5)
    torch.testing.assert_close(terms.weight_ih.sum(dim=0), W_xh, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(terms.weight_hh.sum(dim=0), W_hh, rtol=1e-12, atol=1e-13)
    for bias in (b_xh, b_hh):
        torch.testing.assert_close(terms.bias.sum(dim=0), bias, rtol=1e-12, atol=1e-13)


def test_the_first_step_has_no_state_before_it() -> None:
    rnn, _ = pair(torch.float64)
    terms = backpropagation_through_time(
        rnn, inputs(dtype=torch.float64), torch.ones(4, 30, 5, dtype=torch.float64)
    )
    assert (terms.weight_hh[0] == 0).all()
    assert (terms.weight_ih[0] != 0).all()


def test_each_term_is_the_gradient_of_that_steps_own_copy_of_the_weights() -> None:
    """Unroll: give every step its own W_hh; its gradient is the term of that step."""
    rnn, _ = pair(torch.float64)
    x = inputs(2, 6, dtype=torch.float64)
    W_xh, W_hh, b_xh, b_hh = (p.detach() for p in rnn.parameters())
    copies = [W_hh.clone().requires_grad_() for _ in range(6)]
    h = torch.zeros(2, 5, dtype=torch.float64)
    for t in range(6):
        h = torch.tanh(x[:, t] @ W_xh.T + b_xh + h @ copies[t].T + b_hh)
    gradients = torch.autograd.grad(h.sum(), copies)
    direct = torch.zeros(2, 6, 5, dtype=torch.float64)
    direct[:, -1] = 1
    terms = backpropagation_through_time(rnn, x, direct)
    torch.testing.assert_close(torch.stack(gradients), terms.weight_hh, rtol=1e-12, atol=1e-14)


# --- Jacobians -------------------------------------------------------------------------------


def test_norms_are_those_of_autograds_jacobian() -> None:
    rnn, _ = pair(torch.float64)
    x = inputs(1, 8, dtype=torch.float64)
    states = rnn(x)[0][0].detach()
    norms = jacobian_norms(rnn.weight_hh_l0, 1 - states.square())
    for k in (1, 3, 7):

        def onward(h: Tensor, k: int = k) -> Tensor:
            return rnn(x[:, 8 - k :], h[None, None])[0][0, -1]

        jacobian = torch.autograd.functional.jacobian(onward, states[7 - k])
        norm = torch.linalg.matrix_norm(jacobian, 2).item()
        assert norms[k - 1].item() == pytest.approx(norm, rel=1e-10)


@pytest.mark.parametrize("radius", [0.9, 1.0, 1.1])
def test_the_slope_of_a_linear_recurrence_is_the_logarithm_of_the_radius(radius: float) -> None:
    """Exactly for an orthogonal matrix, in the long run for a Gaussian one."""
    k = torch.arange(1, 101, dtype=torch.float64)
    linear = torch.ones(100, 32)
    orthogonal = recurrent_matrix(32, radius, rng=rng())
    norms = jacobian_norms(orthogonal, linear)
    torch.testing.assert_close(norms.log10(), k * math.log10(radius), rtol=0, atol=1e-10)
    gaussian = jacobian_norms(recurrent_matrix(32, radius, "gaussian", rng=rng()), linear).log10()
    slope = (gaussian[-1] - gaussian[49]) / 50
    assert slope.item() == pytest.approx(math.log10(radius), abs=0.01)


def test_tanh_only_shortens() -> None:
    W = recurrent_matrix(16, 1.0, rng=rng())
    states = torch.tanh(torch.randn(40, 16, generator=rng(1), dtype=torch.float64))
    norms = jacobian_norms(W, 1 - states.square())
    assert (norms <= 1).all()
    assert norms[-1] < 1e-3


@pytest.mark.parametrize("kind", ["orthogonal", "gaussian"])
def test_a_recurrent_matrix_has_its_radius(kind: str) -> None:
    W = recurrent_matrix(20, 1.3, kind, rng=rng())  # type: ignore[arg-type]
    assert W.dtype == torch.float64
    assert spectral_radius(W).item() == pytest.approx(1.3, abs=1e-12)
    norm = torch.linalg.matrix_norm(W, 2).item()
    if kind == "orthogonal":
        torch.testing.assert_close(W @ W.T, 1.69 * torch.eye(20, dtype=torch.float64))
    else:
        assert norm > 1.5 * 1.3
    assert torch.equal(W, recurrent_matrix(20, 1.3, kind, rng=rng()))  # type: ignore[arg-type]


# --- the model of sequences ------------------------------------------------------------------


@pytest.mark.parametrize("cell", CELLS)
def test_the_read_out_has_weights_of_its_own(cell: str) -> None:
    """y = W_hy h + b_y, not the transposed input matrix."""
    model = SequenceModel(cell, 2, 7, 3)
    x, _ = adding_problem(4, 5, rng=rng())
    outputs = model(x)
    assert outputs.shape == (4, 5, 3)
    W_hy, b_y = model.readout.weight, model.readout.bias
    torch.testing.assert_close(outputs, model.rnn(x[:, 0])[0] @ W_hy.T + b_y)
    shared = {id(parameter) for parameter in model.rnn.parameters()}
    assert id(W_hy) not in shared
    assert id(b_y) not in shared


def test_the_loss_of_numbers_is_the_squared_error_at_the_end() -> None:
    model = SequenceModel("rnn", 2, 7)
    x, y = adding_problem(6, 5, rng=rng())
    by_hand = (model(x)[:, -1, 0] - y).square().mean()
    torch.testing.assert_close(model.loss(x, y), by_hand)


def test_the_loss_of_symbols_is_the_cross_entropy_of_logits() -> None:
    model = SequenceModel("gru", 10, 7, 9)
    x, y = copy_task(6, 5, rng=rng())
    log_p = model(x).log_softmax(dim=2)
    by_hand = -log_p.gather(2, y[..., None]).mean()
    torch.testing.assert_close(model.loss(x, y), by_hand)


def test_a_perfect_prediction_costs_nothing() -> None:
    """No softmax stands before the cross-entropy."""
    model = SequenceModel("rnn", 10, 4, 9)
    with torch.no_grad():
        model.readout.weight.zero_()
        model.readout.bias.zero_()[8] = 100
    x, _ = copy_task(2, 3, rng=rng())
    assert model.loss(x, torch.full((2, 23), 8)).item() < 1e-6


@pytest.mark.parametrize("cell", [*CELLS, PlainRNN, LSTMByHand, GRUByHand])
def test_train_moves_every_weight_and_lowers_the_loss(
    cell: str | Callable[[int, int], nn.Module],
) -> None:
    torch.manual_seed(0)
    model = SequenceModel(cell if isinstance(cell, str) else cell(2, 8), 2, 8)
    model.learning_rate = 1e-2
    before = [p.detach().clone() for p in model.parameters()]
    x, y = adding_problem(256, 4, rng=rng())
    first = model.loss(x, y).item()
    train(model, x, y, epochs=4, batch_size=32, device="cpu", progress=False)
    assert model.loss(x, y).item() < first
    for old, new in zip(before, model.parameters(), strict=True):
        assert not torch.equal(old, new)


def test_the_plain_network_learns_to_add_over_a_few_steps() -> None:
    torch.manual_seed(0)
    model = SequenceModel("rnn", 2, 32)
    model.learning_rate = 5e-3
    x, y = adding_problem(10_000, 5, rng=rng())
    train(model, x, y, epochs=8, batch_size=100, device="cpu", clip_norm=1.0, progress=False)
    with torch.no_grad():
        assert model.loss(*adding_problem(1000, 5, rng=rng(1))).item() < 1 / 6 / 5


def test_what_does_not_fit_is_refused() -> None:
    x, y = adding_problem(4, 5, rng=rng())
    model = SequenceModel("rnn", 2, 3)
    symbols = torch.zeros(4, 5, dtype=torch.int64)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: SequenceModel("elman"), r"one of 'rnn', 'lstm', 'gru', got 'elman'"),
        (lambda: model(x.expand(4, 2, 5, 2)), r"\(N, 1, T, 2\), got \(4, 2, 5, 2\)"),
        (lambda: model(x[..., :1]), r"got \(4, 1, 5, 1\); build .* input_size=1"),
        (lambda: model(x[:, 0]), r"must have shape \(N, C, H, W\), got \(4, 5, 2\)"),
        (lambda: model.loss(x, y[:, None]), r"shape \(4,\) .* got \(4, 1\)"),
        (lambda: model.loss(x, symbols[:, :3]), r"int64 of shape \(4, 5\), got int64"),
        (lambda: model.loss(x, symbols.int()), r"got int32"),
        (lambda: PlainRNN(2, 3)(x), r"shape \(N, T, 2\), got \(4, 1, 5, 2\); use sequences"),
        (lambda: recurrent_matrix(0, 1.0), "size must be at least 1"),
        (lambda: recurrent_matrix(3, 0.0), "radius must be positive, got 0"),
        (lambda: recurrent_matrix(3, 1.0, "unit"), "got 'unit'"),  # type: ignore[arg-type]
        (lambda: jacobian_norms(torch.eye(3), torch.ones(5, 4)), "must belong to one state"),
        (
            lambda: backpropagation_through_time(PlainRNN(2, 3), x[:, 0], torch.ones(4, 3)),
            r"shape of the states, \(4, 5, 3\), got \(4, 3\)",
        ),
    ]
    for call, sentence in cases:
        with pytest.raises(ValueError, match=sentence):
            call()
    with pytest.raises(TypeError, match="floats in"):
        model(x.bool())
