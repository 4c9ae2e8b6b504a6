"""What every model promises, on the day that it is exported."""

import copy
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from companion import models, train
from tests.models.cases import ALL, CASES, Shape

N = 6
STEPS = 3  # of an epoch
each_model = pytest.mark.parametrize("name", ALL)
each_shape = pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name, case in ALL.items() for shape in case.shapes],
    ids=lambda x: x if isinstance(x, str) else "x".join(map(str, x)),
)


def run(name: str, model: nn.Module, **options: Any) -> Any:
    """Two epochs, in which even a player that moves on every fifth batch has moved."""
    settings = {
        "epochs": 2,
        "batch_size": N,
        "device": "cpu",
        "precision": "float32",
        "progress": False,
    }
    return train(model, *ALL[name].batch(STEPS * N), **settings | options)


def drawn(model: nn.Module, seed: int) -> Tensor:
    return model.sample(3, rng=torch.Generator().manual_seed(seed))  # type: ignore[operator]


def losses_of(model: Any, *batch: Tensor) -> list[Tensor]:
    results = [player.loss(*batch) for player in model.players()]
    return [r if isinstance(r, Tensor) else r["loss"] for r in results]


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_every_model_has_a_case() -> None:
    exported = {name for name in models.__all__ if issubclass(getattr(models, name), nn.Module)}
    assert exported == set(CASES)


@each_model
def test_it_says_what_it_is_measured_by(name: str) -> None:
    known = {"likelihood", "images", "video", "classes"}
    tasks = ALL[name].make().tasks
    assert isinstance(tasks, tuple)
    assert set(tasks) <= known


@each_shape
def test_losses_are_finite_for_one_image_and_for_many(name: str, shape: Shape) -> None:
    case = ALL[name]
    for n in (N, *[1] * case.alone):
        model = case.make(shape)
        for loss in losses_of(model, *case.batch(n, shape)):
            assert loss.ndim == 0
            assert math.isfinite(loss.item())


@each_model
def test_a_single_image_is_refused_where_batch_norm_needs_more(name: str) -> None:
    case = ALL[name]
    if case.alone:
        return
    with pytest.raises(ValueError, match=r"at least 2|more than one|two"):
        losses_of(case.make(), *case.batch(1))


@each_model
def test_a_loss_changes_nothing_by_itself(name: str) -> None:
    """Weights and counters move in a player's step, not when a loss is measured."""
    case = ALL[name]
    model = case.make().eval()
    before = copy.deepcopy(model.state_dict())
    with torch.no_grad():
        losses_of(model, *case.batch(N))
    assert same(model.state_dict(), before)


@each_model
def test_gradients_reach_every_weight_of_a_player(name: str) -> None:
    case = ALL[name]
    model = case.make()
    for player in model.players():
        model.zero_grad()
        result = player.loss(*case.batch(N))
        (result if isinstance(result, Tensor) else result["loss"]).backward()
        for weight_name, weight in player.module.named_parameters():
            assert weight.grad is not None, f"{player.name}: {weight_name}"
    owners = [id(p) for player in model.players() for p in player.module.parameters()]
    assert len(owners) == len(set(owners))
    assert set(owners) == {id(p) for p in model.parameters()}, "no weight is left out"


@each_model
def test_a_step_moves_its_player_only(name: str) -> None:
    from companion.training.update import Update

    case = ALL[name]
    model = case.make().train()
    cpu = torch.device("cpu")
    for player in model.players():
        update = Update(model, player, cpu, None, compile=False, world_size=1)
        own = {id(p) for p in player.module.parameters()}
        before = {key: p.detach().clone() for key, p in model.named_parameters()}
        update.step(case.batch(N))
        for key, p in model.named_parameters():
            if id(p) not in own:
                assert torch.equal(p, before[key]), f"{player.name} moved {key}"
                assert p.grad is None, f"{player.name} left a gradient in {key}"
        assert any(not torch.equal(p, before[key]) for key, p in model.named_parameters())
        update.release()


@each_shape
def test_samples(name: str, shape: Shape) -> None:
    """Reproducible, in [0, 1], of the model's shape; nothing of the model or the caller moves."""
    model = ALL[name].make(shape).train()
    if not hasattr(model, "sample"):
        return
    state, random = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    first = drawn(model, 1)
    assert first.shape == (3, *shape)
    assert not first.requires_grad
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, drawn(model, 1))
    assert not torch.equal(first, drawn(model, 2))
    assert torch.equal(torch.get_rng_state(), random)
    assert same(model.state_dict(), state)
    assert model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert model.sample(0).shape == (0, *shape)


@each_shape
def test_bounds_are_log_probabilities_of_each_image(name: str, shape: Shape) -> None:
    case = ALL[name]
    model = case.make(shape)
    if not hasattr(model, "log_prob_bound"):
        return
    images = case.batch(N, shape)[0]
    if getattr(model, "binary", False):
        images = (images > 0.5).float()
    bound = model.log_prob_bound(images)
    assert bound.shape == (N,)
    assert (bound < 0).all(), "the pixels are discrete: no probability exceeds 1"
    assert not bound.requires_grad
    assert model.training


@each_model
def test_training_leaves_a_model_that_works(name: str) -> None:
    case = ALL[name]
    model = case.make().eval()
    history = run(name, model)
    assert all(math.isfinite(v) for values in history.losses.values() for v in values[-1:])
    assert not model.training
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert all(p.is_contiguous() for p in model.parameters())
    assert not same(model.state_dict(), case.make().state_dict())


@each_model
def test_the_seed_decides(name: str) -> None:
    results = []
    for noise in (1, 2):
        model = ALL[name].make()
        torch.manual_seed(noise)
        run(name, model)
        results.append(model.state_dict())
    assert same(*results)


@each_model
def test_stopped_and_resumed_it_ends_in_the_same_weights(name: str, tmp_path: Path) -> None:
    """With an average, a schedule and clipping; the process dies after its first epoch."""
    options: dict[str, Any] = {"ema_decay": 0.9, "schedule": "cosine", "clip_norm": 1.0}

    class DeathError(Exception):
        pass

    def die(epoch: int, model: nn.Module) -> None:
        raise DeathError

    whole = ALL[name].make()
    expected = run(name, whole, **options)
    with pytest.raises(DeathError):
        run(name, ALL[name].make(), run_dir=tmp_path, on_epoch=die, **options)
    resumed = ALL[name].make()
    history = run(name, resumed, run_dir=tmp_path, **options)
    assert same(resumed.state_dict(), whole.state_dict())
    assert str(history.losses) == str(expected.losses)
    assert (tmp_path / "samples").exists() == (
        hasattr(whole, "sample") and ALL[name].shapes[0][0] in (1, 3)
    )


@each_model
@pytest.mark.parametrize("options", [{"accumulate": 2}, {"precision": "bf16"}], ids=str)
def test_other_ways_to_compute(name: str, options: dict[str, Any]) -> None:
    model = ALL[name].make()
    history = run(name, model, **options)
    assert all(math.isfinite(v) for values in history.losses.values() for v in values[-1:])
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@each_model
def test_bf16_losses_are_float32(name: str) -> None:
    """A mean of bf16 scores would be as coarse as they are."""
    case = ALL[name]
    model = case.make()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for loss in losses_of(model, *case.batch(N)):
            assert loss.dtype == torch.float32


@each_model
def test_in_float64(name: str) -> None:
    case = ALL[name]
    model = case.make().double()
    run(name, model)
    assert {p.dtype for p in model.parameters()} == {torch.float64}
    if hasattr(model, "sample"):
        assert drawn(model, 0).dtype == torch.float64


@each_model
def test_a_copy_and_its_state_are_the_model(name: str) -> None:
    import pickle

    case = ALL[name]
    model = case.make(seed=3)
    assert same(copy.deepcopy(model).state_dict(), model.state_dict())
    other = case.make(seed=4)
    other.load_state_dict(model.state_dict())
    assert same(other.state_dict(), model.state_dict())
    if name == "HingeGAN":  # of which torch cannot pickle the spectral norm
        with pytest.raises(TypeError, match="save_model.path, model.*into a new HingeGAN"):
            pickle.dumps(model)
        return
    assert same(pickle.loads(pickle.dumps(model)).state_dict(), model.state_dict())
