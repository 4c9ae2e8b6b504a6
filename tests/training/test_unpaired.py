"""Two sets of images of unlike size, through the whole of `train`."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from companion import Player, train
from companion.data import Unpaired
from companion.files import CheckpointError

RNG = torch.Generator().manual_seed(0)
PHOTOS = torch.randint(256, (20, 3, 4, 4), generator=RNG).byte()
SKETCHES = torch.rand(12, 1, 4, 4, generator=RNG)


class Translator(nn.Module):
    """Two colors: one for each side."""

    def __init__(self) -> None:
        super().__init__()
        self.ab = nn.Parameter(torch.zeros(3))
        self.ba = nn.Parameter(torch.zeros(1))
        self.seen: list[tuple[Tensor, Tensor]] = []

    def loss(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
        self.seen.append((a, b))
        to_b = (self.ab - a.mean((2, 3))).square().mean()
        to_a = (self.ba - b.mean((2, 3))).square().mean()
        return {"loss": to_a + to_b, "to a": to_a}

    def players(self) -> list[Player]:
        return [Player("cycle", self, self.loss, learning_rate=0.1)]


def run(model: nn.Module, data: Any, **options: Any) -> Any:
    return train(
        model, data, **{"epochs": 2, "batch_size": 4, "device": "cpu", "progress": False} | options
    )


def test_a_loss_gets_a_batch_of_either_set_as_floats() -> None:
    model = Translator()
    history = run(model, Unpaired(PHOTOS, SKETCHES))
    assert history.epochs == 2
    assert len(model.seen) == 6, "an epoch is as long as the smaller set allows"
    assert all(a.shape == (4, 3, 4, 4) and b.shape == (4, 1, 4, 4) for a, b in model.seen)
    assert all(a.is_floating_point() and a.max() <= 1 for a, _ in model.seen)
    first = torch.cat([b for _, b in model.seen[:3]])
    torch.testing.assert_close(first.sum((1, 2, 3)).sort()[0], SKETCHES.sum((1, 2, 3)).sort()[0])
    assert bool((model.ab != 0).all())
    assert bool((model.ba != 0).all())


def test_a_stopped_run_ends_in_the_same_weights(tmp_path: Path) -> None:
    def stop(epoch: int, model: nn.Module) -> None:
        raise KeyboardInterrupt

    data = Unpaired(PHOTOS, SKETCHES)
    whole, resumed = Translator(), Translator()
    run(whole, data, run_dir=tmp_path / "whole")
    assert run(Translator(), data, run_dir=tmp_path / "cut", on_epoch=stop).interrupted
    run(resumed, data, run_dir=tmp_path / "cut")
    assert torch.equal(resumed.ab, whole.ab)
    assert torch.equal(resumed.ba, whole.ba)
    with pytest.raises(CheckpointError, match="data was"):
        run(Translator(), Unpaired(PHOTOS, 1 - SKETCHES), run_dir=tmp_path / "cut")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (lambda: Unpaired(PHOTOS.numpy(), SKETCHES), r"a must be a tensor .* got ndarray; use"),  # type: ignore[arg-type]
        (lambda: Unpaired(PHOTOS, torch.tensor(1.0)), r"b must be a tensor .* shape \(\)"),
        (lambda: Unpaired(PHOTOS, SKETCHES[:0]), r"at least one pixel, got shape \(0, 1, 4, 4\)"),
        (lambda: Unpaired(PHOTOS, 2 * SKETCHES - 1), r"use \(images \+ 1\) / 2"),
        (lambda: Unpaired(PHOTOS[:, 0], SKETCHES), r"got \(20, 4, 4\); use images\[:, None\]"),
        (lambda: PHOTOS, r"takes \(a, b\), got 1 tensor after the model"),
    ],
)
def test_sets_that_do_not_fit_get_one_sentence(data: Any, match: str) -> None:
    with pytest.raises((TypeError, ValueError), match=match):
        run(Translator(), data())
