"""What only a GPU can show; skipped where there is none."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from companion import train
from companion.data import adding_problem, to_float
from companion.models import DCGAN, VAE, RowRNN, SequenceModel

pytestmark = pytest.mark.skipif(
    not torch.cuda.is_available(), reason="torch finds no CUDA GPU on this machine"
)

IMAGES = torch.randint(256, (64, 1, 28, 28), generator=torch.Generator().manual_seed(0)).byte()
BUILDS: list[Any] = [
    lambda: VAE(latent_dim=4, width=8),
    lambda: DCGAN(latent_dim=4, width=8),
    lambda: RowRNN(hidden_size=16, features=8),
]


def run(model: nn.Module, **options: Any) -> Any:
    options = {"epochs": 2, "batch_size": 16, "device": "cuda", "progress": False} | options
    return train(model, IMAGES, **options)


def build(index: int) -> nn.Module:
    torch.manual_seed(0)
    return BUILDS[index]()


@pytest.mark.parametrize("index", range(3))
@pytest.mark.parametrize("precision", ["float32", "bf16", "fp16"])
def test_losses_of_each_precision_are_those_of_the_cpu(index: int, precision: str) -> None:
    expected = run(build(index), device="cpu", precision="float32").losses
    losses = run(build(index), precision=precision).losses
    tolerance = 0.05 if precision != "float32" else 0.02  # the noise is another one, too
    for name, values in expected.items():
        if name != "rate":
            assert losses[name] == pytest.approx(values, rel=tolerance), name


@pytest.mark.parametrize("index", range(3))
def test_a_compiled_run_learns_what_an_eager_one_does(index: int) -> None:
    expected = run(build(index), precision="float32").losses
    losses = run(build(index), precision="float32", compile=True).losses
    for name, values in expected.items():
        if name != "rate":
            assert losses[name] == pytest.approx(values, rel=0.02), name


def test_exact_resume_on_a_gpu(tmp_path: Path) -> None:
    def stop(epoch: int, model: nn.Module) -> None:
        raise KeyboardInterrupt

    torch.backends.cudnn.deterministic = True
    whole = build(1)
    run(whole)
    run(build(1), run_dir=tmp_path, on_epoch=stop)
    resumed = build(1)
    run(resumed, run_dir=tmp_path)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("index", range(3))
def test_a_cpu_generator_draws_alike_on_every_device(index: int) -> None:
    model = build(index)
    expected = model.sample(4, rng=torch.Generator().manual_seed(1))
    drawn = model.to("cuda").sample(4, rng=torch.Generator().manual_seed(1))
    assert drawn.device.type == "cuda"
    assert (drawn.cpu() - expected).abs().mean() < 0.02


def test_likelihoods_are_those_of_the_cpu() -> None:
    model = build(2)
    images = to_float(IMAGES[:8])
    expected = model.log_prob_bound(images)  # type: ignore[operator]
    torch.testing.assert_close(
        model.to("cuda").log_prob_bound(images.cuda()).cpu(),  # type: ignore[operator]
        expected,
        rtol=1e-4,
        atol=1e-2,
    )


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_recurrent_networks_run_in_the_kernels_of_cudnn(cell: str) -> None:
    torch.manual_seed(0)
    model = SequenceModel(cell, 2, 16)
    sequences, sums = adding_problem(8, 20, rng=torch.Generator().manual_seed(0))
    expected = model.loss(sequences, sums)
    model.cuda()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        loss = model.loss(sequences.cuda(), sums.cuda())
        loss.backward()
    called = {event.key for event in profile.key_averages()}
    assert {"aten::_cudnn_rnn", "aten::_cudnn_rnn_backward"} <= called
    torch.testing.assert_close(loss.cpu(), expected, rtol=1e-3, atol=1e-4)


def test_a_model_returns_to_the_device_that_it_came_from() -> None:
    model = build(0)
    run(model, ema_decay=0.9)
    assert {weight.device.type for weight in model.parameters()} == {"cpu"}
    model.cuda()
    run(model)
    assert {weight.device.type for weight in model.parameters()} == {"cuda"}
