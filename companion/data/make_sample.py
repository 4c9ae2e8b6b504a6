"""Make the sample that ships with the package: ``python -m companion.data.make_sample``.

Of each official split the first images of every class, classes in turn (0, 1, ..., 9, 0, ...),
written as the original is: four gzipped IDX files (a big-endian header with the dimensions, then
the bytes). Nothing is drawn at random: the same content comes out each time. Prints the digests
of that content, which ``companion/data/fashion.py`` keeps.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import sys
from pathlib import Path

import torch
from torch import Tensor

from companion.data.fashion import CLASS_NAMES, PREFIXES, SAMPLE_FOLDER, fashion_mnist
from companion.files import write_file

IMAGES_PER_CLASS = {"train": 1000, "test": 200}


def make_sample(folder: Path) -> dict[str, str]:
    """Write the four archives to ``folder`` and return the SHA-256 of each one's content."""
    digests = {}
    for split, prefix in PREFIXES.items():
        images, labels = fashion_mnist(split, full=True)
        rows = balanced(labels, IMAGES_PER_CLASS[split])
        for name, array in (
            (f"{prefix}-images-idx3-ubyte", images[rows].squeeze(1)),
            (f"{prefix}-labels-idx1-ubyte", labels[rows].to(torch.uint8)),
        ):
            content = idx(array)
            write_file(folder / f"{name}.gz", gzip.compress(content, compresslevel=9, mtime=0))
            digests[name] = hashlib.sha256(content).hexdigest()
    return digests


def balanced(labels: Tensor, per_class: int) -> Tensor:
    """Row numbers of the first ``per_class`` images of every class, classes in turn."""
    firsts = [(labels == c).nonzero().flatten()[:per_class] for c in range(len(CLASS_NAMES))]
    return torch.stack(firsts, dim=1).flatten()


def idx(array: Tensor) -> bytes:
    """``uint8`` tensor to IDX: 0, 0, type 8, number of dimensions, sizes (32 bits), bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return header + array.numpy().tobytes()


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else SAMPLE_FOLDER
    for name, digest in make_sample(folder).items():
        print(f"{digest}  {name}")
