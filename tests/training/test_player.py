"""What a player may bring along: an optimizer, gradients, something to do after its step."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from companion import Player, train
from companion.models import DCGAN

PIXELS = torch.randint(256, (8, 1, 4, 4), generator=torch.Generator().manual_seed(0)).byte()


class Line(nn.Module):
    """One weight, pulled towards the mean of the images."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros((), dtype=torch.float64))
        self.options = options
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def loss(self, images: Tensor) -> Tensor:
        return (self.weight - images.mean(dim=(1, 2, 3))).square().mean()

    def players(self) -> list[Player]:
        return [Player("line", self, self.loss, **self.options)]


def run(model: nn.Module, *data: Tensor, **options: Any) -> Any:
    options = {"epochs": 1, "batch_size": 4, "device": "cpu", "progress": False} | options
    return train(model, *(data or (PIXELS,)), **options)


def test_a_player_s_own_optimizer() -> None:
    """Plain gradient descent on a square, by hand: w <- w - eta * 2 (w - mean)."""
    model = Line(learning_rate=0.1, optimizer=torch.optim.SGD)
    run(model, batch_size=8, epochs=3)
    weight, mean = 0.0, (PIXELS / 255).double().mean().item()
    for _ in range(3):
        weight -= 0.1 * 2 * (weight - mean)
    assert model.weight.item() == pytest.approx(weight, abs=1e-7)


def test_the_schedule_moves_the_step_of_any_optimizer() -> None:
    rates: list[float] = []

    class Noting(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(closure)

    run(Line(learning_rate=1.0, optimizer=Noting), batch_size=8, epochs=2, schedule="cosine")
    assert rates == pytest.approx([1.0, 0.5])


def test_players_and_learning_rate_take_the_place_of_the_model_s_own() -> None:
    model, other = Line(learning_rate=1e-3), Line(learning_rate=1e-3)
    players = [replace(player, learning_rate=0.5) for player in model.players()]
    run(model, players=players)
    run(other, learning_rate=0.5)
    assert model.weight.item() == other.weight.item() == pytest.approx(0.5 + 0.5, abs=0.5)
    assert abs(model.weight.item()) > 0.1


def test_own_gradients_are_what_the_optimizer_gets() -> None:
    """Gradients per example, clipped one by one, as in private training."""

    def clipped(images: Tensor) -> Tensor:
        weight = model.weight.detach()
        values = images.mean(dim=(1, 2, 3))
        each = torch.func.vmap(torch.func.grad(lambda w, v: (w - v).square()), (None, 0))
        model.weight.grad = each(weight, values).clamp(-0.1, 0.1).mean()
        return (weight - values).square().mean()

    model = Line(learning_rate=1.0, optimizer=torch.optim.SGD, gradients=clipped)
    history = run(model, batch_size=8)
    assert model.weight.item() == pytest.approx(0.1), "every example asked for more than 0.1"
    assert history.losses["line"][0] > 0


@pytest.mark.parametrize("options", [{"accumulate": 2}])
def test_own_gradients_need_whole_batches(options: dict[str, Any]) -> None:
    model = Line(gradients=lambda images: images.mean())
    with pytest.raises(
        ValueError, match="player 'line' computes its own gradients, .* accumulate=2"
    ):
        run(model, **options)


def test_after_each_step_and_only_then() -> None:
    """Not after each part of a batch, and not when a loss is only measured."""

    def count() -> None:
        assert not torch.is_grad_enabled()
        model.count += 1

    model = Line(after=count, every=2)
    run(model, batch_size=2, accumulate=2, epochs=2, on_epoch=lambda _, m: m.loss(PIXELS / 255))
    assert model.count == 4


def test_images_of_two_kinds_become_floats_both() -> None:
    """A translation has images on both sides."""
    seen: list[Tensor] = []

    class Pair(Line):
        def loss(self, images: Tensor, targets: Tensor) -> Tensor:  # type: ignore[override]
            seen.extend((images, targets))
            return (self.weight - targets.mean()).square()

    run(Pair(), PIXELS, 255 - PIXELS)
    assert all(x.dtype == torch.float64 and x.max() <= 1 for x in seen)


def test_frozen_networks_inside_a_model_stay_in_evaluation_mode() -> None:
    """Their batch statistics would drift."""
    model = Line()
    model.judge = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).requires_grad_(False).eval()
    model.dropout = nn.Dropout()
    modes: list[tuple[bool, bool]] = []

    def loss(images: Tensor) -> Tensor:
        modes.append((model.judge[1].training, model.dropout.training))  # type: ignore[index]
        return model.judge(images.float()).mean() + model.weight  # type: ignore[operator]

    before = model.judge[1].running_mean.clone()  # type: ignore[index, union-attr]
    run(model, players=[Player("line", model, loss)])
    assert modes == [(False, True)] * 2
    assert torch.equal(model.judge[1].running_mean, before)  # type: ignore[index, arg-type]
    assert not model.judge.training, "each module is in the mode that it came in"
    assert model.dropout.training


BAD: dict[str, tuple[Callable[[Line, Tensor], Any], type[Exception], str]] = {
    "a vector": (
        lambda m, x: m.weight - x.mean((1, 2, 3)),
        ValueError,
        r"one number, got .* \(4,\)",
    ),
    "item()": (lambda m, x: m.weight.item(), TypeError, "got float; return the tensor itself"),
    "None": (lambda m, x: None, TypeError, "got NoneType; return it, in the loss's last line"),
    "a tuple": (lambda m, x: (m.weight, m.weight), TypeError, "got tuple; return one number"),
    "a dict": (lambda m, x: {"rate": m.weight}, ValueError, r"without 'loss', got \['rate'\]"),
    "no gradient": (lambda m, x: m.weight.detach(), ValueError, "has no gradient"),
    "a float beside": (lambda m, x: {"loss": m.weight, "a": 1.0}, TypeError, "'a' beside the loss"),
}


@pytest.mark.parametrize("name", BAD)
def test_losses_that_are_none_get_a_sentence(name: str) -> None:
    loss, error, match = BAD[name]
    model = Line()
    with pytest.raises(error, match=f"loss of player 'line'.*{match}|{match}"):
        run(model, players=[Player("line", model, partial(loss, model))])


def test_a_loss_under_no_grad_trains_all_the_same() -> None:
    model = Line()
    with torch.no_grad():
        run(model)
    assert model.weight.item() != 0
    with torch.inference_mode():
        run(model)


def test_data_that_do_not_fit_the_loss_are_refused_before_training() -> None:
    model = Line()
    with pytest.raises(TypeError, match=r"loss of player 'line' takes \(images\), got 2 tensors"):
        run(model, PIXELS, torch.arange(8))
    assert model.weight.item() == 0


def test_two_records_of_one_name_are_refused() -> None:
    a, b = Line(), Line()
    both = nn.ModuleList([a, b])
    players = [
        Player(name, m, lambda x, m=m: {"loss": m.loss(x), "real": m.weight})
        for name, m in (("a", a), ("b", b))
    ]
    with pytest.raises(ValueError, match="two players record 'real'"):
        run(both, players=players)


def test_a_parameter_of_no_player_is_pointed_out() -> None:
    model = Line()
    model.idle = idle = nn.Linear(1, 1).double()
    player = Player("line", idle, lambda x: idle(x.mean((1, 2, 3))[:, None]).mean())
    with pytest.warns(UserWarning, match="parameter weight of the model belongs to no player"):
        run(model, players=[player])
    with pytest.warns(UserWarning, match="parameter idle.weight and 1 more of the model"):
        run(model, players=[Player("line", Only(model.weight), model.loss)])


class Only(nn.Module):
    """A single parameter as a module."""

    def __init__(self, weight: nn.Parameter) -> None:
        super().__init__()
        self.weight = weight


def test_a_player_whose_parameters_are_not_the_model_s_is_refused() -> None:
    model, other = Line(), Line()
    with pytest.raises(ValueError, match="moves parameters that are not the model's"):
        run(model, players=other.players())


def test_a_player_that_would_never_move_is_refused() -> None:
    with pytest.raises(ValueError, match="'line' moves on every 5th batch, but there are only 2"):
        run(Line(every=5))


@pytest.mark.slow
def test_compiled_losses_are_the_same_and_penalties_stay_eager() -> None:
    """`aot_eager` compiles everything but the machine code."""
    from unittest import mock

    real = torch.compile
    with mock.patch.object(torch, "compile", partial(real, backend="aot_eager")):
        results = []
        for compile in (False, True):
            torch.manual_seed(0)
            model = DCGAN(latent_dim=2, width=4, image_shape=(1, 4, 4))
            losses = run(model, compile=compile).losses
            results.append([losses["discriminator"][0], losses["generator"][0]])
        assert results[0] == pytest.approx(results[1], rel=1e-4)

        def steep(images: Tensor) -> Tensor:
            x = images.float().requires_grad_()
            (slope,) = torch.autograd.grad(critic.net(x).sum(), x, create_graph=True)  # type: ignore[operator]
            return slope.square().mean()

        critic = nn.Module()
        critic.net = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.Tanh(), nn.Linear(4, 1))
        player = Player("critic", critic, steep, compilable=False)
        assert run(critic, players=[player], compile=True).losses["critic"]
