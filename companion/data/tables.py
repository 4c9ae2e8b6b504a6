"""Images in tables: IDX, the format of MNIST and its relatives, and CSV with an image a row."""

from __future__ import annotations

import gzip
import io
import math
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from companion import checks

GZIP = b"\x1f\x8b"
# The third byte of an IDX file: the type of its numbers, whose bytes are big-endian.
TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> Tensor:
    """The tensor in an IDX file, packed by gzip or not.

    Returns:
        Images ``(N, H, W)`` become ``uint8`` of shape ``(N, 1, H, W)``; one number a row, such as
        labels, ``int64`` of shape ``(N,)``; all else keeps shape and type.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no IDX file, or a damaged one.

    Source: LeCun, Cortes and Burges, *The MNIST database of handwritten digits*.
    """
    content = _unpacked(Path(path))
    kind = TYPES.get(content[2]) if len(content) > 3 and content[:2] == b"\0\0" else None
    dims = content[3] if kind else 0
    if kind is None or len(content) < 4 + 4 * dims:
        raise ValueError(
            f"{path} must be an IDX file, which begins with two zero bytes and a type, got "
            f"{content[:4].hex(' ') or 'nothing'}; give one such as train-images-idx3-ubyte.gz"
        )
    shape = struct.unpack_from(f">{dims}I", content, 4)
    expected, found = math.prod(shape) * np.dtype(kind).itemsize, len(content) - 4 - 4 * dims
    if found != expected:
        raise ValueError(
            f"{path} is damaged: for shape {shape} it must hold {expected:,} bytes, got "
            f"{found:,}; download or copy it again"
        )
    numbers = np.frombuffer(content, kind, offset=4 + 4 * dims).reshape(shape)
    tensor = torch.from_numpy(numbers.astype(np.dtype(kind).newbyteorder("=")))
    if tensor.dtype == torch.uint8:
        return tensor[:, None] if dims == 3 else tensor.long() if dims == 1 else tensor
    return tensor


def read_csv(
    path: str | Path, image_shape: tuple[int, int, int] = (1, 28, 28)
) -> tuple[Tensor, Tensor | None]:
    """The images in a table with one a row, levels 0 to 255, and their labels if it has any.

    A row has C * H * W numbers, channel by channel and row by row, or one more: the label, first.
    A line of names at the top is left out. A packed file (gzip) will do.

    Args:
        path: the file, with commas between the numbers.
        image_shape: ``(C, H, W)``.

    Returns:
        Images, ``uint8`` of shape ``(N, C, H, W)``; labels, ``int64`` of shape ``(N,)``, or None.

    Raises:
        FileNotFoundError: there is no such file.
        TypeError, ValueError: the table does not hold images of that shape.
    """
    shape = checks.image_shape(image_shape)
    pixels = math.prod(shape)
    form = f"rows of {pixels} numbers for shape {shape}, or of {pixels + 1} with a label first"
    lines = io.StringIO(_unpacked(Path(path)).decode("utf-8-sig", errors="replace"))
    names = not _are_numbers(lines.readline())
    lines.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an empty table, which is refused below
            numbers = np.loadtxt(
                lines, np.float32, delimiter=",", skiprows=int(names), quotechar='"', ndmin=2
            )
    except ValueError as error:
        reason = str(error).split(";")[0].rstrip(".")
        raise ValueError(
            f"{path} must have {form}, below one line of names at most, but {reason}; "
            "remove or mend what is no number"
        ) from None
    if numbers.size == 0 or numbers.shape[1] not in (pixels, pixels + 1):
        found = f"{numbers.shape[1]} numbers in a row" if numbers.size else "no rows"
        raise ValueError(
            f"{path} must have {form}, got {found}; give image_shape=(channels, height, width)"
        )
    images = numbers[:, -pixels:]
    if not ((images >= 0) & (images <= 255) & (images == images.round())).all():
        raise ValueError(
            f"the pixels in {path} must be whole numbers from 0 to 255, got values from "
            f"{images.min():g} to {images.max():g}; multiply values in [0, 1] by 255 and round them"
        )
    levels = torch.from_numpy(images.astype(np.uint8)).view(-1, *shape)
    labels = None
    if numbers.shape[1] > pixels:
        labels = torch.from_numpy(numbers[:, 0].astype(np.int64))
    return levels, labels


def _unpacked(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}; check the path")
    content = path.read_bytes()
    if content[:2] != GZIP:
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged ({error}); download or copy it again") from None


def _are_numbers(line: str) -> bool:
    try:
        return bool([float(word.strip('" ')) for word in line.split(",")])
    except ValueError:
        return False
