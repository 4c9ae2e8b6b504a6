"""Two sets of images of unlike size, between which a model translates."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Unpaired:
    """Images of two kinds, of which none belongs to any other: each set is shuffled by itself.

    ``batches(Unpaired(a, b), ...)`` yields as many rows of either. An epoch is as long as the
    smaller set allows; the rows of the larger set that one epoch leaves out come in others.

    Attributes:
        a, b: each (N, ...), with an N of its own.
    """

    a: Tensor
    b: Tensor

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        """Both sets."""
        return self.a, self.b

    @property
    def nbytes(self) -> int:
        """Memory of both sets, in bytes."""
        return self.a.nbytes + self.b.nbytes

    def __len__(self) -> int:
        return min(len(self.a), len(self.b))

    def to(self, device: torch.device | str) -> "Unpaired":
        """Both sets on a device."""
        return Unpaired(self.a.to(device), self.b.to(device))
