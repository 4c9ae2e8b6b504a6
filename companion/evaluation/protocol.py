"""What every task is measured by: the same images, the same seed, one bar."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from companion.likelihoods import binarize
from companion.progress import progress_bar

Features = Callable[[Tensor], Tensor]  # images (N, C, H, W) to features (N, D)
BATCH = 500  # images in one pass
Line = tuple[str, str, str]  # of a report: a figure's title, its value, what to hold it against


@dataclass(frozen=True)
class Protocol:
    """Test images as floats, their labels, and how to measure on them.

    Those of Fashion-MNIST are ``(N, 1, 28, 28)``; your own of any shape ``(N, C, H, W)``, or
    sequences ``(N, T, 1, H, W)``, and come with features of their own where samples are measured.
    """

    images: Tensor
    labels: Tensor
    seed: int
    progress: bool
    features: Features | None = None

    def real(self, model: Any) -> Tensor:
        """The images that the model is of: drawn in black and white, always alike, if `binary`."""
        if not getattr(model, "binary", False):
            return self.images
        return binarize(self.images, rng=torch.Generator().manual_seed(self.seed))

    def bar(self, work: Iterable[Any], title: str) -> Iterable[Any]:
        """The parts of some work, counted by a bar if one is wanted."""
        return progress_bar(list(work), desc=title, disable=not self.progress, unit="batch")
