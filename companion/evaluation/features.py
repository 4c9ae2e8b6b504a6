"""Images seen by a network: features for distances, classes for counting.

The network is the zoo's classifier; the Inception network of published figures can be chosen
where its package and weights are at hand.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from companion import zoo
from companion.data import check_images, to_uint8
from companion.models.classifier import IMAGE_SHAPE, Classifier


# One at a time, so that a network on a GPU is not held for ever; nobody outside can change it.
@lru_cache(maxsize=1)
def _classifier(device: str) -> Classifier:
    model = zoo.load("classifier", device=device)
    assert isinstance(model, Classifier)
    return model


def image_features(images: Tensor, batch_size: int = 500) -> Tensor:
    """The 64 features of each image in the zoo's classifier, scored at native size.

    Args:
        images: floats in [0, 1] of shape (N, 1, 28, 28). Never resized: resizing alone, 28
            -> 32 -> 28, costs a Fréchet distance 50 times that between two sets of real images.
        batch_size: images in one pass; it does not change the result.

    Returns:
        (N, 64) float32, on the images' device, without gradient.

    Raises:
        TypeError, ValueError: images of another type, range or shape.
    """
    check_images(images, shape=IMAGE_SHAPE)
    network = _classifier(str(images.device))
    with torch.no_grad():
        return torch.cat([network.features(batch.float()) for batch in images.split(batch_size)])


def shares_of_features(features: Tensor) -> Tensor:
    """Share of each class among features (N, 64) from `image_features`: (10,), sums to 1."""
    network = _classifier(str(features.device))
    with torch.no_grad():
        classes = network.head(F.gelu(features)).argmax(1)
    return torch.bincount(classes, minlength=network.num_classes) / len(features)


def class_shares(images: Tensor, batch_size: int = 500) -> Tensor:
    """Which share of the images the zoo's classifier takes for each of the ten classes.

    A generator that forgot a class shows it here as a share near 0; real images give 0.1 each.

    Args and errors as for `image_features`. Returns (10,) float32, which sums to 1.
    """
    return shares_of_features(image_features(images, batch_size))


# The weights of 2015 that published figures use, converted to PyTorch by torch-fidelity's author.
INCEPTION_DIGEST = "6726825d"  # the first digits of the file's SHA-256
INCEPTION_WEIGHTS = f"weights-inception-2015-12-05-{INCEPTION_DIGEST}.pth"
INCEPTION_SOURCE = "https://github.com/toshas/torch-fidelity/releases/tag/v0.2.0"


def inception_features(
    images: Tensor, weights: str | Path | None = None, batch_size: int = 50
) -> Tensor:
    """The 2048 features of each image in the Inception network, as torchmetrics computes them.

    Published Fréchet inception distances (FID) are those of these features. The network was made
    for color photographs of 299x299 pixels: images of any size are enlarged to that, and gray
    is repeated in three channels, so for 28x28 pixels it sees mostly the resizer. Compare a
    figure only with those of the same data split, number of images and resizer, which here is
    torchmetrics' default, bilinear with antialiasing.

    Nothing is downloaded. The packages torchmetrics and torch-fidelity must be installed, and the
    weights, 95 MB, lie where torch keeps downloads or in the file named.

    Args:
        images: floats in [0, 1], ``(N, 1, H, W)`` or ``(N, 3, H, W)``, seen as the 8-bit values
            that they stand for.
        weights: the file of the weights; ``weights-inception-2015-12-05-6726825d.pth`` in the
            folder ``checkpoints`` of :func:`torch.hub.get_dir` if not given.
        batch_size: images in one pass.

    Returns:
        (N, 2048) float32, on the images' device, without gradient.

    Raises:
        TypeError, ValueError: images of another type, range or shape.
        ModuleNotFoundError: torchmetrics or torch-fidelity is not installed.
        FileNotFoundError: the weights are not there.
        RuntimeError: the file holds something else.

    Source: Szegedy et al. (2016), the network; Heusel et al. (2017), its use.
    """
    check_images(images)
    if images.shape[1] not in (1, 3):
        raise ValueError(
            f"images must have 1 or 3 channels, got {images.shape[1]}; "
            "show the network gray or color images"
        )
    if weights is None:
        weights = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_WEIGHTS
    network = _inception(str(weights), str(images.device))
    with torch.no_grad():
        levels = to_uint8(images).expand(-1, 3, -1, -1)
        return torch.cat([network(batch) for batch in levels.split(batch_size)])


@lru_cache(maxsize=1)
def _inception(weights: str, device: str) -> Any:
    try:
        # torchmetrics needs torch-fidelity, and says so only when the network is built.
        import torch_fidelity  # type: ignore[import-untyped]  # noqa: F401
        from torchmetrics.image.fid import NoTrainInceptionV3
    except ImportError as error:
        raise ModuleNotFoundError(
            f"inception_features needs torchmetrics and torch-fidelity, but {error.name} is not "
            "installed; use `pip install torchmetrics torch-fidelity`, or image_features(images)"
        ) from error
    path = Path(weights)
    if not path.is_file():
        raise FileNotFoundError(
            f"the Inception weights were expected in {path}, where there is no such file; download "
            f"{INCEPTION_WEIGHTS} from {INCEPTION_SOURCE} to that place, or name the file by "
            "inception_features(images, weights=...)"
        )
    found = hashlib.sha256(path.read_bytes()).hexdigest()[:8]
    if found != INCEPTION_DIGEST:
        raise RuntimeError(
            f"{path} is damaged or another file: its SHA-256 begins with {found}, expected "
            f"{INCEPTION_DIGEST}; download it again from {INCEPTION_SOURCE}"
        )
    # Refuses all but tensors, which the constructor below would not.
    torch.load(path, map_location="cpu", weights_only=True)
    network = NoTrainInceptionV3("inception-v3-compat", ["2048"], weights)
    return network.to(device)
