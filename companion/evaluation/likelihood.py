"""The likelihood of the test images: bits per dimension, or nats for black and white."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from companion.evaluation.protocol import BATCH, Line, Protocol
from companion.layers import reference
from companion.likelihoods import bits_per_dimension
from companion.metrics.precision import double

FIGURES = ("bits_per_dimension", "negative_bound", "negative_log_likelihood")
IMPORTANCE_SAMPLES = 1000  # of the code for each image, when a likelihood is estimated
# Liu et al. 2022, Fashion-MNIST, coded by bits-back with a VAE of one latent layer.
PUBLISHED_VAE_BITS_PER_DIMENSION = 3.66


def figures(model: Any, protocol: Protocol) -> dict[str, Any]:
    """Means over the test images of ``model.log_prob_bound``.

    - **bits_per_dimension**; or, of a model with the attribute `binary`, in nats per image:
    - **negative_bound**, with the model's own number of samples; and, if `log_prob_bound` takes
      a number `k` of them, **negative_log_likelihood**, estimated with 1,000.
    """
    real, like = protocol.real(model), reference(model)

    def mean_bound(title: str, **options: int) -> Tensor:
        batches = protocol.bar(real.split(BATCH), title)
        bounds = [double(model.log_prob_bound(x.to(like), **options)).cpu() for x in batches]
        return torch.cat(bounds).mean()

    bound = mean_bound("test images")
    if not getattr(model, "binary", False):
        return {"bits_per_dimension": bits_per_dimension(bound, real[0].numel()).item()}
    measured = {"negative_bound": -bound.item()}
    if "k" in inspect.signature(model.log_prob_bound).parameters:
        estimate = mean_bound("likelihoods", k=IMPORTANCE_SAMPLES)
        measured["negative_log_likelihood"] = -estimate.item()
    return measured


def lines(
    name: str, figures: Mapping[str, Any], references: Mapping[str, float], title: str
) -> list[Line]:
    """The lines of a report for one of `FIGURES`."""
    value = figures[name]
    if name == "negative_bound":
        return [(title, f"{value:.2f}", "nats per black-and-white test image")]
    if name == "negative_log_likelihood":
        samples = f"{IMPORTANCE_SAMPLES:,} importance samples"
        return [(title, f"{value:.2f}", f"nats, estimated with {samples}")]
    return [
        (title, f"{value:.3f}", "mean over the test images"),
        ("  PNG", f"{references['png']:.3f}", "image by image, container not counted"),
        ("  PNG, sheets", f"{references['png_sheets']:.3f}", "many images in a file"),
        ("  WebP", f"{references['webp']:.3f}", "lossless, image by image"),
        ("  WebP, sheets", f"{references['webp_sheets']:.3f}", "many images in a file"),
        ("  one-layer VAE", f"{PUBLISHED_VAE_BITS_PER_DIMENSION:.2f}", "Liu et al. 2022"),
    ]
