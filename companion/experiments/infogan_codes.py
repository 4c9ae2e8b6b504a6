"""What the category of an InfoGAN comes to mean, seed after seed.

InfoGAN of width 16, with 62 numbers of noise, a category of ten and two continuous codes; batches
of 64, 8 epochs, no averaging of weights. No labels are used in training. Afterwards the code
head reads a category from every real image, and each category is matched to one class so that as
many training images as possible are right; the accuracy is that of the test images.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor

from companion.data import LabeledImages, fashion_mnist, to_float
from companion.evaluation import image_features
from companion.experiments._common import real_features, train
from companion.experiments._sheets import encode_sheet
from companion.layers import evaluating
from companion.metrics import (
    best_matching,
    contingency,
    frechet_distance,
    mutual_information,
)
from companion.models.infogan import InfoGAN, information

EPOCHS = 8
WIDTH = 16
SETTINGS = [{"seed": seed} for seed in range(5)]


def measure(seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Figures of the trained model.

    - **accuracies**: share of test images whose category is that of their class, a list of one
      figure after each epoch; **accuracy**: the last of them;
    - **counts**: of test images by category (down, in the order of their classes) and class;
    - **class_information**: of category and class in these counts, in nats, at most log 10;
    - **category_information**, **continuous_information**: the bounds, of 10,000 new pictures;
    - **frechet_distance**: of 10,000 pictures from the test images;
    - **sheet**: four pictures of each category, in the order of their classes.
    """
    torch.manual_seed(seed)
    model = InfoGAN(width=WIDTH)
    images, _ = fashion_mnist("train", full=True)
    accuracies: list[float] = []

    def note(epoch: int, model: Any) -> None:
        accuracies.append(_right(_counts(model)))

    train(model, images, epochs=epochs, batch_size=64, seed=seed, on_epoch=note)
    counts = _counts(model)
    return {
        "accuracy": accuracies[-1],
        "accuracies": accuracies,
        "counts": counts.tolist(),
        "class_information": mutual_information(counts),
        **_figures(model),
        "sheet": encode_sheet(sheet(model, matching(model))),
    }


def matching(model: InfoGAN) -> Tensor:
    """The class ``(10,)`` of each category, matched one to one on 10,000 training images."""
    train_images, labels = _first("train")
    return best_matching(contingency(_read(model, train_images), labels, 10))


def sheet(model: InfoGAN, classes: Tensor, columns: int = 4) -> Tensor:
    """Pictures ``(10 * columns, 1, 28, 28)``, a row for each category, in the classes' order.

    Noise and continuous codes are the same in every row.
    """
    with evaluating(model):
        codes = model.draw_codes(columns, rng=torch.Generator().manual_seed(0))
        rows = [
            model.generate(codes._replace(category=category.expand(columns)))
            for category in classes.argsort()
        ]
    return torch.cat(rows).cpu()


def _counts(model: InfoGAN) -> Tensor:
    """Of the test images, with the categories renamed as the classes that they match."""
    images, labels = _first("test")
    return contingency(matching(model)[_read(model, images)], labels, 10)


def _right(counts: Tensor) -> float:
    return (counts.trace() / counts.sum()).item()


def _read(model: InfoGAN, images: Tensor) -> Tensor:
    device = next(model.parameters()).device
    return torch.cat([model.classify(batch.to(device)).cpu() for batch in images.split(500)])


def _figures(model: InfoGAN) -> dict[str, float]:
    rng = torch.Generator().manual_seed(0)
    known, features = [], []
    with evaluating(model):
        for _ in range(20):
            codes = model.draw_codes(500, rng=rng)
            pictures = model.generate(codes)
            known.append(torch.stack(information(codes, model.posterior(pictures))))
            features.append(image_features(pictures.cpu()))
    category, continuous = torch.stack(known).mean(dim=0).tolist()
    return {
        "category_information": category,
        "continuous_information": continuous,
        "frechet_distance": frechet_distance(torch.cat(features), real_features()),
    }


@cache
def _first(split: str) -> LabeledImages:
    """The first 10,000 images as floats, and their labels."""
    data = fashion_mnist(split, full=True)
    return LabeledImages(to_float(data.images[:10_000]), data.labels[:10_000])
