"""All figures of a trained model in one call, with the floors to hold them against.

A model says by its attribute ``tasks`` what it is for, and each task has its module here:
``"likelihood"`` (it has ``log_prob_bound``), ``"images"`` (``sample``), ``"video"``
(``predict``), ``"classes"`` (logits).
"""

import math
from collections.abc import Mapping
from functools import cache
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from companion import checks
from companion.data import LabeledImages, fashion_mnist, to_float
from companion.evaluation import classes, likelihood, own, samples, video
from companion.evaluation.features import (
    class_shares,
    image_features,
    inception_features,
    shares_of_features,
)
from companion.evaluation.own import fit_features
from companion.evaluation.protocol import Features, Line, Protocol
from companion.layers import evaluating, reference
from companion.likelihoods import binarize
from companion.metrics import png_bits_per_dimension, webp_bits_per_dimension
from companion.training import hardware

__all__ = [
    "class_shares",
    "evaluate",
    "fit_features",
    "image_features",
    "inception_features",
    "references",
    "report",
    "shares_of_features",
]

TASKS: dict[str, ModuleType] = {
    "likelihood": likelihood,
    "images": samples,
    "video": video,
    "classes": classes,
}
QUICK_IMAGES = 1000
IMAGE_SHAPE = (1, 28, 28)  # of the test images


def evaluate(
    model: nn.Module,
    *,
    images: int | Tensor | None = None,
    labels: Tensor | None = None,
    features: Features | None = None,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Measure a model by all that it is for, on the official test set of Fashion-MNIST or on yours.

    - `likelihood`: **bits_per_dimension**, the mean over the test images;
    - `images`: **frechet_distance** of as many samples as test images to these, in the zoo
      classifier's features, and the **class_shares** of the samples; if `sample` knows `mean`,
      also **frechet_distance_of_means**, of decoded means without pixel noise;
    - `video`: **frame_errors** and **frame_ssim**, squared error and structural similarity,
      averaged over the predicted frames of one sequence for each test image, made with `seed`;
      **frame_errors_copying** and **frame_errors_constant_velocity** of the two predictions that
      know nothing;
    - `classes`: **accuracy**.

    A model with the attribute `binary` is measured on black-and-white test images, drawn once
    with `seed`, and in nats per image, for it gives gray levels no likelihood:
    **negative_bound**, with the model's own number of samples, and, if it can use any number of
    them, **negative_log_likelihood**, estimated with 1,000. Its samples are compared with these
    images, its means, which are gray, with the gray ones; the class shares are those of the
    means, for the classifier knows gray images only.

    Images of your own have no **class_shares**, and their **frechet_distance** is one in features
    of your own: it compares with no other features' figures.

    Args:
        model: in any mode, on any device, of any floating type; left as it was.
        images: use the first so many test images only; all 10,000 if None. Or test images of your
            own, ``(N, C, H, W)``, or sequences ``(N, T, 1, H, W)`` for `video`, as ``uint8`` or
            as floats in [0, 1].
        labels: of your own images, for a model of `classes`.
        features: a function from images to features ``(N, D)``, for a model of your own images
            that draws; see :func:`fit_features`.
        seed: of all random numbers (the caller's are left alone). Samples and sequences are drawn
            alike for every device; what a bound draws comes from the device's own generator.
        progress: show a bar on stderr.

    Returns:
        The figures above by name, as floats (class_shares: a list of ten).

    Raises:
        TypeError: no model, or one that does not say what it is for.
        ValueError: a task that there is not, images of another shape than the test set's, or too
            few images for a Fréchet distance.
        UserWarning: (warned, not raised) so few images that they bias it.
        FileNotFoundError: the full data set is not at hand.
    """
    tasks = _tasks(model)
    checks.seed(seed)
    if isinstance(images, Tensor):
        protocol = own.protocol(model, tasks, images, labels, features, seed, progress)
    else:
        protocol = _official(model, tasks, images, seed, progress)
    figures: dict[str, Any] = {}
    with evaluating(model), hardware.own_randomness(reference(model).device):
        torch.manual_seed(seed)
        for task in tasks:
            figures |= TASKS[task].figures(model, protocol)
    return figures


def _official(
    model: nn.Module, tasks: tuple[str, ...], images: int | None, seed: int, progress: bool
) -> Protocol:
    """The test images of Fashion-MNIST, or the first of them."""
    shape = getattr(model, "image_shape", IMAGE_SHAPE)
    if tuple(shape) != IMAGE_SHAPE:
        raise ValueError(
            f"the test images of Fashion-MNIST have shape {IMAGE_SHAPE}, got a model of "
            f"{tuple(shape)}; give test images of your own: evaluate(model, images=test)"
        )
    if images is not None:
        checks.integer("images", images, remedy="use images=1000 for a quick look")
        if "images" in tasks:
            samples.check_number(images)
            samples.warn_of_bias(images)
    test = _first(fashion_mnist("test", full=True), images)
    return Protocol(to_float(test.images), test.labels, seed, progress)


def references(images: int | None = None) -> dict[str, float]:
    """What the figures of `evaluate` are to be held against, computed from real images.

    - **frechet_distance**: the floor, real against real: as many training images as test images
      (their first 10,000) against the test images; **frechet_distance_binary**: the same with
      both drawn in black and white;
    - **png**, **webp**: bits per dimension of the test images, each coded by itself, container
      not counted; **png_sheets**, **webp_sheets**: the same on sheets of 625 images.

    Raises:
        TypeError, ValueError: too few images for a Fréchet distance.
        FileNotFoundError: the full data set is not at hand.
    """
    if images is not None:
        samples.check_number(images)
    return dict(_references(images))


def report(figures: Mapping[str, Any], references: Mapping[str, float]) -> list[str]:
    """The lines of a table: each figure with what it is to be held against."""
    places = {name: module for module in TASKS.values() for name in module.FIGURES}
    lines: list[Line] = []
    for name in figures:
        lines += places[name].lines(name, figures, references, name.replace("_", " "))
    first, second = (max(len(line[i]) for line in lines) for i in (0, 1))
    return [f"{a:{first}}  {b:>{second}}  {c}".rstrip() for a, b, c in lines]


@cache
def _references(images: int | None) -> dict[str, float]:
    test = to_float(_first(fashion_mnist("test", full=True), images).images)
    train = to_float(fashion_mnist("train", full=True).images[: len(test)])
    rng = torch.Generator().manual_seed(0)
    black_and_white = [image_features(binarize(x, rng=rng)) for x in (train, test)]
    tile = min(25, math.isqrt(len(test)))
    return {
        "frechet_distance": samples.distance(image_features(train), image_features(test)),
        "frechet_distance_binary": samples.distance(*black_and_white),
        "png": png_bits_per_dimension(test),
        "png_sheets": png_bits_per_dimension(test, tile),
        "webp": webp_bits_per_dimension(test),
        "webp_sheets": webp_bits_per_dimension(test, tile),
    }


def _tasks(model: Any) -> tuple[str, ...]:
    """What a model says that it is for."""
    if not isinstance(model, nn.Module):
        raise TypeError(
            f"evaluate takes a model, got {checks.kind(model)}; use evaluate(zoo.load('vae')), say"
        )
    tasks = getattr(model, "tasks", ())
    if not isinstance(tasks, tuple | list) or not tasks:
        raise TypeError(
            f"{type(model).__name__} does not say what it is measured by; give its class an "
            f'attribute such as tasks = ("images",), of {", ".join(map(repr, TASKS))}'
        )
    return tuple(checks.one_of("a task", task, TASKS) for task in tasks)


def _first(data: LabeledImages, n: int | None) -> LabeledImages:
    return LabeledImages(data.images[:n], data.labels[:n])
