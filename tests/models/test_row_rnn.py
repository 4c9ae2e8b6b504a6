"""The row model: recurrences by hand, causality, an exact likelihood, and drawing from it."""

import pytest
import torch
from torch import Tensor, nn

from companion.likelihoods import to_levels
from companion.models import RowRNN

CELLS = ("rnn", "lstm", "gru")


def images(n: int, height: int = 28, width: int = 28) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return to_levels(torch.rand(n, 1, height, width, generator=rng, dtype=torch.float64))


def tiny(cell: str, height: int, width: int, context: int = 2) -> RowRNN:
    """A small model whose weights are large enough for everything to depend on everything."""
    torch.manual_seed(0)
    model = RowRNN(cell, 5, features=4, context=context, image_shape=(1, height, width)).double()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "bias" not in name:
                parameter.mul_(2)
    return model


def step_by_hand(
    cell: str, rnn: nn.RNNBase, x: Tensor, h: Tensor, c: Tensor
) -> tuple[Tensor, Tensor]:
    """One step of the recurrence from its definition, with sigma(.) and tanh only."""
    gates_x = x @ rnn.weight_ih_l0.T + rnn.bias_ih_l0
    gates_h = h @ rnn.weight_hh_l0.T + rnn.bias_hh_l0
    if cell == "rnn":
        return torch.tanh(gates_x + gates_h), c
    if cell == "lstm":
        i, f, g, o = (gates_x + gates_h).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    r_x, u_x, n_x = gates_x.chunk(3, dim=-1)
    r_h, u_h, n_h = gates_h.chunk(3, dim=-1)
    r, u = (r_x + r_h).sigmoid(), (u_x + u_h).sigmoid()
    n = torch.tanh(n_x + r * n_h)
    return (1 - u) * n + u * h, c


@pytest.mark.parametrize("cell", CELLS)
def test_parameters_equal_the_formulas_written_out(cell: str) -> None:
    """h_t = cell(x_{t-1}, h_{t-1}), a = SiLU(W_j h_t + U [left, left is black]), V a, by loops."""
    height, width, context = 3, 4, 2
    model = tiny(cell, height, width, context)
    x = images(2, height, width)
    x[0, 0, 1, 1] = 0  # a black pixel, whose flag is set
    h = c = torch.zeros(2, 5, dtype=torch.float64)
    W = model.to_features.weight.view(width, 4, 5)
    W_bias = model.to_features.bias.view(width, 4)
    assert model.from_left is not None
    expected = torch.empty(2, 9, height, width, dtype=torch.float64)
    above = torch.zeros(2, width, dtype=torch.float64)
    for t in range(height):
        h, c = step_by_hand(cell, model.rnn, above, h, c)
        for j in range(width):
            left = torch.full((2, context), -1.0, dtype=torch.float64)
            for k in range(context):
                if j - context + k >= 0:
                    left[:, k] = x[:, 0, t, j - context + k]
            left = torch.cat([left, (left == 0).double()], dim=1)
            a = h @ W[j].T + W_bias[j] + left @ model.from_left.weight.T
            expected[:, :, t, j] = model.to_mixture(a * a.sigmoid())
        above = 2 * x[:, 0, t] - 1
    torch.testing.assert_close(model.parameters_of(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("context", [0, 2])
def test_no_pixel_sees_itself_or_what_follows(cell: str, context: int) -> None:
    height, width = 3, 4
    model = tiny(cell, height, width, context)
    x = images(1, height, width).requires_grad_()
    parameters = model.parameters_of(x)
    for t in range(height):
        for j in range(width):
            (gradient,) = torch.autograd.grad(
                parameters[0, :, t, j].sum(), x, retain_graph=True, allow_unused=True
            )
            assert gradient is not None
            reached = gradient[0, 0] != 0
            allowed = torch.zeros(height, width, dtype=torch.bool)
            allowed[:t] = True
            allowed[t, max(0, j - context) : j] = True
            assert torch.equal(reached, allowed), (t, j)


@pytest.mark.parametrize("cell", CELLS)
def test_probabilities_of_all_images_of_one_pixel_sum_to_one(cell: str) -> None:
    levels = (torch.arange(256).double() / 255).view(256, 1, 1, 1)
    with torch.no_grad():
        total = tiny(cell, 1, 1).log_prob(levels).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("shape", [(1, 2), (2, 1)])
def test_probabilities_of_all_images_of_two_pixels_sum_to_one(shape: tuple[int, int]) -> None:
    """All 65,536 of them, side by side or one above the other."""
    levels = torch.arange(256).double() / 255
    pairs = torch.cartesian_prod(levels, levels).view(-1, 1, *shape)
    with torch.no_grad():
        total = tiny("lstm", *shape).log_prob(pairs).exp().sum()
    assert total.item() == pytest.approx(1, abs=1e-10)


def test_drawing_agrees_with_the_likelihood() -> None:
    """Coarse frequencies of 40,000 drawn pairs of pixels against the summed probabilities."""
    levels = torch.arange(256).double() / 255
    pairs = torch.cartesian_prod(levels, levels).view(-1, 1, 2, 1)
    model = tiny("gru", 2, 1)
    with torch.no_grad():
        model.to_features.weight *= 4
        probabilities = model.log_prob(pairs).exp().view(4, 64, 4, 64).sum(dim=(1, 3))
    n = 40_000
    drawn = model.sample(n, rng=torch.Generator().manual_seed(0))
    bins = (drawn * 255).round().long().view(n, 2) // 64
    frequencies = torch.bincount(4 * bins[:, 0] + bins[:, 1], minlength=16).view(4, 4) / n
    error = (probabilities * (1 - probabilities) / n).sqrt()
    assert ((frequencies - probabilities).abs() < 5 * error + 1e-9).all()
    # A coarse table that is the product of its margins would not tell whether rows are read.
    independent = probabilities.sum(1, keepdim=True) * probabilities.sum(0, keepdim=True)
    assert (probabilities - independent).abs().max() > 10 * error.max()


@pytest.mark.parametrize("cell", CELLS)
def test_loss_is_the_mean_negative_log_likelihood(cell: str) -> None:
    """Fault R3: one sign, one sum; and the loss per image does not depend on the batch size."""
    model = tiny(cell, 4, 4)
    x = images(6, 4, 4)
    assert model.loss(x).item() == pytest.approx(-model.log_prob(x).mean().item())
    one = x[:1]
    repeated = model.loss(one.expand(9, -1, -1, -1)).item()
    assert model.loss(one).item() == pytest.approx(repeated, rel=1e-12)
    assert (model.log_prob(x) < 0).all()
    bound = model.log_prob_bound(x)
    assert not bound.requires_grad
    assert torch.equal(bound, model.log_prob(x).detach())


def test_output_does_not_reuse_the_input_weights() -> None:
    """Fault R2."""
    model = tiny("rnn", 4, 4)
    storages = [p.untyped_storage().data_ptr() for p in model.parameters()]
    assert len(set(storages)) == len(storages)
    model.loss(images(2, 4, 4)).backward()
    assert all(p.grad is not None and p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("cell", CELLS)
def test_complete_keeps_the_known_rows_and_reads_no_others(cell: str) -> None:
    model = tiny(cell, 6, 4)
    x = images(3, 6, 4)
    given = x.clone()
    other = x.clone()
    other[:, :, 2:] = 0
    first = model.complete(x, 2, rng=torch.Generator().manual_seed(0))
    second = model.complete(other, 2, rng=torch.Generator().manual_seed(0))
    assert torch.equal(x, given), "the caller's images must not be written to"
    assert torch.equal(first[:, :, :2], x[:, :, :2])
    assert torch.equal(first, second)
    assert not torch.equal(first[:, :, 2:], x[:, :, 2:])
    assert torch.equal(first, to_levels(first))
    assert torch.equal(model.complete(x, 6), x)
    whole = model.complete(x, 0, rng=torch.Generator().manual_seed(3))
    assert torch.equal(whole, model.sample(3, rng=torch.Generator().manual_seed(3)))


def test_rows_drawn_depend_on_the_rows_known() -> None:
    model = tiny("lstm", 6, 4)
    x = images(3, 6, 4)
    first = model.complete(x, 2, rng=torch.Generator().manual_seed(0))
    second = model.complete(1 - x, 2, rng=torch.Generator().manual_seed(0))
    assert not torch.equal(first[:, :, 2:], second[:, :, 2:])


def test_low_temperature_is_less_varied() -> None:
    model = RowRNN(hidden_size=8, features=4, image_shape=(1, 8, 8))
    spread = [
        model.sample(200, rng=torch.Generator().manual_seed(0), temperature=t).std(0).mean()
        for t in (1.0, 0.5, 0.01)
    ]
    assert spread[0] > spread[1] > spread[2]
    with pytest.raises(ValueError, match="temperature must be positive, got -1"):
        model.sample(1, temperature=-1)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="cell must be one of 'rnn', 'lstm', 'gru', got 'tanh'"):
        RowRNN("tanh")
    with pytest.raises(ValueError, match=r"image_shape must be \(1, height, width\)"):
        RowRNN(image_shape=(3, 28, 28))
    model = RowRNN(hidden_size=4, image_shape=(1, 4, 4))
    with pytest.raises(ValueError, match="known must be from 0 to 4, got 5; give a number of rows"):
        model.complete(torch.zeros(1, 1, 4, 4), 5)
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 4, 4\)"):
        model.log_prob(torch.zeros(1, 1, 5, 4))
