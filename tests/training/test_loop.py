"""The loop on games so small that every number of theirs is known."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from companion import Player, train
from companion.data import to_float
from companion.files import load_tensors
from companion.models import DCGAN, GAN, VAE, Classifier, RowRNN

PIXELS = torch.randint(256, (8, 1, 4, 4), generator=torch.Generator().manual_seed(0)).byte()
Loss = Callable[..., Tensor | Mapping[str, Tensor]]


class Slope(nn.Module):
    """Weights on a slope of constant gradient, where each step of Adam has length eta exactly."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2, dtype=torch.float64))
        self.options = {"learning_rate": 0.1, **options}

    def loss(self, images: Tensor) -> Tensor:
        return self.weight.sum()

    def players(self) -> list[Player]:
        return [Player("slope", self, self.loss, **self.options)]


class Game(nn.Module):
    """Any losses by name, each with a weight of its own."""

    def __init__(self, **losses: Loss) -> None:
        super().__init__()
        self.losses = losses
        self.weights = nn.ModuleDict({name: nn.Linear(16, 1) for name in losses}).double()

    def players(self) -> list[Player]:
        return [Player(name, self.weights[name], loss) for name, loss in self.losses.items()]


def run(model: nn.Module, *data: Tensor, **options: Any) -> Any:
    options = {"epochs": 1, "batch_size": 4, "device": "cpu", "progress": False} | options
    return train(model, *(data or (PIXELS,)), **options)


def path_of(model: Slope, **options: Any) -> list[float]:
    """The weight after each step: an epoch has one."""
    seen: list[float] = []
    run(model, batch_size=8, on_epoch=lambda _, m: seen.append(m.weight[0].item()), **options)
    return seen


def row_rnn(seed: int = 0) -> RowRNN:
    torch.manual_seed(seed)
    return RowRNN("gru", 4, features=3, image_shape=(1, 4, 4)).double()


def weights(model: nn.Module) -> Tensor:
    return torch.cat([p.detach().flatten().double() for p in model.parameters()])


def test_a_step_of_adam_on_a_slope() -> None:
    expected = [-0.1 * t for t in range(1, 6)]
    assert path_of(Slope(), epochs=5) == pytest.approx(expected, abs=1e-6)


def test_cosine_schedule() -> None:
    """eta (1 + cos(pi t / T)) / 2 for t = 0 ... T - 1, summed up."""
    T = 8
    lengths = [0.1 * 0.5 * (1 + math.cos(math.pi * t / T)) for t in range(T)]
    expected = [-sum(lengths[: t + 1]) for t in range(T)]
    assert path_of(Slope(), epochs=T, schedule="cosine") == pytest.approx(expected, abs=1e-6)


def test_a_player_moves_on_every_so_many_batches() -> None:
    seen = path_of(Slope(every=3), epochs=7)
    assert seen == pytest.approx([0, 0, -0.1, -0.1, -0.1, -0.2, -0.2], abs=1e-6)


def test_average_of_the_weights_by_hand() -> None:
    gamma = 0.7
    path = path_of(Slope(), epochs=6)
    average = path[0]
    for weight in path[1:]:
        average = gamma * average + (1 - gamma) * weight
    averaged = Slope()
    seen = path_of(averaged, epochs=6, ema_decay=gamma)
    assert averaged.weight[0].item() == pytest.approx(average, abs=1e-12)
    assert seen[-1] == pytest.approx(average, abs=1e-12), "on_epoch sees the averaged model"


@pytest.mark.parametrize(("clip_norm", "expected"), [(None, 2**0.5), (0.5, 0.5), (9.0, 2**0.5)])
def test_clipping(tmp_path: Path, clip_norm: float | None, expected: float) -> None:
    """After one step Adam's first moment is (1 - beta1) times the gradient, here (1, 1)."""
    run(Slope(), batch_size=8, clip_norm=clip_norm, run_dir=tmp_path)
    tensors, _ = load_tensors(tmp_path / "checkpoint.safetensors")
    gradient = tensors["optimizer.slope.0.exp_avg"] / 0.1
    assert gradient.norm().item() == pytest.approx(expected, abs=1e-5)


def test_accumulation_changes_nothing(tmp_path: Path) -> None:
    """Seven images in three parts of 3, 3 and 1, against one whole; Adam's moments, too."""
    for parts in (1, 3):
        run(row_rnn(), batch_size=7, epochs=4, accumulate=parts, run_dir=tmp_path / str(parts))
    whole, _ = load_tensors(tmp_path / "1" / "checkpoint.safetensors")
    summed, _ = load_tensors(tmp_path / "3" / "checkpoint.safetensors")
    for name, tensor in whole.items():
        torch.testing.assert_close(summed[name], tensor, rtol=0, atol=1e-10)


def test_accumulated_losses_are_recorded_whole() -> None:
    whole, summed = (run(row_rnn(), batch_size=7, accumulate=parts) for parts in (1, 3))
    name = "negative log-likelihood"
    assert summed.losses[name] == pytest.approx(whole.losses[name], rel=1e-6)


def test_bytes_and_floats_train_alike() -> None:
    results = []
    for data in (PIXELS, to_float(PIXELS)):
        model = row_rnn().float()
        run(model, data, epochs=2)
        results.append(weights(model))
    assert torch.equal(*results)


def test_labels_reach_the_loss_beside_their_images() -> None:
    labels = torch.arange(8)
    seen: list[tuple[Tensor, Tensor]] = []

    def loss(images: Tensor, labels: Tensor) -> Tensor:
        seen.append((images, labels))
        return model.weights["a"](images.flatten(1)).mean()

    model = Game(a=loss)
    run(model, PIXELS, labels)
    assert len(seen) == 2
    for images, numbers in seen:
        assert numbers.dtype == torch.int64
        assert torch.equal(images, PIXELS[numbers].double() / 255)


def test_a_classifier_learns_from_labels() -> None:
    images = torch.randint(256, (16, 1, 28, 28)).byte()
    history = run(Classifier(width=4), images, torch.arange(16) % 10, batch_size=8, epochs=3)
    assert history.losses["classifier"][-1] < history.losses["classifier"][0]


def test_the_caller_s_random_state_is_left_alone() -> None:
    model = VAE(latent_dim=2, width=4, image_shape=(1, 4, 4))
    before = torch.get_rng_state()
    run(model, epochs=2)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_seed_decides_and_the_caller_s_random_state_does_not() -> None:
    results = []
    for noise, seed in ((1, 0), (2, 0), (1, 1)):
        torch.manual_seed(3)
        model = VAE(latent_dim=2, width=4, image_shape=(1, 4, 4))
        torch.manual_seed(noise)
        run(model, epochs=2, seed=seed)
        results.append(weights(model))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_what_on_epoch_draws_has_no_influence() -> None:
    calls: list[int] = []

    def draw(epoch: int, model: nn.Module) -> None:
        calls.append(epoch)
        torch.manual_seed(99)
        torch.rand(3)
        model.eval()

    results = []
    for on_epoch in (None, draw):
        torch.manual_seed(0)
        model = DCGAN(latent_dim=2, width=4, image_shape=(1, 4, 4))
        run(model, epochs=3, on_epoch=on_epoch)
        results.append(weights(model))
    assert torch.equal(*results)
    assert calls == [1, 2, 3]


def test_mode_and_gradients_are_as_before() -> None:
    model = row_rnn().eval()
    run(model)
    assert not model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())


def test_frozen_weights_stay_frozen() -> None:
    model = row_rnn()
    model.rnn.requires_grad_(False)
    before = weights(model.rnn)
    run(model)
    assert torch.equal(weights(model.rnn), before)
    assert not any(p.requires_grad for p in model.rnn.parameters())
    assert all(p.requires_grad for p in model.to_mixture.parameters())


def test_a_move_changes_one_player_only() -> None:
    """Each loss reads both weights; each player moves its own, and sees the other's last move."""
    seen: list[tuple[bool, bool]] = []

    def loss(images: Tensor) -> Tensor:
        a, b = model.weights["a"], model.weights["b"]
        seen.append((a.weight.requires_grad, b.weight.requires_grad))
        return (a(images.flatten(1)) * b(images.flatten(1))).mean()

    model = Game(a=loss, b=loss)
    run(model)
    assert seen == [(True, False), (False, True)] * 2


def test_history_averages_ten_steps() -> None:
    """On the slope the loss of step t is -2 (t - 1) eta."""
    history = run(Slope(), batch_size=8, epochs=1, seed=1)
    assert (history.steps, history.losses["slope"]) == ([1], [0.0])
    history = run(Slope(), PIXELS.repeat(25, 1, 1, 1), batch_size=8)  # 25 steps
    assert history.steps == [10, 20, 25]
    first, second, third = history.losses["slope"]
    assert first == pytest.approx(-0.2 * 4.5, abs=1e-5)
    assert second == pytest.approx(-0.2 * 14.5, abs=1e-5)
    assert third == pytest.approx(-0.2 * 22, abs=1e-5)
    assert (history.epochs, history.images, history.interrupted) == (1, 200, False)
    assert history.seconds > 0


def test_progress_shows_the_losses(capsys: pytest.CaptureFixture) -> None:
    run(Slope(), PIXELS.repeat(25, 1, 1, 1), batch_size=8, progress=True)
    assert "slope" in capsys.readouterr().err
    run(Slope(), progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("build", [VAE, DCGAN])
def test_bf16_losses_are_those_of_float32(build: type[VAE] | type[DCGAN]) -> None:
    losses = []
    images = torch.randint(256, (8, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
    for precision in ("float32", "bf16"):
        torch.manual_seed(0)
        model = build(latent_dim=4, width=4)
        losses.append(run(model, images, epochs=1, precision=precision).losses)
        assert all(p.dtype == torch.float32 for p in model.parameters())
    for name, values in losses[0].items():
        assert losses[1][name] == pytest.approx(values, rel=0.03, abs=0.02), name


def test_a_sheet_of_samples_an_epoch_of_the_same_noise(tmp_path: Path) -> None:
    from PIL import Image

    model = DCGAN(latent_dim=2, width=4, image_shape=(1, 4, 4))
    run(model, epochs=2, run_dir=tmp_path, seed=4)
    names = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert names == ["epoch_0000.png", "epoch_0001.png", "epoch_0002.png"]
    with Image.open(tmp_path / "samples" / "epoch_0002.png") as sheet:
        pixels = torch.frombuffer(bytearray(sheet.tobytes()), dtype=torch.uint8)
        width, height = sheet.size
    first = model.sample(64, rng=torch.Generator().manual_seed(4))[0, 0]
    corner = pixels.view(height, width, 3)[2:6, 2:6, 0]
    torch.testing.assert_close(corner, (first * 255).round().byte(), rtol=0, atol=1)


def test_points_are_trained_but_not_drawn(tmp_path: Path) -> None:
    """A point is an image of one pixel with two channels, which no picture file can hold."""
    points = torch.rand(64, 2, 1, 1, generator=torch.Generator().manual_seed(0))
    model = GAN(latent_dim=2, hidden_size=4, image_shape=(2, 1, 1))
    train(model, points, epochs=1, batch_size=32, run_dir=tmp_path, progress=False)
    assert (tmp_path / "checkpoint.safetensors").exists()
    assert not (tmp_path / "samples").exists()


def test_models_that_draw_nothing_leave_no_sheet(tmp_path: Path) -> None:
    run(Slope(), run_dir=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.safetensors", ".lock"}


def nan_from(step: int) -> Loss:
    """A loss that is not a number from that step on."""
    calls = 0

    def loss(images: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return model_under_test[0].weights["a"](images.flatten(1)).mean() * (
            math.nan if calls >= step else 1
        )

    return loss


model_under_test: list[Game] = []


def test_nan_stops_with_step_and_player_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    model = Game(a=nan_from(5))
    model_under_test[:] = [model]
    match = (
        r"the loss 'a' is NaN or infinite at step 5; .*checkpoint.safetensors is from before; "
        "lower the learning rate, set clip_norm"
    )
    with pytest.raises(FloatingPointError, match=match):
        run(model, epochs=5, run_dir=tmp_path)
    tensors, notes = load_tensors(tmp_path / "checkpoint.safetensors")
    assert notes["step"] == 4
    assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_the_first_player_to_fail_is_named() -> None:
    """From step 3 on b's loss is infinite; from step 4 on a, which sees b, fails too."""
    steps = {"a": 0, "b": 0}

    def loss(name: str, fails_at: int) -> Loss:
        def value(images: Tensor) -> Mapping[str, Tensor]:
            steps[name] += 1
            good = model.weights[name](images.flatten(1)).mean()
            total = good * math.inf if steps[name] >= fails_at else good
            return {f"half of {name}": good / 2, "loss": total}

        return value

    model = Game(a=loss("a", 4), b=loss("b", 3))
    with pytest.raises(FloatingPointError, match=r"the loss 'b' is NaN or infinite at step 3; low"):
        run(model, epochs=5)


def test_weights_that_are_no_numbers_are_never_saved(tmp_path: Path) -> None:
    """The root of zero is fine, its gradient is not; the epoch ends before a loss shows it."""
    calls = 0

    def loss(images: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        weight = model.weights["a"].weight
        return (weight - weight.detach()).abs().sqrt().sum() if calls == 4 else weight.sum()

    model = Game(a=loss)
    match = "a weight of player 'a' is NaN or infinite at step 4; .* is from before"
    with pytest.raises(FloatingPointError, match=match):
        run(model, epochs=3, run_dir=tmp_path)
    _, notes = load_tensors(tmp_path / "checkpoint.safetensors")
    assert notes["step"] == 2


def test_options_that_do_not_fit_are_refused() -> None:
    images = to_float(PIXELS)
    cases: list[tuple[type[Exception], str, tuple[Tensor, ...], dict[str, Any]]] = [
        (TypeError, "train takes tensors after the model, got list", ([1.0],), {}),  # type: ignore[list-item]
        (ValueError, r"shape \(N, C, H, W\), got \(8, 4, 4\)", (PIXELS[:, 0],), {}),
        (ValueError, "use images / 255 on images", (PIXELS.float(),), {}),
        (TypeError, "got int64", (PIXELS.long(),), {}),
        (ValueError, "epochs must be at least 1, got 0", (images,), {"epochs": 0}),
        (ValueError, "accumulate must be at least 1, got 0", (images,), {"accumulate": 0}),
        (ValueError, "batch_size must be at most 8", (images,), {"batch_size": 9}),
        (ValueError, "ema_decay must be above 0 and below 1", (images,), {"ema_decay": 1.0}),
        (ValueError, "schedule must be one of 'constant'", (images,), {"schedule": "step"}),
        (ValueError, "clip_norm must be positive", (images,), {"clip_norm": 0.0}),
        (ValueError, "device must be 'auto'", (images,), {"device": "abacus"}),
        (ValueError, "precision must be one of 'auto'", (images,), {"precision": "int4"}),
    ]
    for error, match, data, options in cases:
        model = Slope()
        with pytest.raises(error, match=match):
            run(model, *data, **options)
        assert not model.weight.any(), "nothing may be trained before the options are checked"


def test_models_that_cannot_play_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Linear does not say how it is trained; .* players\(\)"):
        run(nn.Linear(1, 1))
    model = Slope()
    twice = [Player("a", model, model.loss), Player("b", model, model.loss)]
    model.players = lambda: twice  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="players 'a' and 'b' move the same parameter"):
        run(model)
    model.players = list  # type: ignore[method-assign]
    with pytest.raises(ValueError, match="players must be at least one"):
        run(model)
    same = Game(a=lambda images: images.sum(), b=lambda images: images.sum())
    players = [Player("a", module, lambda images: images.sum()) for module in same.weights.values()]
    same.players = lambda: players  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"different names, got \['a', 'a'\]"):
        run(same)


def test_a_frozen_model_is_refused_with_the_remedy() -> None:
    model = VAE(latent_dim=2, width=4).requires_grad_(False)
    with pytest.raises(ValueError, match=r"frozen.*call model\.requires_grad_\(\)"):
        train(model, torch.rand(4, 1, 28, 28), epochs=1, batch_size=4, progress=False)
