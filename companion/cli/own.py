"""companion train --data: pictures of your own in place of Fashion-MNIST."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from companion.cli.words import say

if TYPE_CHECKING:
    from torch import Tensor, nn

    from companion.zoo import Recipe


@dataclass
class Own:
    """Images, their labels if they have any, and what their place is called."""

    images: "Tensor"
    labels: "Tensor | None"
    name: str

    def build(self, name: str, recipe: "Recipe") -> "nn.Module":
        """The recipe's model, for images of this shape, and for as many classes.

        Raises:
            ValueError: it cannot be built for them, or lacks the labels that its loss takes.
        """
        from companion.zoo.recipes import class_of

        if recipe.labels and self.labels is None:
            raise ValueError(
                f"{name} learns from labels, and {self.name} has none; put the pictures of each "
                "class into a subfolder of its own"
            )
        takes = inspect.signature(class_of(recipe.constructor)).parameters
        shape = tuple(self.images.shape[1:])
        if "image_shape" not in takes and shape != (1, 28, 28):
            raise ValueError(
                f"{name} takes gray images of 28 x 28 pixels, got {shape}; use --size 28 "
                "--channels 1"
            )
        changed: dict[str, Any] = {"image_shape": shape} if "image_shape" in takes else {}
        if recipe.labels and self.labels is not None and "num_classes" in takes:
            changed["num_classes"] = int(self.labels.max()) + 1
        return recipe.build(**changed)

    def facts(self) -> dict[str, Any]:
        """What the card of a model of these images says in place of what is said of the zoo's."""
        return {
            "data": f"{self.name}, {len(self.images):,} images {tuple(self.images.shape[1:])}",
            "license": "that of its owner",
            "intended_use": "that of its owner",
            "limits": "knows the images that it was trained on",
            "most_bytes": None,
        }


def read_own(path: Path, size: int, channels: int, quiet: bool) -> Own:
    """A folder of pictures, a table (.csv, .csv.gz) or an IDX file.

    Raises:
        TypeError, ValueError, OSError: it cannot be read.
    """
    from companion import data

    if path.name.lower().endswith((".csv", ".csv.gz")):
        images, labels = data.read_csv(path, (channels, size, size))
    elif path.is_file():
        images, labels = data.read_idx(path), None
    else:
        images, report = data.folder(path, size, channels, progress=not quiet)
        labels = report.labels
        say(str(report), quiet)
    return Own(images, labels, path.name or str(path))
