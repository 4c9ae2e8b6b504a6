"""The convolutional LSTM against torch's LSTM, against its equations, and against cheating."""

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from companion import train
from companion.data import fashion_mnist, moving_fashion, to_float
from companion.models.conv_lstm import ConvLSTM, ConvLSTMCell


def small(**arguments: int) -> ConvLSTM:
    torch.manual_seed(0)
    return ConvLSTM(
        **({"hidden_size": 4, "layers": 2, "frames_in": 3, "frames_out": 2} | arguments)
    )


def clips(n: int = 3, frames: int = 5, size: int = 32) -> Tensor:
    images = to_float(fashion_mnist().images[:n])
    return moving_fashion(images, frames, size, rng=torch.Generator().manual_seed(1))


# ---- The cell ------------------------------------------------------------------------------------


def test_on_one_place_it_is_torchs_lstm() -> None:
    """Values and all gradients, on a grid of 1 x 1 with kernels of 1 x 1."""
    torch.manual_seed(0)
    cell, lstm = ConvLSTMCell(3, 5, kernel_size=1).double(), nn.LSTM(3, 5).double()
    assert cell.from_input is not None
    assert cell.from_state.bias is not None
    from_input, from_state, *biases = lstm.parameters()
    with torch.no_grad():  # the same order of the gates: i, f, g, o
        cell.from_input.weight.copy_(from_input[:, :, None, None])
        cell.from_state.weight.copy_(from_state[:, :, None, None])
        cell.from_state.bias.copy_(biases[0] + biases[1])
    x = torch.randn(7, 2, 3, dtype=torch.float64, requires_grad=True)
    state = torch.randn(2, 1, 2, 5, dtype=torch.float64)
    expected, (h, c) = lstm(x, (state[0], state[1]))
    grid = state[:, 0, :, :, None, None]
    hidden, last = cell(x[..., None, None], (grid[0], grid[1]), 7)
    torch.testing.assert_close(hidden[..., 0, 0], expected)
    torch.testing.assert_close(torch.stack(last)[..., 0, 0], torch.cat([h, c]))
    weight = torch.randn_like(expected)
    wanted = torch.autograd.grad((weight * expected).sum(), [x, *lstm.parameters()])
    got = torch.autograd.grad((weight * hidden[..., 0, 0]).sum(), [x, *cell.parameters()])
    torch.testing.assert_close(got[0], wanted[0])
    torch.testing.assert_close(got[1][..., 0, 0], wanted[1])  # from_input
    torch.testing.assert_close(got[2][..., 0, 0], wanted[2])  # from_state
    torch.testing.assert_close(got[3], wanted[3])


@torch.no_grad()
def test_a_step_is_the_equations_of_shi() -> None:
    torch.manual_seed(0)
    cell = ConvLSTMCell(2, 3)
    x, h, c = torch.randn(4, 2, 6, 6), torch.randn(4, 3, 6, 6), torch.randn(4, 3, 6, 6)
    assert cell.from_input is not None
    hidden, (_, memory) = cell(x[None], (h, c), 1)
    together = torch.cat([cell.from_input.weight, cell.from_state.weight], dim=1)
    gates = nn.functional.conv2d(torch.cat([x, h], 1), together, cell.from_state.bias, padding=1)
    i, f, g, o = (gates[:, k : k + 3] for k in (0, 3, 6, 9))
    expected = f.sigmoid() * c + i.sigmoid() * g.tanh()
    torch.testing.assert_close(memory, expected)
    torch.testing.assert_close(hidden[0], o.sigmoid() * expected.tanh())


@torch.no_grad()
def test_a_shifted_input_gives_a_shifted_state() -> None:
    """Far from the borders: one motion is learned for all places."""
    torch.manual_seed(0)
    cell = ConvLSTMCell(1, 2)
    x = torch.zeros(3, 1, 1, 16, 16)
    x[:, :, :, 7:9, 7:9] = torch.rand(3, 1, 1, 2, 2)
    zero = torch.zeros(1, 2, 16, 16)
    here, _ = cell(x, (zero, zero), 3)
    there, _ = cell(x.roll(1, dims=4), (zero, zero), 3)
    torch.testing.assert_close(here[..., 4:12, 4:11], there[..., 4:12, 5:12])


def test_the_forget_gate_starts_open() -> None:
    bias = ConvLSTMCell(1, 2).from_state.bias
    assert bias is not None
    assert bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


# ---- Encoder and forecaster ----------------------------------------------------------------------


@pytest.mark.parametrize(("size", "patch"), [(32, 4), (64, 4), (32, 8)])
@pytest.mark.parametrize("layers", [1, 2])
def test_shape_in_is_shape_out(size: int, patch: int, layers: int) -> None:
    model = small(size=size, patch=patch, layers=layers)
    frames = clips(size=size)
    predicted = model(frames[:, :3])
    assert predicted.shape == (3, 2, 1, size, size)
    assert predicted.min() >= 0
    assert predicted.max() <= 1
    assert model.predict(frames, 4).shape == (3, 4, 1, size, size)


def test_the_loss_is_the_squared_error_of_a_frame() -> None:
    model, sequences = small(), clips()
    expected = (model(sequences[:, :3]) - sequences[:, 3:]).square().sum() / (3 * 2)
    torch.testing.assert_close(model.sequence_loss(sequences), expected)
    double = torch.cat([sequences, sequences])
    torch.testing.assert_close(model.sequence_loss(double), expected)


def test_the_loss_of_garments_is_that_of_sequences_made_from_them() -> None:
    model, images = small(), to_float(fashion_mnist().images[:4])
    torch.manual_seed(5)
    loss = model.loss(images)
    torch.manual_seed(5)
    torch.testing.assert_close(loss, model.sequence_loss(moving_fashion(images, 5, 32)))
    (player,) = model.players()
    assert set(player.module.parameters()) == set(model.parameters())
    player.loss(images).backward()  # type: ignore[union-attr]
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_a_prediction_knows_nothing_of_the_frames_to_come() -> None:
    """Only the frames read enter, each of them does, and those to come have no gradient."""
    model = small()
    sequences = clips().requires_grad_()
    model(sequences[:, :3])[:, -1].sum().backward()
    assert sequences.grad is not None
    per_frame = sequences.grad.abs().sum(dim=(0, 2, 3, 4))
    assert (per_frame[:3] > 0).all()
    assert (per_frame[3:] == 0).all()


def test_a_shorter_forecast_is_the_beginning_of_a_longer_one() -> None:
    model, frames = small(), clips()
    torch.testing.assert_close(model.predict(frames, 2), model.predict(frames, 6)[:, :2])


def test_predict_leaves_the_model_as_it_was() -> None:
    model, frames = small(), clips()
    model.encoder.eval()
    modes = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    before = torch.get_rng_state()
    assert not model.predict(frames).requires_grad
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())


def test_training_lowers_the_error() -> None:
    model = small(hidden_size=8, layers=1)
    images = fashion_mnist().images[:96]
    test = clips(8)
    before = model.sequence_loss(test).item()
    train(model, images, epochs=8, batch_size=16, progress=False)
    assert model.sequence_loss(test).item() < 0.9 * before


def test_mistakes_are_refused() -> None:
    model = small()
    with pytest.raises(ValueError, match="kernel_size must be odd, .* got 4"):
        ConvLSTMCell(1, 2, kernel_size=4)
    with pytest.raises(ValueError, match="size must be a multiple of patch, got 32 and 5"):
        ConvLSTM(patch=5)
    with pytest.raises(ValueError, match=r"frames must have shape \(N, T, 1, 32, 32\), got"):
        model(torch.zeros(2, 10, 32, 32))
    with pytest.raises(ValueError, match=r"frames must have shape \(N, T, 1, 32, 32\), got"):
        model.predict(torch.zeros(2, 10, 1, 64, 64))
    with pytest.raises(TypeError, match="got uint8"):
        model(torch.zeros(2, 10, 1, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"sequences must have 3 \+ 2 frames, got 4"):
        model.sequence_loss(clips(frames=4))


def test_it_is_trained_on_sequences_as_on_stills() -> None:
    model, sequences = small(), clips(4)
    torch.testing.assert_close(model.loss(sequences), model.sequence_loss(sequences))
    before = copy.deepcopy(model.state_dict())
    levels = (255 * sequences).round().byte()
    options = {"epochs": 1, "batch_size": 2, "device": "cpu", "progress": False}
    history = train(model, levels, **options)  # type: ignore[arg-type]
    assert all(loss < 1024 for loss in history.losses["squared error"])
    assert any(not torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with pytest.raises(ValueError, match=r"sequences must have 3 \+ 2 frames, got 4"):
        model.loss(sequences[:, :4])


def test_videos_of_your_own_are_learned(tmp_path: Path) -> None:
    """One bright column that moves on by a pixel a frame, as uint8, with a checkpoint."""
    columns = torch.arange(32) == (torch.arange(8)[:, None] + torch.arange(20))[..., None] % 32
    videos = columns[:, :, None, None].expand(8, 20, 1, 32, 32).to(torch.uint8) * 255
    torch.manual_seed(0)
    model = ConvLSTM(hidden_size=8, layers=1)
    options = {"batch_size": 8, "device": "cpu", "progress": False, "run_dir": tmp_path}
    history = train(model, videos, epochs=12, learning_rate=1e-2, **options)
    errors = history.losses["squared error"]
    assert errors[-1] < errors[0]
    with pytest.raises(ValueError, match=r"10 \+ 10 frames, got 9; build the model for theirs"):
        model.loss(videos[:, :9] / 255)
    with pytest.raises(ValueError, match=r"cut them with \[:, :20\], or build the model for"):
        model.loss(torch.cat([videos, videos], 1) / 255)
