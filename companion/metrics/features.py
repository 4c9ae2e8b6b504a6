"""Images seen by the zoo's classifier: features for distances, classes for counting."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from companion.data import check_images
from companion.models.classifier import Classifier


@cache
def classifier(device: str = "cpu") -> Classifier:
    """The feature network: the zoo's `classifier`, loaded once for each device."""
    from companion import zoo  # lazily: the zoo also measures, by this package

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
    check_images(images, shape=Classifier.image_shape)
    network = classifier(str(images.device))
    with torch.no_grad():
        return torch.cat([network.features(batch) for batch in images.split(batch_size)])


def shares_of_features(features: Tensor) -> Tensor:
    """Share of each class among features (N, 64) from `image_features`: (10,), sums to 1."""
    network = classifier(str(features.device))
    with torch.no_grad():
        classes = network.head(F.gelu(features)).argmax(1)
    return torch.bincount(classes, minlength=network.num_classes) / len(features)


def class_shares(images: Tensor, batch_size: int = 500) -> Tensor:
    """Which share of the images the zoo's classifier takes for each of the ten classes.

    A generator that forgot a class shows it here as a share near 0; real images give 0.1 each.

    Args and errors as for `image_features`. Returns (10,) float32, which sums to 1.
    """
    return shares_of_features(image_features(images, batch_size))
