"""Images in the zoo classifier's eyes: features, class shares, the floor."""

import pytest
import torch
from torch.nn import functional as F

from companion.data import fashion_mnist, to_float
from companion.metrics import class_shares, frechet_distance, image_features


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return to_float(fashion_mnist("test").images)  # 2,000, the classes in turn


@pytest.fixture(scope="module")
def features(images: torch.Tensor) -> torch.Tensor:
    return image_features(images)


def test_features_do_not_depend_on_the_batch(images: torch.Tensor, features: torch.Tensor) -> None:
    assert features.shape == (2000, 64)
    assert features.dtype == torch.float32
    assert not features.requires_grad
    torch.testing.assert_close(image_features(images[:50], batch_size=7), features[:50])


def test_features_have_a_readable_scale(features: torch.Tensor) -> None:
    # Each was normalized over the augmented training images; the real ones are close to that.
    assert features.mean(0).abs().max() < 0.5
    assert 0.5 < features.var(0).mean() < 1.5


def test_real_images_are_of_all_classes(images: torch.Tensor) -> None:
    shares = class_shares(images)
    assert shares.sum().item() == pytest.approx(1)
    torch.testing.assert_close(shares, torch.full((10,), 0.1), atol=0.02, rtol=0)
    only_trousers = class_shares(images[1::10])
    assert only_trousers.argmax() == 1
    assert only_trousers[1] > 0.95


def test_the_floor_is_low_and_resizing_is_not(images: torch.Tensor, features: torch.Tensor) -> None:
    train = image_features(to_float(fashion_mnist("train").images[:2000]))
    floor = frechet_distance(train, features)
    assert floor < 2
    there = F.interpolate(images, size=32, mode="bilinear", antialias=True)
    back = F.interpolate(there, size=28, mode="bilinear", antialias=True).clamp(0, 1)
    assert frechet_distance(image_features(back), features) > 2 * floor


def test_noise_blur_and_collapse_are_far_away(images: torch.Tensor, features: torch.Tensor) -> None:
    rng = torch.Generator().manual_seed(0)
    noisy = (images + 0.1 * torch.randn(images.shape, generator=rng)).clamp(0, 1)
    noisier = (images + 0.3 * torch.randn(images.shape, generator=rng)).clamp(0, 1)
    distances = [frechet_distance(image_features(x), features) for x in (images, noisy, noisier)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances[0] < distances[1] < distances[2]
    collapsed = images[3::10].repeat(10, 1, 1, 1)  # nothing but dresses
    assert frechet_distance(image_features(collapsed), features) > 10
