"""Every model, metric and data function on a pretended GPU: one device, and no needless wait."""

import inspect
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from companion import data, likelihoods, metrics, train
from companion.training import history
from companion.training.average import Average
from companion.training.update import Update
from tests.gpu.fake import CUDA, PACKAGE, Generator, Watch, pretended_gpu
from tests.models.cases import ALL, Case

# Where the processor may wait for the device, and why. In a step of training it never may.
ALLOWED_WAITS: dict[str, str] = {
    "training/hardware.py: visiting": "a run begins and ends: the model goes there and back",
    "training/hardware.py: keep_or_move": "a run begins: the data go there",
    "training/history.py: Recorder.flush": "every ten steps: the losses are read",
    "training/run.py: Run.save": "once an epoch: are all weights of a player finite?",
    "noise.py": "what a generator on the processor draws is copied to where it is used",
    "metrics/": "a figure is a number of Python, and the second set comes to the first",
    "data/batching.py: batches": "once an epoch: its order, which is alike on every device",
    "data/points.py: ring_of_gaussians": "the few centers come to where the points are drawn",
    "data/moving.py: paint": "paths from the processor come to the garments",
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


def assert_allowed(watch: Watch) -> None:
    """Print the waits with their reasons; there is none without."""
    unknown = []
    for wait in dict.fromkeys(watch.waits):
        reasons = [why for place, why in ALLOWED_WAITS.items() if wait.startswith(place)]
        print(f"{wait}: {reasons[0] if reasons else 'no reason'}")
        if not reasons and not wait.startswith("outside"):
            unknown.append(wait)
    assert unknown == []


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
        model = case.build(case.shapes[0]).to(CUDA).train()
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
        model = case.build(case.shapes[0]).to(CUDA).train()
        (player, _) = model.players()  # type: ignore[operator]
        update = Update(model, player, CUDA, None, compile=False, world_size=1)
        (images,) = (tensor.to(CUDA) for tensor in case.batch(4))
        watch.waits.clear()
        update.step((images,), clip_norm=1.0, accumulate=2)
    assert watch.waits == []


@pytest.mark.parametrize("name", ["VAE", "GAN", "DCGAN", "VQVAE", "DRAW"])
def test_between_two_records_a_run_never_waits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``train`` with all its services: what waits between two records is the record."""
    monkeypatch.setattr(history, "RECORD_EVERY", 2)  # of ten, which takes longer to pretend
    records: list[int] = []
    with pretended_gpu() as watch:
        model = ALL[name].build(ALL[name].shapes[0])
        train(
            model, *ALL[name].batch(8), epochs=1, batch_size=2, precision="float32",
            ema_decay=0.9, clip_norm=1.0, progress=False,
            on_record=lambda step, losses: records.append(len(watch.waits)),
        )  # fmt: skip
    first, second = records
    between = {wait.rpartition(": a value")[0] for wait in watch.waits[first:second]}
    assert between == {"training/history.py: Recorder.flush"}
    finite = [wait for wait in watch.waits if wait.startswith("training/run.py: Run.save")]
    assert len(finite) == len(model.players())  # type: ignore[operator]
    assert_allowed(watch)


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


@pytest.mark.parametrize("name", ALL)
def test_all_that_a_model_does_stays_on_its_device(name: str) -> None:
    case = ALL[name]
    shape = (1, 3, 2) if name.startswith("Pixel") else case.shapes[0]  # each pixel takes a while
    with pretended_gpu() as watch:
        model = case.build(shape).to(CUDA).eval()
        batch = tuple(tensor.to(CUDA) for tensor in case.batch(4, shape))
        names = uses(model, batch)
        assert names
        watch.waits.clear()
        for use in names.values():
            assert_on_gpu(use())
    assert_allowed(watch)


# ---- Metrics, data and likelihoods ---------------------------------------------------------------


def there(*shape: int) -> Tensor:
    return torch.rand(*shape).to(CUDA)


def of_two(function: Callable[..., Any], *shape: int) -> Callable[[torch.device], Any]:
    """A function of two tensors, the first on the GPU and the second on the given device."""
    return lambda where: function(there(*shape), torch.rand(*shape).to(where))


def of_densities(function: Callable[..., Any]) -> Callable[[torch.device], Any]:
    return lambda where: function(there(9), *(torch.rand(9).to(where) for _ in range(2)))


def of_gaussians(function: Callable[..., Any]) -> Callable[[torch.device], Any]:
    return lambda where: function(there(9), *(torch.rand(9).to(where) for _ in range(3)))


def of_points(function: Callable[..., Any]) -> Callable[[torch.device], Any]:
    return lambda where: function(there(20, 2, 1, 1), data.ring_centers().to(where), 0.02)


TWO: dict[str, Callable[[torch.device], Any]] = {
    "kl_divergence": of_densities(metrics.kl_divergence),
    "js_divergence": of_densities(metrics.js_divergence),
    "wasserstein_distance": of_densities(metrics.wasserstein_distance),
    "gaussian_kl_divergence": of_gaussians(metrics.gaussian_kl_divergence),
    "gaussian_wasserstein_distance": of_gaussians(metrics.gaussian_wasserstein_distance),
    "frechet_distance": of_two(metrics.frechet_distance, 20, 4),
    "prdc": of_two(metrics.prdc, 20, 4),
    "nearest_neighbors": of_two(metrics.nearest_neighbors, 20, 4),
    "modes_covered": of_points(metrics.modes_covered),
    "share_near_modes": of_points(metrics.share_near_modes),
    "contingency": lambda where: metrics.contingency(
        torch.arange(4).to(CUDA), torch.arange(4).to(where), 4
    ),
    "frame_errors": of_two(metrics.frame_errors, 2, 3, 1, 16, 16),
    "frame_ssim": of_two(metrics.frame_ssim, 2, 3, 1, 16, 16),
    "paint": lambda where: data.paint(
        there(2, 1, 28, 28), torch.zeros(2, 1, 3, 2, dtype=torch.long).to(where)
    ),
}


@pytest.mark.parametrize("where", [CUDA, torch.device("cpu")], ids=["both there", "one here"])
@pytest.mark.parametrize("function", TWO.values(), ids=TWO)
def test_the_second_comes_to_the_first(
    function: Callable[[torch.device], Any], where: torch.device
) -> None:
    with pretended_gpu() as watch:
        assert_on_gpu(function(where))
    assert_allowed(watch)


def _matching() -> Tensor:
    with mock.patch("scipy.optimize.linear_sum_assignment", return_value=(None, [1, 0])):
        return metrics.best_matching(there(2, 2))


IMAGES = (4, 1, 28, 28)
LIKELIHOODS: dict[str, Callable[[], Any]] = {
    "discretized_mixture_log_prob": lambda: likelihoods.discretized_mixture_log_prob(
        there(4, 6, 28, 28), there(*IMAGES)
    ),
    "discretized_mixture_sample": lambda: likelihoods.discretized_mixture_sample(
        there(4, 6, 28, 28), rng=torch.Generator()
    ),
    "discretized_mixture_mean": lambda: likelihoods.discretized_mixture_mean(there(4, 6, 28, 28)),
    "spread_components": lambda: likelihoods.spread_components(there(6)),
    "bernoulli_log_prob": lambda: likelihoods.bernoulli_log_prob(there(*IMAGES), there(*IMAGES)),
    "binarize": lambda: likelihoods.binarize(there(*IMAGES), rng=torch.Generator()),
    "check_binary": lambda: likelihoods.check_binary(there(*IMAGES)),
    "bits_per_dimension": lambda: likelihoods.bits_per_dimension(there(4), 784),
    "to_levels": lambda: likelihoods.to_levels(there(*IMAGES)),
}
ALONE: dict[str, Callable[[], Any]] = LIKELIHOODS | {
    "to_float": lambda: data.to_float(torch.zeros(IMAGES, dtype=torch.uint8).to(CUDA)),
    "to_uint8": lambda: data.to_uint8(there(*IMAGES)),
    "as_model_input": lambda: data.as_model_input((there(*IMAGES),), torch.float32),
    "batches": lambda: list(data.batches(there(*IMAGES), batch_size=2, seed=0, epoch=0)),
    "moving_fashion": lambda: data.moving_fashion(there(*IMAGES), 4, 32, rng=torch.Generator()),
    "flights": lambda: data.flights(there(4, 3)),
    "bounce": lambda: data.bounce(there(4, 2), there(4, 2), 18, 5),
    "adding_problem": lambda: data.adding_problem(4, 6, rng=Generator()),
    "copy_task": lambda: data.copy_task(4, 6, rng=Generator()),
    "ring_of_gaussians": lambda: data.ring_of_gaussians(4, rng=Generator()),
    "check_images": lambda: data.check_images(there(*IMAGES)),
    "check_labels": lambda: data.check_labels(torch.arange(4).to(CUDA), 10),
    "check_sequences": lambda: data.check_sequences(there(2, 3, 1, 32, 32)),
    "copy_last_frame": lambda: metrics.copy_last_frame(there(2, 3, 1, 8, 8), 2),
    "constant_velocity": lambda: metrics.constant_velocity(there(2, 3, 1, 8, 8), 2),
    "best_matching": _matching,
    "mutual_information": lambda: metrics.mutual_information(there(4, 4)),
    "box_js_divergence": lambda: metrics.box_js_divergence(there(4)),
}


@pytest.mark.parametrize("function", ALONE.values(), ids=ALONE)
def test_what_is_there_stays_there(function: Callable[[], Any]) -> None:
    with pretended_gpu() as watch:
        assert_on_gpu(function())
    assert_allowed(watch)


# What has no tensor to leave where it is, reads files, or hands the values to a codec.
ELSEWHERE = {
    *("batches_per_epoch", "copy_chance", "fashion_mnist", "ring_centers"),
    *("folder", "read_csv", "read_idx"),
    *("png_bits_per_dimension", "webp_bits_per_dimension"),
}


@pytest.mark.parametrize("module", [data, likelihoods, metrics])
def test_no_function_is_left_out(module: types.ModuleType) -> None:
    names = getattr(module, "__all__", vars(module))
    functions = {
        name
        for name in names
        if inspect.isfunction(found := getattr(module, name))
        and found.__module__.startswith("companion")
        and not name.startswith("_")
    }
    assert functions - {*TWO, *ALONE} - ELSEWHERE == set()


def test_each_allowed_wait_is_in_the_package() -> None:
    for place in ALLOWED_WAITS:
        file, _, function = place.partition(": ")
        texts = [path.read_text() for path in PACKAGE.glob(f"{file}*") if path.is_file()]
        assert texts or (PACKAGE / file).is_dir(), place
        name = function.rpartition(".")[2]
        assert not name or any(f"def {name}(" in text for text in texts), place
