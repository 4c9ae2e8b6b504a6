"""Images in the zoo classifier's eyes: features, class shares, the floor."""

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_fidelity import feature_extractor_inceptionv3
from torchmetrics.image.fid import FrechetInceptionDistance

from companion.data import fashion_mnist, to_float
from companion.evaluation import class_shares, image_features, inception_features
from companion.evaluation import features as features_module
from companion.metrics import frechet_distance


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


@pytest.mark.slow
def test_real_images_are_of_all_classes(images: torch.Tensor) -> None:
    shares = class_shares(images)
    assert shares.sum().item() == pytest.approx(1)
    torch.testing.assert_close(shares, torch.full((10,), 0.1), atol=0.02, rtol=0)
    only_trousers = class_shares(images[1::10])
    assert only_trousers.argmax() == 1
    assert only_trousers[1] > 0.95


@pytest.mark.slow
def test_the_floor_is_low_and_resizing_is_not(images: torch.Tensor, features: torch.Tensor) -> None:
    train = image_features(to_float(fashion_mnist("train").images[:2000]))
    floor = frechet_distance(train, features)
    assert floor < 2
    there = F.interpolate(images, size=32, mode="bilinear", antialias=True)
    back = F.interpolate(there, size=28, mode="bilinear", antialias=True).clamp(0, 1)
    assert frechet_distance(image_features(back), features) > 2 * floor


@pytest.mark.slow
def test_noise_blur_and_collapse_are_far_away(images: torch.Tensor, features: torch.Tensor) -> None:
    rng = torch.Generator().manual_seed(0)
    noisy = (images + 0.1 * torch.randn(images.shape, generator=rng)).clamp(0, 1)
    noisier = (images + 0.3 * torch.randn(images.shape, generator=rng)).clamp(0, 1)
    distances = [frechet_distance(image_features(x), features) for x in (images, noisy, noisier)]
    assert distances[0] == pytest.approx(0, abs=1e-6)
    assert distances[0] < distances[1] < distances[2]
    collapsed = images[3::10].repeat(10, 1, 1, 1)  # nothing but dresses
    assert frechet_distance(image_features(collapsed), features) > 10


# ---- Inception ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def random_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real weights cannot be shipped: the network with random ones stands in for it."""
    module = feature_extractor_inceptionv3
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
        network = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    path = tmp_path_factory.mktemp("inception") / features_module.INCEPTION_WEIGHTS
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def digest(random_weights: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    found = hashlib.sha256(random_weights.read_bytes()).hexdigest()[:8]
    monkeypatch.setattr(features_module, "INCEPTION_DIGEST", found)
    yield
    features_module._inception.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("digest")
def test_inception_features_are_those_of_torchmetrics(
    images: torch.Tensor, random_weights: Path
) -> None:
    ours = inception_features(images[:4], random_weights, batch_size=3)
    assert ours.shape == (4, 2048)
    assert ours.dtype == torch.float32
    assert not ours.requires_grad
    theirs = FrechetInceptionDistance(2048, feature_extractor_weights_path=str(random_weights))
    levels = fashion_mnist("test").images[:4].expand(-1, 3, -1, -1)
    torch.testing.assert_close(ours, theirs.inception(levels))
    color = torch.rand(2, 3, 20, 40, generator=torch.Generator().manual_seed(0))
    assert inception_features(color, random_weights).shape == (2, 2048)


@pytest.mark.usefixtures("digest")
def test_inception_weights_are_looked_for_where_torch_keeps_downloads(
    images: torch.Tensor, random_weights: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(FileNotFoundError) as error:
        inception_features(images[:1])
    sentence = str(error.value)
    assert str(tmp_path / "checkpoints" / random_weights.name) in sentence
    assert "download weights-inception-2015-12-05-6726825d.pth from https://" in sentence
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / random_weights.name).symlink_to(random_weights)
    assert inception_features(images[:1]).shape == (1, 2048)


def test_other_inception_weights_are_refused(images: torch.Tensor, random_weights: Path) -> None:
    with pytest.raises(RuntimeError, match="SHA-256 begins with .*, expected 6726825d; download"):
        inception_features(images[:1], random_weights)


@pytest.mark.parametrize("missing", ["torchmetrics.image.fid", "torch_fidelity"])
def test_inception_says_what_to_install(
    missing: str, images: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match="pip install torchmetrics torch-fidelity"):
        inception_features(images[:1])


def test_inception_takes_gray_or_color_images_in_range(images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="1 or 3 channels, got 2"):
        inception_features(torch.rand(1, 2, 8, 8))
    with pytest.raises(ValueError, match="floats in .0, 1., got values"):
        inception_features(255 * images[:1])
