"""Gates by hand: torch's values and gradients, where the GRU resets, and the forget gate's bias."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from companion.models import GRUByHand, LSTMByHand, PlainRNN
from companion.models.gated_rnn import gru_step, lstm_step, set_forget_bias

PAIRS: dict[str, tuple[Any, Any]] = {"lstm": (LSTMByHand, nn.LSTM), "gru": (GRUByHand, nn.GRU)}
cells = pytest.mark.parametrize("cell", PAIRS)


def pair(cell: str, dtype: torch.dtype = torch.float32) -> tuple[nn.Module, nn.Module]:
    """The network by hand and torch's, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = PAIRS[cell]
    by_hand, by_torch = ours(3, 5).to(dtype), theirs(3, 5, batch_first=True).to(dtype)
    by_hand.load_state_dict(by_torch.state_dict())
    return by_hand, by_torch


def inputs(dtype: torch.dtype = torch.float32) -> Tensor:
    rng = torch.Generator().manual_seed(1)
    return torch.randn(4, 30, 3, generator=rng, dtype=dtype)


def flat(state: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


@cells
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_all_gradients_are_those_of_torch(cell: str, dtype: torch.dtype) -> None:
    results = []
    for rnn in pair(cell, dtype):
        x = inputs(dtype).requires_grad_()
        start = [torch.full((1, 4, 5), 0.3 * (i + 1), dtype=dtype) for i in range(2)]
        for state in start:
            state.requires_grad_()
        state_0: Any = tuple(start) if cell == "lstm" else start[0]
        states, last = rnn(x, state_0)
        loss = (states * torch.linspace(-1, 1, 5, dtype=dtype)).sum() / 100
        loss = loss + sum(part.square().mean() for part in flat(last))
        wanted = [x, *flat(state_0), *rnn.parameters()]
        results.append([states, *flat(last), *torch.autograd.grad(loss, wanted)])
    assert len(results[0]) == (10 if cell == "lstm" else 8)
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


@cells
def test_the_state_starts_at_zero_and_a_sequence_may_be_read_in_pieces(cell: str) -> None:
    by_hand, by_torch = pair(cell)
    x = inputs()
    whole, _ = by_hand(x)
    torch.testing.assert_close(whole, by_torch(x)[0], rtol=1e-6, atol=1e-6)
    first, state = by_hand(x[:, :11])
    second, _ = by_hand(x[:, 11:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)


def scalar_step(cell: str, x: float, h: float, c: float, W: list[float]) -> tuple[Tensor, Tensor]:
    """One step of a state of one number whose blocks have input weights W and nothing else."""
    W_x = torch.tensor(W, dtype=torch.float64)[:, None]
    zero, state = torch.zeros_like(W_x), torch.tensor([[h]], dtype=torch.float64)
    x_1, c_1 = torch.tensor([[x]], dtype=torch.float64), torch.tensor([[c]], dtype=torch.float64)
    bias = torch.zeros(len(W), dtype=torch.float64)
    if cell == "lstm":
        return lstm_step(x_1, state, c_1, W_x, zero, bias, bias)
    new = gru_step(x_1, state, W_x, zero, bias, bias)
    return new, new


def test_open_and_shut_gates_of_the_lstm() -> None:
    """Blocks i, f, g, o: a shut input and an open forget gate keep the cell as it is."""
    h, c = scalar_step("lstm", 1.0, 0.2, 0.7, [-100, 100, 5, 100])
    torch.testing.assert_close(c.item(), 0.7)
    torch.testing.assert_close(h.item(), torch.tensor(0.7, dtype=torch.float64).tanh().item())
    h, c = scalar_step("lstm", 1.0, 0.2, 0.7, [100, -100, 100, -100])
    torch.testing.assert_close(c.item(), 1.0)  # written anew
    assert abs(h.item()) < 1e-12  # and not shown


def test_open_and_shut_gates_of_the_gru() -> None:
    """Blocks r, u, n: an open update gate keeps the state as it is."""
    kept, _ = scalar_step("gru", 1.0, 0.6, 0.0, [0, 100, 5])
    torch.testing.assert_close(kept.item(), 0.6)
    new, _ = scalar_step("gru", 1.0, 0.6, 0.0, [0, -100, 100])
    torch.testing.assert_close(new.item(), 1.0)


def test_the_reset_gate_before_the_matrix_is_another_function() -> None:
    torch.manual_seed(0)
    after, before = GRUByHand(3, 5), GRUByHand(3, 5, reset_after=False)
    before.load_state_dict(after.state_dict())
    x = inputs()
    assert (after(x)[0] - before(x)[0]).abs().max() > 1e-3
    # With an open reset gate, and a bias that is not gated away, the two agree.
    with torch.no_grad():
        for rnn in (after, before):
            rnn.bias_ih_l0[:5] = 100
    torch.testing.assert_close(after(x)[0], before(x)[0], rtol=1e-6, atol=1e-6)


def test_the_reset_before_the_matrix_is_the_formula_of_the_paper() -> None:
    torch.manual_seed(0)
    m, x, h = 4, torch.randn(2, 3), torch.randn(2, 4)
    W_x, W_h = torch.randn(12, 3), torch.randn(12, 4)
    b_x, b_h = torch.randn(12), torch.randn(12)
    gate_x, gate_h = (x @ W_x.T + b_x).split(m, dim=1), (h @ W_h.T + b_h).split(m, dim=1)
    r, u = (gate_x[0] + gate_h[0]).sigmoid(), (gate_x[1] + gate_h[1]).sigmoid()
    n = torch.tanh(gate_x[2] + (r * h) @ W_h[2 * m :].T + b_h[2 * m :])
    expected = u * h + (1 - u) * n
    ours = gru_step(x, h, W_x, W_h, b_x, b_h, reset_after=False)
    torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)


def test_the_cells_own_path_is_the_product_of_the_forget_gates() -> None:
    """With the gates held fixed, dc_T/dc_0 has no matrix and no tanh in it."""
    lstm, _ = pair("lstm", torch.float64)
    x = inputs(torch.float64)[:1]
    c_0 = torch.zeros(1, 5, dtype=torch.float64, requires_grad=True)
    h, c, product = torch.zeros(1, 5, dtype=torch.float64), c_0, torch.ones(1, 5)
    for t in range(10):
        W_x, W_h, b_x, b_h = lstm.parameters()
        gates = x[:, t] @ W_x.T + b_x + h @ W_h.T + b_h
        i, f, g, _ = gates.detach().chunk(4, dim=1)
        product = product * f.sigmoid()
        h, _ = lstm_step(x[:, t], h, c.detach(), W_x, W_h, b_x, b_h)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    (gradient,) = torch.autograd.grad(c.sum(), c_0)
    torch.testing.assert_close(gradient, product.detach().double(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_the_forget_gates_start_at_their_bias(value: float) -> None:
    torch.manual_seed(0)
    for lstm in (LSTMByHand(3, 5), nn.LSTM(3, 5), nn.LSTM(3, 5, num_layers=2)):
        others = [p.detach().clone() for p in lstm.parameters()]
        set_forget_bias(lstm, value)
        for old, (name, new) in zip(others, lstm.named_parameters(), strict=True):
            if name.startswith("weight"):
                assert torch.equal(old, new)
                continue
            assert torch.equal(old[:5], new[:5])
            assert torch.equal(old[10:], new[10:])
            assert (new[5:10] == (value if "ih" in name else 0)).all()
    built = LSTMByHand(3, 5, forget_bias=value)
    total = (built.bias_ih_l0 + built.bias_hh_l0)[5:10]
    assert (total == value).all()


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(TypeError, match="only an LSTM has a forget gate, got PlainRNN; use"):
        set_forget_bias(PlainRNN(2, 3), 1.0)  # type: ignore[arg-type]
    for network in (LSTMByHand(2, 3), GRUByHand(2, 3)):
        with pytest.raises(ValueError, match=r"shape \(N, T, 2\), got \(4, 5, 1\)"):
            network(torch.zeros(4, 5, 1))
