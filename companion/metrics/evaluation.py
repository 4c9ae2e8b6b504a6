"""All figures of a trained model in one call, with the floors to hold them against."""

import inspect
import math
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import torch
from torch import Tensor

from companion.data import CLASS_NAMES, LabeledImages, fashion_mnist, moving_fashion, to_float
from companion.likelihoods import binarize, bits_per_dimension
from companion.metrics.codecs import png_bits_per_dimension, webp_bits_per_dimension
from companion.metrics.features import image_features, shares_of_features
from companion.metrics.frechet import frechet_distance
from companion.metrics.video import (
    constant_velocity,
    copy_last_frame,
    frame_errors,
    frame_ssim,
)
from companion.progress import progress_bar

QUICK_IMAGES = 1000
BATCH = 500
IMPORTANCE_SAMPLES = 1000  # of the code for each image, when a likelihood is estimated
# Liu et al. 2022, Fashion-MNIST, coded by bits-back with a VAE of one latent layer.
PUBLISHED_VAE_BITS_PER_DIMENSION = 3.66


def evaluate(
    model: Any,
    *,
    images: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, Any]:
    """Measure a model of Fashion-MNIST by all that it can do, on the official test set.

    - `log_prob_bound`: **bits_per_dimension**, the mean over the test images;
    - `sample`: **frechet_distance** of as many samples as test images to these, in the zoo
      classifier's features, and the **class_shares** of the samples; if `sample` knows `mean`,
      also **frechet_distance_of_means**, of decoded means without pixel noise;
    - `predict`: **frame_errors** and **frame_ssim**, squared error and structural similarity,
      averaged over the predicted frames of one sequence for each test image, made with `seed`;
      **frame_errors_copying** and **frame_errors_constant_velocity** of the two predictions that
      know nothing;
    - none of them, but logits: **accuracy**.

    A model with the attribute `binary` is measured on black-and-white test images, drawn once
    with `seed`, and in nats per image, for it gives gray levels no likelihood:
    **negative_bound**, with the model's own number of samples, and, if it can use any number of
    them, **negative_log_likelihood**, estimated with 1,000. Its samples are compared with these
    images, its means, which are gray, with the gray ones; the class shares are those of the
    means, for the classifier knows gray images only.

    Args:
        model: in any mode, on any device; left as it was.
        images: use the first so many test images only; all 10,000 if None.
        seed: of all random numbers (the caller's are left alone).
        progress: show a bar on stderr.

    Returns:
        The figures above by name, as floats (class_shares: a list of ten).

    Raises:
        FileNotFoundError: the full data set is not at hand.
    """
    test = _first(fashion_mnist("test", full=True), images)
    device = next(model.parameters()).device
    binary = getattr(model, "binary", False)
    gray = to_float(test.images)
    real = binarize(gray, rng=torch.Generator().manual_seed(seed)) if binary else gray
    was_training = model.training
    model.eval()
    figures: dict[str, Any] = {}

    def mean_bound(title: str, **options: int) -> Tensor:
        batches = _bar(real.split(BATCH), title, progress)
        bounds = [model.log_prob_bound(x.to(device), **options).double().cpu() for x in batches]
        return torch.cat(bounds).mean()

    with torch.no_grad(), torch.random.fork_rng(_cuda(device)):
        torch.manual_seed(seed)
        if hasattr(model, "log_prob_bound"):
            bound = mean_bound("test images")
            if binary:
                figures["negative_bound"] = -bound.item()
                if "k" in inspect.signature(model.log_prob_bound).parameters:
                    estimate = mean_bound("likelihoods", k=IMPORTANCE_SAMPLES)
                    figures["negative_log_likelihood"] = -estimate.item()
            else:
                bits = bits_per_dimension(bound, gray[0].numel())
                figures["bits_per_dimension"] = bits.item()
        if hasattr(model, "sample"):
            gray_features = image_features(gray)
            real_features = image_features(real) if binary else gray_features
            for options, suffix in _kinds_of_samples(model.sample):
                rng = torch.Generator(device).manual_seed(seed)
                fake = image_features(
                    _draw(model.sample, len(real), rng, f"samples{suffix}", progress, options)
                )
                against = gray_features if options else real_features
                figures[f"frechet_distance{suffix}"] = frechet_distance(fake, against)
                if bool(options) == binary:
                    figures["class_shares"] = shares_of_features(fake).tolist()
        elif hasattr(model, "predict"):
            figures |= _of_video(model, gray, seed, progress)
        elif not figures:
            right = [
                (model(to_float(x).to(device)).argmax(1).cpu() == y).double()
                for x, y in _bar(
                    zip(test.images.split(BATCH), test.labels.split(BATCH), strict=True),
                    "test images",
                    progress,
                )
            ]
            figures["accuracy"] = torch.cat(right).mean().item()
    model.train(was_training)
    return figures


@cache
def references(images: int | None = None) -> dict[str, float]:
    """What the figures of `evaluate` are to be held against, computed from real images.

    - **frechet_distance**: the floor, real against real: as many training images as test images
      (their first 10,000) against the test images; **frechet_distance_binary**: the same with
      both drawn in black and white;
    - **png**, **webp**: bits per dimension of the test images, each coded by itself, container
      not counted; **png_sheets**, **webp_sheets**: the same on sheets of 625 images.
    """
    test = to_float(_first(fashion_mnist("test", full=True), images).images)
    train = to_float(fashion_mnist("train", full=True).images[: len(test)])
    rng = torch.Generator().manual_seed(0)
    black_and_white = [image_features(binarize(x, rng=rng)) for x in (train, test)]
    tile = min(25, math.isqrt(len(test)))
    return {
        "frechet_distance": frechet_distance(image_features(train), image_features(test)),
        "frechet_distance_binary": frechet_distance(*black_and_white),
        "png": png_bits_per_dimension(test),
        "png_sheets": png_bits_per_dimension(test, tile),
        "webp": webp_bits_per_dimension(test),
        "webp_sheets": webp_bits_per_dimension(test, tile),
    }


def report(figures: dict[str, Any], references: dict[str, float]) -> list[str]:
    """The lines of a table: each figure with what it is to be held against."""
    lines: list[tuple[str, str, str]] = []
    for name, value in figures.items():
        title = name.replace("_", " ")
        if name == "class_shares":
            lines += [
                (f"share of {label}", f"{100 * share:.1f} %", "10.0 % in real images")
                for label, share in zip(CLASS_NAMES, value, strict=True)
            ]
        elif name == "bits_per_dimension":
            lines += [
                (title, f"{value:.3f}", "mean over the test images"),
                ("  PNG", f"{references['png']:.3f}", "image by image, container not counted"),
                ("  PNG, sheets", f"{references['png_sheets']:.3f}", "many images in a file"),
                ("  WebP", f"{references['webp']:.3f}", "lossless, image by image"),
                ("  WebP, sheets", f"{references['webp_sheets']:.3f}", "many images in a file"),
                ("  one-layer VAE", f"{PUBLISHED_VAE_BITS_PER_DIMENSION:.2f}", "Liu et al. 2022"),
            ]
        elif name.startswith("frechet_distance"):
            binary = name == "frechet_distance" and "negative_bound" in figures
            floor = references["frechet_distance_binary" if binary else "frechet_distance"]
            kind = "black-and-white" if binary else "real"
            lines.append((title, f"{value:.3f}", f"{floor:.3f} for {kind} training images"))
        elif name == "negative_bound":
            lines.append((title, f"{value:.2f}", "nats per black-and-white test image"))
        elif name.startswith("frame_errors"):
            lines.append((title, f"{value:.2f}", "summed over the pixels of a frame"))
        elif name == "frame_ssim":
            lines.append((title, f"{value:.3f}", "1 for equal frames"))
        elif name == "negative_log_likelihood":
            samples = f"{IMPORTANCE_SAMPLES:,} importance samples"
            lines.append((title, f"{value:.2f}", f"nats, estimated with {samples}"))
        else:
            lines.append((title, f"{value:.4f}", ""))
    first, second = (max(len(line[i]) for line in lines) for i in (0, 1))
    return [f"{a:{first}}  {b:>{second}}  {c}".rstrip() for a, b, c in lines]


def _of_video(model: Any, images: Tensor, seed: int, progress: bool) -> dict[str, float]:
    """Errors of predicted frames, means over all frames and sequences."""
    frames, known = model.frames_in + model.frames_out, model.frames_in
    rng = torch.Generator().manual_seed(seed)
    device = next(model.parameters()).device
    sums: dict[str, float] = {}
    for batch in _bar(images.split(BATCH), "sequences", progress):
        sequences = moving_fashion(batch, frames, model.size, rng=rng)
        past, future = sequences[:, :known], sequences[:, known:]
        predicted = model.predict(past.to(device)).cpu()
        copies = copy_last_frame(past, model.frames_out)
        drift = constant_velocity(past, model.frames_out)
        for name, error in (
            ("frame_errors", frame_errors(predicted, future)),
            ("frame_ssim", frame_ssim(predicted, future)),
            ("frame_errors_copying", frame_errors(copies, future)),
            ("frame_errors_constant_velocity", frame_errors(drift, future)),
        ):
            share = len(batch) / len(images)
            sums[name] = sums.get(name, 0.0) + share * error.mean().item()
    return sums


def _kinds_of_samples(sample: Callable[..., Tensor]) -> Iterator[tuple[dict[str, bool], str]]:
    yield {}, ""
    if "mean" in inspect.signature(sample).parameters:
        yield {"mean": True}, "_of_means"


def _draw(
    sample: Callable[..., Tensor],
    n: int,
    rng: torch.Generator,
    title: str,
    progress: bool,
    options: dict[str, bool],
) -> Tensor:
    sizes = [min(BATCH, n - first) for first in range(0, n, BATCH)]
    drawn = [
        sample(size, rng=rng, **options).float().cpu()
        for size in _bar(sizes, title.replace("_", " "), progress)
    ]
    return torch.cat(drawn)


def _first(data: LabeledImages, n: int | None) -> LabeledImages:
    return LabeledImages(data.images[:n], data.labels[:n])


def _bar(work: Iterable[Any], title: str, show: bool) -> Iterable[Any]:
    return progress_bar(list(work), desc=title, disable=not show, unit="batch")


def _cuda(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
