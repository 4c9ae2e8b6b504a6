"""The classifier: its augmentation, its loss, its features."""

import math

import pytest
import torch
from torch.nn import functional as F

from companion.data import fashion_mnist, to_float
from companion.models.classifier import Classifier, shift_and_flip
from companion.training import train


@pytest.fixture
def images() -> torch.Tensor:
    return torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("shape", [(3, 1, 28, 28), (2, 3, 5, 8)])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_augmentation_gives_one_of_the_shifted_and_mirrored_versions(
    shape: tuple[int, ...], shift: int
) -> None:
    images = torch.rand(shape, generator=torch.Generator().manual_seed(1))
    height, width = shape[2:]
    padded = F.pad(images, (shift,) * 4)
    versions = torch.stack(
        [
            crop if mirrored == 0 else crop.flip(3)
            for dy in range(2 * shift + 1)
            for dx in range(2 * shift + 1)
            for crop in [padded[:, :, dy : dy + height, dx : dx + width]]
            for mirrored in (0, 1)
        ]
    )
    torch.manual_seed(0)
    seen = set()
    for _ in range(200):
        augmented = shift_and_flip(images, shift)
        assert augmented.shape == images.shape
        matches = (versions == augmented).flatten(2).all(2)  # (versions, N)
        assert matches.any(0).all()
        seen |= set(matches.float().argmax(0).tolist())
    assert len(seen) == len(versions)


def test_loss_is_the_smoothed_cross_entropy_of_augmented_images(images: torch.Tensor) -> None:
    model = Classifier(width=4, smoothing=0.1).eval()
    labels = torch.tensor([0, 1, 2, 3, 4, 9])
    torch.manual_seed(3)
    loss = model.loss(images, labels)
    torch.manual_seed(3)
    log_p = model(shift_and_flip(images)).log_softmax(1)
    target = torch.full((6, 10), 0.1 / 10)
    target[torch.arange(6), labels] += 0.9
    assert loss.item() == pytest.approx(-(target * log_p).sum(1).mean().item(), rel=1e-5)


def test_a_perfect_prediction_costs_nothing(
    images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A softmax before the cross-entropy would leave 1.461 here.
    model = Classifier(width=4, smoothing=0)
    labels = torch.arange(6)
    monkeypatch.setattr(model, "forward", lambda images: 100 * F.one_hot(labels, 10).float())
    assert model.loss(images, labels).item() == pytest.approx(0, abs=1e-6)


def test_shapes_and_size(images: torch.Tensor) -> None:
    model = Classifier().eval()
    assert model.features(images).shape == (6, 64)
    assert model(images).shape == (6, 10)
    assert sum(p.numel() for p in model.parameters()) <= 1_000_000
    assert torch.equal(model(images), model.head(F.gelu(model.features(images))))


def test_features_are_smooth_in_the_image(images: torch.Tensor) -> None:
    torch.manual_seed(0)
    model = Classifier(width=4).double().eval()
    x, direction = images[:2].double() * 0.8 + 0.1, torch.randn(2, 1, 28, 28).double()

    def along(t: torch.Tensor) -> torch.Tensor:
        return model.features(x + t * direction).sum()

    t = torch.zeros((), dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(along(t), t)
    for step in (1e-3, 1e-5):
        difference = (along(t + step) - along(t - step)) / (2 * step)
        assert difference.item() == pytest.approx(slope.item(), rel=1e-3)


def test_features_have_mean_0_and_variance_1_over_a_training_batch() -> None:
    torch.manual_seed(0)
    images = to_float(fashion_mnist("train").images[:256])
    features = Classifier(width=4).train().features(images)
    torch.testing.assert_close(features.mean(0), torch.zeros(64), atol=1e-4, rtol=0)
    torch.testing.assert_close(features.var(0, unbiased=False), torch.ones(64), atol=0.02, rtol=0)


@pytest.mark.slow
def test_it_learns_in_one_short_epoch() -> None:
    torch.manual_seed(0)
    model = Classifier(width=8)
    images, labels = fashion_mnist("train")
    history = train(model, images, labels, epochs=1, batch_size=100, device="cpu", progress=False)
    assert history.losses["classifier"][0] < math.log(10) + 0.3  # chance, at most, to begin with
    test_images, test_labels = fashion_mnist("test")
    model.eval()
    with torch.no_grad():
        accuracy = (model(to_float(test_images)).argmax(1) == test_labels).float().mean()
    assert accuracy > 0.75
