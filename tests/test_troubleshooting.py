"""The page on troubles: its code runs, and what it says of a call is so."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn

from companion import models, train

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "book" / "reference" / "troubleshooting.md").read_text("utf-8")


def test_its_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^  ```python\n(.*?)^  ```", PAGE, flags=re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    scope: dict[str, object] = {}
    for block in blocks:
        exec(re.sub(r"^  ", "", block, flags=re.MULTILINE), scope)
    assert (tmp_path / "sheet.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    "options",
    [
        {"learning_rate": 1e-4},
        {"clip_norm": 1.0},
        {"precision": "float32"},
        {"batch_size": 8, "accumulate": 2},
    ],
)
def test_train_takes_what_it_advises(options: dict[str, object]) -> None:
    assert all(f"{name}=" in PAGE for name in options)
    images = torch.rand(16, 1, 28, 28)
    train(models.VAE(), images, epochs=1, progress=False, **{"batch_size": 8} | options)  # type: ignore[arg-type]


def test_a_network_under_another_name_is_never_used() -> None:
    """What the page warns of, and its remedy."""

    class Black(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.level = nn.Parameter(torch.zeros(1, 1, 28, 28))

        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return torch.tanh(self.level - 9).expand(len(z), -1, -1, -1)

    model = models.DCGAN()
    model.gen = Black()
    assert model.sample(2).mean() > 0.1
    model.generator = Black()
    assert model.sample(2).max() < 0.01


def test_the_bound_of_a_model_without_its_rate_is_found_by_the_original() -> None:
    class NoRate(models.VAE):
        def elbo(self, images: torch.Tensor) -> models.vae.Elbo:
            bound = super().elbo(images)
            return bound._replace(rate=0 * bound.rate)

    model, images = NoRate(), torch.rand(4, 1, 28, 28)
    assert model.elbo(images).rate.abs().max() == 0
    assert models.VAE.elbo(model, images).rate.min() > 0
