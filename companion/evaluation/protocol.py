"""What every task is measured by: the same images, the same seed, one bar."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from companion.likelihoods import binarize
from companion.progress import progress_bar

BATCH = 500  # images in one pass
Line = tuple[str, str, str]  # of a report: a figure's title, its value, what to hold it against


@dataclass(frozen=True)
class Protocol:
    """Test images ``(N, 1, 28, 28)`` as floats, their labels, and how to measure on them."""

    images: Tensor
    labels: Tensor
    seed: int
    progress: bool

    def real(self, model: Any) -> Tensor:
        """The images that the model is of: drawn in black and white, always alike, if `binary`."""
        if not getattr(model, "binary", False):
            return self.images
        return binarize(self.images, rng=torch.Generator().manual_seed(self.seed))

    def bar(self, work: Iterable[Any], title: str) -> Iterable[Any]:
        """The parts of some work, counted by a bar if one is wanted."""
        return progress_bar(list(work), desc=title, disable=not self.progress, unit="batch")
