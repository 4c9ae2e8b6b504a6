"""The pixel models: masks, causality, an exact likelihood, and drawing with what is kept."""

import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from companion.likelihoods import binarize, to_levels
from companion.models import PixelCNN, PixelRNN
from companion.models.masked import MaskedConv2d
from companion.models.pixel_model import PixelModel
from companion.models.pixel_rnn import RowLSTM

MODELS = {
    "row LSTM": lambda **options: PixelRNN(6, **options),
    "two row LSTMs": lambda **options: PixelRNN(5, 2, **options),
    "two stacks": lambda **options: PixelCNN(6, 2, **options),
    "one stack": lambda **options: PixelCNN(6, 2, stacks=1, **options),
}
BLIND = "one stack"


def images(n: int, height: int = 28, width: int = 28, levels: int = 256) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    gray = torch.rand(n, 1, height, width, generator=rng, dtype=torch.float64)
    return to_levels(gray) if levels == 256 else binarize(gray, rng=rng)


def tiny(name: str, height: int, width: int, levels: int = 256) -> PixelModel:
    """A small model whose weights are large enough for everything to depend on everything."""
    torch.manual_seed(0)
    model = MODELS[name](levels=levels, image_shape=(1, height, width)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2)
        model.place.normal_()
    return model


def reached(outputs: Tensor, inputs: Tensor, i: int, j: int) -> Tensor:
    """Which pixels of the inputs the outputs at (i, j) depend on, ``(H, W)``."""
    total = outputs[:, :, i, j].square().sum()
    (gradient,) = torch.autograd.grad(total, inputs, retain_graph=True)
    return (gradient != 0).any(dim=1).any(dim=0)


def allowed(kind: str, above: int, left: int, i: int, j: int, size: int) -> Tensor:
    """What a masked convolution at (i, j) sees, by its definition."""
    seen = torch.zeros(size, size, dtype=torch.bool)
    for row, column in itertools.product(range(size), repeat=2):
        if i - above <= row < i and abs(column - j) <= left:
            seen[row, column] = True
        if row == i:
            seen[row, column] = {
                "A": j - left <= column < j,
                "B": j - left <= column <= j,
                "above": False,
                "rows": abs(column - j) <= left,
            }[kind]
    return seen


@pytest.mark.parametrize(
    ("kind", "kernel"),
    [
        *itertools.product(["A", "B", "above", "rows"], [(3, 3), (5, 3)]),
        ("A", (1, 5)),
        ("B", (1, 3)),
    ],
)
def test_a_mask_shows_what_it_says_and_nothing_else(kind: str, kernel: tuple[int, int]) -> None:
    size = 7
    conv = MaskedConv2d(kind, 2, 3, kernel).double()
    x = torch.randn(1, 2, size, size, dtype=torch.float64, requires_grad=True)
    out = conv(x)
    assert out.shape == (1, 3, size, size)
    for i, j in itertools.product(range(size), repeat=2):
        expected = allowed(kind, kernel[0] // 2, kernel[1] // 2, i, j, size)
        assert torch.equal(reached(out, x, i, j), expected), (i, j)


def test_masked_convolution_equals_a_whole_one_with_zeros() -> None:
    conv = MaskedConv2d("B", 2, 3, (5, 5))
    whole = nn.Conv2d(2, 3, 5, padding=2)
    with torch.no_grad():
        whole.weight.zero_()
        whole.weight[:, :, :3] = conv.weight
        whole.weight[:, :, 2, 3:] = 0
        whole.bias.copy_(conv.bias)  # type: ignore[union-attr, arg-type]
    x = torch.randn(2, 2, 6, 8)
    torch.testing.assert_close(conv(x), whole(x))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("levels", [2, 256])
def test_no_pixel_sees_itself_or_what_follows(name: str, levels: int) -> None:
    height, width = 5, 6
    model = tiny(name, height, width, levels)
    x = images(3, height, width, levels).requires_grad_()
    parameters = model.parameters_of(x)
    for i, j in itertools.product(range(height), range(width)):
        before = torch.zeros(height, width, dtype=torch.bool)
        before[:i] = True
        before[i, :j] = True
        seen = reached(parameters, x, i, j)
        assert not (seen & ~before).any(), (i, j)
        if i and j:
            assert seen[i, j - 1], "the left neighbor"
            assert seen[i - 1, j], "the neighbor above"
            assert seen[i - 1, min(j + 1, width - 1)], "and the one to its right"


@pytest.mark.parametrize("name", MODELS)
def test_changing_a_pixel_changes_nothing_before_it(name: str) -> None:
    """By values, for the flags of black pixels have no gradient."""
    model = tiny(name, 5, 6)
    x = images(1, 5, 6)
    parameters = model.parameters_of(x)
    for i, j in itertools.product(range(5), range(6)):
        other = x.clone()
        other[0, 0, i, j] = 0 if x[0, 0, i, j] else 1
        changed = (model.parameters_of(other) != parameters).any(dim=1)[0].flatten()
        assert not changed[: i * 6 + j + 1].any()
        assert changed.any() or (i, j) == (4, 5)


def test_one_stack_is_blind_where_two_are_not() -> None:
    """Past the first 7 by 7 mask, 3 by 3 ones show nothing to the right of a diagonal."""
    size, at = 9, (6, 4)
    x = images(2, size, size).requires_grad_()
    seen = {}
    for stacks in (1, 2):
        torch.manual_seed(0)
        model = PixelCNN(6, 5, stacks, image_shape=(1, size, size)).double()
        seen[stacks] = reached(model.parameters_of(x), x, *at)
    before = torch.zeros(size, size, dtype=torch.bool)
    before[: at[0]] = True
    before[at[0], : at[1]] = True
    assert torch.equal(seen[2], before)
    assert not (seen[1] & ~before).any()
    assert not seen[1][5, 8], "one row up, four columns to the right"
    assert (before & ~seen[1]).sum() >= 1


@pytest.mark.parametrize("name", MODELS)
def test_probabilities_of_all_binary_images_sum_to_one(name: str) -> None:
    """All 512 of 3 by 3 pixels."""
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 9).view(-1, 1, 3, 3)
    model = tiny(name, 3, 3, levels=2)
    with torch.no_grad():
        probabilities = model.log_prob(every).exp()
    assert probabilities.sum().item() == pytest.approx(1, abs=1e-12)
    assert probabilities.max() > 2 * probabilities.min(), "not all alike"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", [(1, 2), (2, 1)])
def test_probabilities_of_all_gray_images_of_two_pixels_sum_to_one(
    name: str, shape: tuple[int, int]
) -> None:
    levels = torch.arange(256).double() / 255
    pairs = torch.cartesian_prod(levels, levels).view(-1, 1, *shape)
    model = tiny(name, *shape)
    with torch.no_grad():
        total = sum(model.log_prob(part).exp().sum().item() for part in pairs.split(8192))
    assert total == pytest.approx(1, abs=1e-10)


def test_row_lstm_equals_its_formulas_written_out() -> None:
    torch.manual_seed(0)
    size, height, width = 3, 4, 5
    layer = RowLSTM(size).double()
    x = torch.randn(2, size, height, width, dtype=torch.float64)
    K_is, bias = layer.from_inputs.weight, layer.from_inputs.bias  # (4 size, size, 1, 2)
    assert bias is not None
    K_ss = layer.from_state.weight.view(4 * size, 3, size)
    expected = torch.zeros_like(x)
    c = torch.zeros(2, size, width, dtype=torch.float64)
    h = torch.zeros_like(c)
    for i in range(height):
        new_h, new_c = torch.zeros_like(h), torch.zeros_like(c)
        for j in range(width):
            gates = bias + x[:, :, i, j] @ K_is[:, :, 0, 1].T
            if j > 0:
                gates = gates + x[:, :, i, j - 1] @ K_is[:, :, 0, 0].T
            for k in (-1, 0, 1):
                if 0 <= j + k < width:
                    gates = gates + h[:, :, j + k] @ K_ss[:, k + 1].T
            o, f, i_gate, g = gates.split(size, dim=1)
            new_c[:, :, j] = torch.sigmoid(f) * c[:, :, j] + torch.sigmoid(i_gate) * torch.tanh(g)
            new_h[:, :, j] = torch.sigmoid(o) * torch.tanh(new_c[:, :, j])
        h, c = new_h, new_c
        expected[:, :, i] = h
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("levels", [2, 256])
def test_drawing_with_what_is_kept_equals_drawing_naively(name: str, levels: int) -> None:
    model = tiny(name, 6, 7, levels)
    naive = model.draw_slowly(4, rng=torch.Generator().manual_seed(3))
    drawn = model.sample(4, rng=torch.Generator().manual_seed(3))
    assert torch.equal(drawn, naive)
    assert torch.equal(drawn, to_levels(drawn) if levels == 256 else drawn.round())
    assert len(drawn.unique()) >= 2


def test_drawing_agrees_with_the_likelihood() -> None:
    """Frequencies of 40,000 drawn images of 2 by 2 pixels against their probabilities."""
    model = tiny("row LSTM", 2, 2, levels=2)
    every = torch.cartesian_prod(*[torch.tensor([0.0, 1.0]).double()] * 4).view(-1, 1, 2, 2)
    with torch.no_grad():
        probabilities = model.log_prob(every).exp()
    n = 40_000
    drawn = model.sample(n, rng=torch.Generator().manual_seed(0)).flatten(1)
    which = (drawn @ torch.tensor([8.0, 4.0, 2.0, 1.0]).double()).long()
    frequencies = torch.bincount(which, minlength=16) / n
    error = (probabilities * (1 - probabilities) / n).sqrt()
    assert ((frequencies - probabilities).abs() < 5 * error).all()


@pytest.mark.parametrize("name", MODELS)
def test_loss_is_the_mean_negative_log_likelihood(name: str) -> None:
    """Fault R3: one sign, one sum; and the loss per image does not depend on the batch size."""
    model = tiny(name, 5, 4)
    x = images(6, 5, 4)
    assert model.loss(x).item() == pytest.approx(-model.pixel_log_prob(x).sum().item() / 6)
    repeated = model.loss(x[:1].expand(9, -1, -1, -1)).item()
    assert model.loss(x[:1]).item() == pytest.approx(repeated, rel=1e-12)
    assert (model.log_prob(x) < 0).all()
    bound = model.log_prob_bound(x)
    assert not bound.requires_grad
    torch.testing.assert_close(bound, model.log_prob(x).detach())
    model.loss(x).backward()
    unused = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not unused


def test_untrained_logits_cost_one_bit_a_pixel() -> None:
    model = PixelCNN(4, 1, levels=2, image_shape=(1, 3, 3))
    with torch.no_grad():
        for parameter in model.to_output[-1].parameters():
            parameter.zero_()
    log_prob = model.log_prob(images(2, 3, 3, levels=2).float())
    torch.testing.assert_close(log_prob, torch.full((2,), 9 * math.log(0.5)))


@pytest.mark.parametrize("name", MODELS)
def test_complete_keeps_what_is_known_and_reads_nothing_else(name: str) -> None:
    model = tiny(name, 6, 5)
    x = images(3, 6, 5)
    given = x.clone()
    known = torch.ones(6, 5, dtype=torch.bool)
    known[2:4, 1:4] = False
    other = torch.where(known, x, 1 - x)
    first = model.complete(x, known, rng=torch.Generator().manual_seed(0))
    second = model.complete(other, known, rng=torch.Generator().manual_seed(0))
    assert torch.equal(x, given), "the caller's images must not be written to"
    assert torch.equal(first[..., known], x[..., known])
    assert torch.equal(first, second)
    assert not torch.equal(first, x)
    rows = model.complete(x, 2, rng=torch.Generator().manual_seed(0))
    mask = (torch.arange(6) < 2)[:, None].expand(6, 5)
    assert torch.equal(rows, model.complete(x, mask, rng=torch.Generator().manual_seed(0)))
    assert torch.equal(rows[:, :, :2], x[:, :, :2])
    assert torch.equal(model.complete(x, 6), x)
    flipped = model.complete(1 - x, 2, rng=torch.Generator().manual_seed(0))
    assert not torch.equal(flipped[:, :, 2:], rows[:, :, 2:])


def test_low_temperature_is_less_varied() -> None:
    model = PixelRNN(8, image_shape=(1, 8, 8))
    spread = [
        model.sample(200, rng=torch.Generator().manual_seed(0), temperature=t).std(0).mean()
        for t in (1.0, 0.5, 0.01)
    ]
    assert spread[0] > spread[1] > spread[2]
    with pytest.raises(ValueError, match="temperature must be positive, got -1"):
        model.sample(1, temperature=-1)


@pytest.mark.parametrize("model", [PixelRNN(8), PixelCNN(8)])
def test_bf16_agrees_with_float32(model: PixelModel) -> None:
    x = images(4).float()
    exact = model.log_prob(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model.log_prob(x)
    assert rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of 'A', 'B', 'above', 'rows', got 'C'"):
        MaskedConv2d("C", 1, 1)
    with pytest.raises(ValueError, match=r"kernel must be odd, .* got \(2, 3\)"):
        MaskedConv2d("A", 1, 1, (2, 3))
    with pytest.raises(ValueError, match="levels must be 256 .* or 2 .*, got 16"):
        PixelRNN(levels=16)
    with pytest.raises(ValueError, match="stacks must be 2, or 1 with a blind spot, got 3"):
        PixelCNN(stacks=3)
    with pytest.raises(ValueError, match=r"image_shape must be \(1, height, width\)"):
        PixelCNN(image_shape=(3, 28, 28))
    model = PixelRNN(4, image_shape=(1, 4, 4))
    zeros = torch.zeros(1, 1, 4, 4)
    with pytest.raises(ValueError, match="known must be from 0 to 4, got 5; give a number of rows"):
        model.complete(zeros, 5)
    with pytest.raises(ValueError, match=r"known must be a mask of booleans of shape \(4, 4\)"):
        model.complete(zeros, torch.ones(4, 4))
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 4, 4\)"):
        model.log_prob(torch.zeros(1, 1, 5, 4))
    with pytest.raises(ValueError, match="images must be black and white"):
        PixelRNN(4, levels=2, image_shape=(1, 4, 4)).log_prob(zeros + 0.5)
