"""The benchmark runs and measures what it says; its bars are for a quiet machine."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from benchmarks import comparisons, throughput, ways
from companion import models
from companion.models import DCGAN, GAN, IWAE, VAE, VQVAE, WGANGP, BetaVAE

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "BATCH_SIZE", 4)
    monkeypatch.setattr(comparisons, "SMALL_BATCH", 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_one_tiny_round(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    threads = torch.get_num_threads()
    try:
        rows = throughput.main(rounds=1, most=1, steps=1, results=tmp_path / "results.json")
    finally:
        torch.set_num_threads(threads)
    stored = json.loads((tmp_path / "results.json").read_text())
    assert stored["rows"] == rows
    assert stored["machine"]["threads"] == 1
    assert stored["import"]["seconds"] > 0
    bare = {row["comparison"] for row in rows if row["bar"] == 0.97}
    names = {name.split(":")[0].split(",")[0] for name in bare}
    exported = (getattr(models, name) for name in models.__all__)
    assert names == {model.__name__ for model in exported if issubclass(model, nn.Module)}
    assert all(name.endswith(": train / bare loop") for name in bare)
    assert {row["bar"] for row in rows} == {0.97, 1.25, 2.0}
    assert all(row["ratio"] > 0 for row in rows)
    printed = capsys.readouterr().out
    assert "VAE: train / DataLoader loop" in printed
    assert "WGANGP: train / DataLoader loop" in printed
    assert "SequenceModel, lstm: train / bare loop" in printed
    assert "no GPU" in printed


@pytest.mark.parametrize(
    "build",
    [
        lambda: VAE(latent_dim=2, width=4),
        lambda: BetaVAE(latent_dim=2, width=4),
        lambda: IWAE(k=2, latent_dim=2, hidden_size=4),
        lambda: VQVAE(codebook_size=8, code_dim=2, width=4, hidden_size=4),
        lambda: VQVAE(codebook_size=8, code_dim=2, width=4, hidden_size=4, moving_average=False),
        lambda: DCGAN(latent_dim=2, width=4),
        lambda: GAN(latent_dim=2, hidden_size=16),
    ],
)
def test_the_loop_by_hand_trains_every_player(build: Callable[[], nn.Module]) -> None:
    model = build()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    images = torch.randint(256, (8, 1, 28, 28)).byte()
    averages = {name: b.clone() for name, b in model.named_buffers()}
    ways.by_hand(model, ways.loaded(images))()
    for name, parameter in model.named_parameters():
        assert not torch.equal(parameter, before[name]), name
        assert parameter.requires_grad
    for name, buffer in model.named_buffers():  # steps of the warm-up, averages of the codebook
        assert not torch.equal(buffer, averages[name]), name


def test_the_loop_by_hand_moves_a_player_as_often_as_it_asks() -> None:
    model = WGANGP(latent_dim=2, hidden_size=16)
    images = torch.randint(256, (16, 1, 28, 28)).byte()
    moved = []
    for batches in (images, images.repeat(2, 1, 1, 1)):  # four batches and eight
        before = [p.detach().clone() for p in model.generator.parameters()]
        ways.by_hand(model, ways.indexed(batches))()
        after = list(model.generator.parameters())
        moved.append(any(not torch.equal(a, b) for a, b in zip(after, before, strict=True)))
    assert moved == [False, True]


@pytest.mark.parametrize("freeze", [False, True])
def test_the_usual_script_leaves_gradients_everywhere(freeze: bool) -> None:
    """What `freeze` spares: the gradients of the discriminator's weights in the other's turn."""
    model = GAN(latent_dim=2, hidden_size=16)
    images = torch.randint(256, (4, 1, 28, 28)).byte()
    gradients = []
    backward = Tensor.backward

    def note(loss: Tensor) -> None:
        model.discriminator.zero_grad()
        backward(loss)
        gradients.append(any(p.grad is not None for p in model.discriminator.parameters()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tensor, "backward", note)
        ways.by_hand(model, ways.indexed(images), freeze=freeze)()
    assert gradients == [True, not freeze]


def test_both_ways_to_load_see_the_same_pixels() -> None:
    images = torch.randint(256, (8, 1, 28, 28)).byte()
    sums = [
        torch.cat([x if isinstance(x, Tensor) else x[0] for x in batches()])
        .sum(dim=(1, 2, 3))
        .sort()
        .values
        for batches in (ways.loaded(images), ways.indexed(images))
    ]
    torch.testing.assert_close(sums[0], sums[1])
