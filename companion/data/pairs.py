"""Two sets of images of unlike size, between which a model translates."""

from dataclasses import dataclass

import torch
from torch import Tensor

from companion import checks


@dataclass(frozen=True)
class Unpaired:
    """Images of two kinds, of which none belongs to any other: each set is shuffled by itself.

    ``batches(Unpaired(a, b), ...)`` yields as many rows of either. An epoch is as long as the
    smaller set allows; the rows of the larger set that one epoch leaves out come in others.

    Attributes:
        a, b: each (N, ...), with an N of its own.

    Raises:
        TypeError: one of them is no tensor of rows.
    """

    a: Tensor
    b: Tensor

    def __post_init__(self) -> None:
        for name, tensor in (("a", self.a), ("b", self.b)):
            if not isinstance(tensor, Tensor) or tensor.ndim == 0:
                raise TypeError(
                    f"{name} must be a tensor with a row for each image, got "
                    f"{checks.shown(tensor)}; use torch.as_tensor(array), or torch.stack(list)"
                )

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
