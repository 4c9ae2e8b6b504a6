"""Every model, metric and data function on a pretended GPU: one device, and no needless wait."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from companion import data, likelihoods, metrics
from companion.data import batches, moving_fashion
from companion.metrics import video
from companion.training.average import Average
from companion.training.update import Update
from tests.gpu.fake import CUDA, Generator, Watch, on_gpu, pretended_gpu
from tests.models.cases import ALL, Case

# Where the processor may wait for the device, and why. In a step of training it never may.
ALLOWED_WAITS: dict[str, str] = {
    "noise.py": "what a generator on the processor draws is copied to where it is used",
    "metrics/": "a figure is a number of Python, and the second set comes to the first",
    "data/batching.py": "the order of an epoch, once an epoch: alike on every device",
    "models/pixel": "a completion begins: how many rows or which pixels are known",
}

each_case = pytest.mark.parametrize("case", ALL.values(), ids=ALL)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():  # of torch, about copies of tensors without values
        warnings.simplefilter("ignore")
        yield


def assert_on_gpu(result: object) -> None:
    for tensor in tree_leaves(result):
        if isinstance(tensor, Tensor):
            assert tensor.device == CUDA


# ---- The watch itself ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "act",
    [
        lambda x: x.sum().item(),
        lambda x: bool((x > 0).all()),
        lambda x: x[x > 0],
        lambda x: x.nonzero(),
        lambda x: x.cpu(),
        lambda x: torch.tensor(3.0, device=x.device),
        lambda x: x.long().bincount(minlength=3),
        lambda x: torch.linalg.eigvalsh(x[:, None] * x),
    ],
)
def test_waits_are_seen(act: Callable[[Tensor], Any]) -> None:
    with pretended_gpu() as watch:
        x = torch.rand(4).to(CUDA)
        watch.waits.clear()
        act(x)
    assert len(watch.waits) == 1


@pytest.mark.parametrize(
    "act",
    [
        lambda x: x + torch.rand(4),
        lambda x: torch.cat([x, torch.rand(4)]),
        lambda x: torch.rand(4, device=CUDA, generator=torch.Generator()),
        lambda x: torch.rand(4, generator=Generator()),
    ],
)
def test_mixed_devices_are_refused(act: Callable[[Tensor], Any]) -> None:
    with pretended_gpu(), pytest.raises(RuntimeError, match="device|generator"):
        act(torch.rand(4).to(CUDA))


def test_gradients_are_those_of_autograd() -> None:
    """With real values: the walk of the pretended GPU against torch's engine, twice through."""
    from tests.gpu.fake import gradients

    model = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 1))
    x = torch.rand(4, 3, requires_grad=True)
    weights = list(model.parameters())

    def penalized(grad: Callable[..., Any]) -> Tensor:
        (slope,) = grad([model(x).sum()], [x])
        return model(x).mean() + slope.square().sum()

    expected = torch.autograd.grad(
        penalized(lambda y, at: torch.autograd.grad(y, at, create_graph=True)), weights
    )
    loss = penalized(lambda y, at: gradients(y, [None], at, create_graph=True))
    torch.testing.assert_close(gradients([loss], [None], weights), expected)
    gradients([model(x).mean()], [None])
    model(x.detach()).mean().neg().backward()  # adds to what the walk left at the leaves
    for weight in weights:
        torch.testing.assert_close(weight.grad, torch.zeros_like(weight))


# ---- Training ------------------------------------------------------------------------------------


@each_case
@pytest.mark.parametrize("dtype", [None, torch.bfloat16], ids=["float32", "bf16"])
def test_a_step_of_training_never_waits(case: Case, dtype: torch.dtype | None) -> None:
    with pretended_gpu() as watch:
        model = on_gpu(case.build(case.shapes[0])).train()
        batch = tuple(tensor.to(CUDA) for tensor in case.batch(4))
        updates = [
            Update(model, player, CUDA, dtype, compile=False, world_size=1)
            for player in model.players()  # type: ignore[operator]
        ]
        average = Average(model, decay=0.9)
        watch.waits.clear()
        losses: dict[str, Tensor] = {}
        for update in updates:
            losses |= update.step(batch)
            assert all(weight.grad is not None for weight in update.parameters)
        for _ in range(2):
            average.update()
    assert watch.waits == []
    assert_on_gpu([losses, list(model.state_dict().values())])
    kinds = {name: loss.dtype for name, loss in losses.items()}
    assert set(kinds.values()) == {torch.float32}, kinds


def test_a_clipped_step_of_accumulated_gradients_never_waits() -> None:
    case = ALL["DCGAN"]
    with pretended_gpu() as watch:
        model = on_gpu(case.build(case.shapes[0])).train()
        (player, _) = model.players()  # type: ignore[operator]
        update = Update(model, player, CUDA, None, compile=False, world_size=1)
        (images,) = (tensor.to(CUDA) for tensor in case.batch(4))
        watch.waits.clear()
        update.step((images,), clip_norm=1.0, accumulate=2)
    assert watch.waits == []


# ---- What a trained model can do -----------------------------------------------------------------

OF_IMAGES = (
    *("encode", "reconstruct", "log_prob_bound", "discriminate", "posterior", "classify"),
    *("features", "elbo", "log_prob", "pixel_log_prob", "glimpses"),
)


def uses(model: Any, batch: tuple[Tensor, ...]) -> dict[str, Callable[[], Any]]:
    """All that a model offers besides being trained, by name."""
    images = batch[0]
    if getattr(model, "binary", False):
        images = (images > 0.5).float()
    found: dict[str, Callable[[], Any]] = {}
    generators = {"": None, ", from the processor": torch.Generator(), ", there": Generator()}
    for whose, rng in generators.items():
        if hasattr(model, "sample"):
            found[f"sample{whose}"] = lambda rng=rng: model.sample(3, rng=rng)
        if hasattr(model, "complete"):
            found[f"complete{whose}"] = lambda rng=rng: model.complete(images, 2, rng=rng)
    for name in OF_IMAGES:
        if hasattr(model, name):
            found[name] = lambda name=name: getattr(model, name)(images)
    if hasattr(model, "predict"):
        found["predict"] = lambda: model.predict(torch.rand(2, 2, 1, 32, 32).to(CUDA))
    if hasattr(model, "draw_codes"):
        found["draw_codes"] = lambda: model.draw_codes(3, rng=torch.Generator())
    if hasattr(model, "decode") and hasattr(model, "quantizer"):
        found["decode"] = lambda: model.decode(model.encode(images))
    if not hasattr(model, "sample") and not hasattr(model, "predict"):
        found["call"] = lambda: model(images)
    return found


@each_case
def test_all_that_a_model_does_stays_on_its_device(case: Case) -> None:
    with pretended_gpu() as watch:
        model = on_gpu(case.build(case.shapes[0])).eval()
        batch = tuple(tensor.to(CUDA) for tensor in case.batch(4))
        names = uses(model, batch)
        assert names
        watch.waits.clear()
        for use in names.values():
            assert_on_gpu(use())
    assert_allowed(watch)


# ---- Metrics and data ----------------------------------------------------------------------------


def of_two(function: Callable[..., Any], *shape: int) -> Callable[[torch.device], Any]:
    """A metric of two sets, the first on the GPU and the second on the given device."""
    return lambda where: function(torch.rand(*shape).to(CUDA), torch.rand(*shape).to(where))


def of_densities(function: Callable[..., Any]) -> Callable[[torch.device], Any]:
    x = lambda: torch.linspace(0, 1, 9).to(CUDA)  # noqa: E731
    return lambda where: function(torch.rand(9).to(CUDA), torch.rand(9).to(where), x())


TWO_SETS: dict[str, Callable[[torch.device], Any]] = {
    "kl_divergence": of_densities(metrics.kl_divergence),
    "js_divergence": of_densities(metrics.js_divergence),
    "wasserstein_distance": of_densities(metrics.wasserstein_distance),
    "frechet_distance": of_two(metrics.frechet_distance, 20, 4),
    "prdc": of_two(metrics.prdc, 20, 4),
    "nearest_neighbors": of_two(metrics.nearest_neighbors, 20, 4),
    "modes_covered": lambda where: metrics.modes_covered(
        torch.rand(20, 2).to(CUDA), torch.rand(8, 2).to(where), 0.02
    ),
    "frame_errors": of_two(video.frame_errors, 2, 3, 1, 8, 8),
}


@pytest.mark.parametrize("where", [CUDA, torch.device("cpu")], ids=["both there", "one here"])
@pytest.mark.parametrize("metric", TWO_SETS.values(), ids=TWO_SETS)
def test_metrics_bring_two_sets_together(
    metric: Callable[[torch.device], Any], where: torch.device
) -> None:
    with pretended_gpu() as watch:
        assert_on_gpu(metric(where))
    assert_allowed(watch)


IMAGES = (4, 1, 28, 28)
ALONE: dict[str, Callable[[], Any]] = {
    "to_float": lambda: data.to_float(torch.zeros(IMAGES, dtype=torch.uint8).to(CUDA)),
    "to_uint8": lambda: data.to_uint8(torch.rand(IMAGES).to(CUDA)),
    "batches": lambda: list(batches(torch.rand(IMAGES).to(CUDA), batch_size=2, seed=0, epoch=0)),
    "moving_fashion": lambda: moving_fashion(torch.rand(IMAGES).to(CUDA), 4, 32),
    "binarize": lambda: likelihoods.binarize(torch.rand(IMAGES).to(CUDA)),
    "copy_last_frame": lambda: video.copy_last_frame(torch.rand(2, 3, 1, 8, 8).to(CUDA), 2),
    "constant_velocity": lambda: video.constant_velocity(torch.rand(2, 3, 1, 8, 8).to(CUDA), 2),
}


@pytest.mark.parametrize("function", ALONE.values(), ids=ALONE)
def test_data_stay_where_they_are(function: Callable[[], Any]) -> None:
    with pretended_gpu() as watch:
        assert_on_gpu(function())
    assert_allowed(watch)


def assert_allowed(watch: Watch) -> None:
    """Print the waits with their reasons; there is none without."""
    unknown = []
    for wait in dict.fromkeys(watch.waits):
        reasons = [why for place, why in ALLOWED_WAITS.items() if wait.startswith(place)]
        print(f"{wait}: {reasons[0] if reasons else 'no reason'}")
        if not reasons and not wait.startswith("outside"):
            unknown.append(wait)
    assert unknown == []
