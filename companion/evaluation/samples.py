"""The samples of a model beside the test images."""

import inspect
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from companion import checks
from companion.data import CLASS_NAMES
from companion.evaluation.features import image_features, shares_of_features
from companion.evaluation.protocol import BATCH, Line, Protocol
from companion.metrics import frechet_distance
from companion.models.classifier import NUM_FEATURES

FIGURES = ("frechet_distance", "frechet_distance_of_means", "class_shares")


def figures(model: Any, protocol: Protocol) -> dict[str, Any]:
    """What ``model.sample`` draws, as many images as there are test images, by a CPU generator.

    - **frechet_distance** of the samples to the test images, in the zoo classifier's features;
      if `sample` takes `mean`, also **frechet_distance_of_means**, of means without pixel noise;
    - **class_shares** of the samples, a list of ten; of the means for a model with the attribute
      `binary`, whose samples are black and white: the classifier knows gray images only.

    Images of your own are seen by the protocol's features, which know no classes.
    """
    binary = getattr(model, "binary", False)
    real = protocol.real(model)
    features = protocol.features or image_features
    between = frechet_distance if protocol.features else distance  # which warns of few images
    gray_features = features(protocol.images)
    real_features = features(real) if binary else gray_features
    measured: dict[str, Any] = {}
    for options, suffix in _kinds(model):
        fake = features(_draw(model, len(real), protocol, suffix, options))
        against = gray_features if options else real_features
        measured[f"frechet_distance{suffix}"] = between(fake, against)
        if bool(options) == binary and protocol.features is None:
            measured["class_shares"] = shares_of_features(fake).tolist()
    return measured


def distance(a: Tensor, b: Tensor) -> float:
    """The Fréchet distance; that few images bias it, :func:`warn_of_bias` has said before."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return frechet_distance(a, b)


def check_number(images: int) -> None:
    """Refuse fewer images than a Fréchet distance needs.

    Raises:
        TypeError, ValueError: no more images than the features have dimensions.
    """
    dims = NUM_FEATURES
    checks.integer(
        "images",
        images,
        least=dims + 1,
        remedy=f"a Fréchet distance in {dims} dimensions needs so many, so use images=1000",
    )


def warn_of_bias(images: int) -> None:
    """Warn where a Fréchet distance would be biased: fewer than ten images for each dimension."""
    dims = NUM_FEATURES
    if images < 10 * dims:
        warnings.warn(
            f"{images} images bias a Fréchet distance in {dims} dimensions upward; use at least "
            f"{10 * dims}, better all 10,000",
            stacklevel=4,  # the line that calls evaluate
        )


def lines(
    name: str, figures: Mapping[str, Any], references: Mapping[str, float], title: str
) -> list[Line]:
    """The lines of a report for one of `FIGURES`."""
    if name == "class_shares":
        return [
            (f"share of {label}", f"{100 * share:.1f} %", "10.0 % in real images")
            for label, share in zip(CLASS_NAMES, figures[name], strict=True)
        ]
    binary = name == "frechet_distance" and "negative_bound" in figures
    floor = references["frechet_distance_binary" if binary else "frechet_distance"]
    kind = "black-and-white" if binary else "real"
    return [(title, f"{figures[name]:.3f}", f"{floor:.3f} for {kind} training images")]


def _kinds(model: Any) -> Iterator[tuple[dict[str, bool], str]]:
    yield {}, ""
    if "mean" in inspect.signature(model.sample).parameters:
        yield {"mean": True}, "_of_means"


def _draw(
    model: Any, n: int, protocol: Protocol, suffix: str, options: Mapping[str, bool]
) -> Tensor:
    rng = torch.Generator().manual_seed(protocol.seed)
    sizes = [min(BATCH, n - first) for first in range(0, n, BATCH)]
    title = f"samples{suffix}".replace("_", " ")
    return torch.cat(
        [
            model.sample(size, rng=rng, **options).float().cpu()
            for size in protocol.bar(sizes, title)
        ]
    )
