"""Your own pictures: features that are trained on them, and what is measured with them."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from companion import checks
from companion.data import batches_per_epoch, check_images, check_labels, check_sequences, to_float
from companion.data.moving import check_length
from companion.evaluation.protocol import BATCH, Features, Protocol
from companion.layers import evaluating
from companion.models.classifier import Classifier
from companion.training import hardware, train


def fit_features(
    images: Tensor,
    labels: Tensor | None = None,
    *,
    num_features: int = 64,
    width: int = 16,
    steps: int = 300,
    seed: int = 0,
    device: str | torch.device = "auto",
    progress: bool = True,
) -> Features:
    """Train a small network on pictures of your own; its features give them a Fréchet distance.

    The network is :class:`~companion.models.classifier.Classifier`, which learns to tell the
    classes apart or, without labels, by how many quarters each picture was turned. Neither needs
    colors, so the mean and the standard deviation of each channel are features, too. A distance
    sees what these features hold, and is blind to the rest. Compare distances of one network
    only, beside that of two halves of the real pictures, below which no sample can be expected to
    come, and that of noise: a figure of other features, such as a published FID, is on another
    scale.

    >>> features = fit_features(train_images, labels)
    >>> frechet_distance(features(test_images), features(model.sample(len(test_images))))

    Args:
        images: ``(N, C, H, W)``, ``uint8`` or floats in [0, 1], that are not those to be measured
            with, which would seem closer together than they are.
        labels: ``int64`` of shape ``(N,)``, counted from 0; without them the pictures must be
            squares, and ones for which up is not down.
        num_features: of the network. A distance is biased by fewer than ten pictures for each
            feature, so take 16 where there are a few hundred.
        width: of the classifier.
        steps: of its training, on 64 pictures each, to the end of the last epoch.
        seed, device, progress: of its training.

    Returns:
        A function from floats ``(N, C, H, W)`` in [0, 1] to features ``(N, num_features + 2 C)``,
        each with about mean 0 and variance 1 over the pictures, on the device of the floats,
        without gradient.

    Raises:
        TypeError, ValueError: images or labels that do not fit, or a number out of range.

    Source: turned pictures are the task of Gidaris, Singh and Komodakis (2018), section 3.
    """
    if not isinstance(images, Tensor) or images.dtype != torch.uint8:
        check_images(images)
    elif images.ndim != 4:
        check_images(to_float(images))  # which says how it must be
    checks.integer("steps", steps, remedy="use steps=300, say")
    checks.seed(seed)
    if labels is None:
        if images.shape[2] != images.shape[3]:
            raise ValueError(
                f"without labels the images must be squares, got {tuple(images.shape)}; "
                "give labels, or crop the images"
            )
        labels = torch.arange(4, device=images.device).repeat_interleave(len(images))
        images = torch.cat([images.rot90(turns, (2, 3)) for turns in range(4)])
    classes = int(labels.max()) + 1 if isinstance(labels, Tensor) and labels.numel() else 1
    check_labels(labels, classes)
    if len(labels) != len(images):
        raise ValueError(
            f"labels must be as many as the images, {len(images)}, got {len(labels)}; "
            "give each image its label"
        )
    if classes < 2:
        raise ValueError(
            "labels must have at least two classes, got one, which leaves nothing to tell apart; "
            "leave them out, and the pictures are turned instead"
        )
    batch_size = min(64, len(images))
    with hardware.own_randomness(hardware.pick_device(device)):
        torch.manual_seed(seed)
        network = Classifier(
            width=width,
            num_classes=classes,
            image_shape=images.shape[1:],  # type: ignore[arg-type]
            num_features=num_features,
        )
        epochs = math.ceil(steps / batches_per_epoch(len(images), batch_size))
        train(
            network, images, labels, epochs=epochs, batch_size=batch_size, seed=seed,
            device=device, progress=progress,
        )  # fmt: skip
    network.requires_grad_(False)
    colors = torch.cat([_channels(_floats(batch)) for batch in images.split(BATCH)])
    mean, scale = colors.mean(0), colors.std(0).clamp(min=1e-3)

    def features(images: Tensor) -> Tensor:
        check_images(images, network.image_shape)
        network.to(images.device)
        with evaluating(network):
            seen = torch.cat([network.features(batch) for batch in images.split(BATCH)])
            own = (_channels(images.float()) - mean.to(images.device)) / scale.to(images.device)
            return torch.cat([seen, own], dim=1)

    return features


def _floats(images: Tensor) -> Tensor:
    return to_float(images) if images.dtype == torch.uint8 else images.float()


def _channels(images: Tensor) -> Tensor:
    """Mean and standard deviation of each channel: (N, C, H, W) to (N, 2 C)."""
    pixels = images.flatten(2)
    return torch.cat([pixels.mean(2), pixels.std(2)], dim=1)


def protocol(
    model: nn.Module,
    tasks: tuple[str, ...],
    images: Tensor,
    labels: Tensor | None,
    features: Features | None,
    seed: int,
    progress: bool,
) -> Protocol:
    """How to measure a model on test images of its own data.

    Raises:
        TypeError, ValueError: images that are not the model's, or something that a task lacks.
    """
    images = _floats(images)
    shape: Any = getattr(model, "image_shape", None)
    if "video" in tasks:
        check_sequences(images, getattr(model, "size", None))
        check_length(images, model.frames_in, model.frames_out)  # type: ignore[arg-type]
    else:
        check_images(images, shape)
    if "images" in tasks and features is None:
        raise ValueError(
            "the samples of a model of your own images are measured in features of your own; use "
            "features=companion.evaluation.fit_features(train_images)"
        )
    if "classes" in tasks:
        if labels is None:
            raise ValueError(
                f"{type(model).__name__} is measured by its classes; give the test images' labels, "
                "labels=..."
            )
        check_labels(labels, getattr(model, "num_classes", int(labels.max()) + 1))
    no_labels = torch.empty(0, dtype=torch.int64)
    own = no_labels if labels is None else labels.cpu()
    return Protocol(images.cpu(), own, seed, progress, features)
