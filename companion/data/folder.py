"""Your own pictures: every file of a folder as one tensor, and a report of what was left out."""

from __future__ import annotations

import os
import textwrap
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from companion import checks
from companion.progress import progress_bar

if TYPE_CHECKING:
    from PIL import Image

MODES = {1: "L", 3: "RGB"}  # what Pillow calls gray and color
CLUTTER = {"Thumbs.db", "desktop.ini", "__MACOSX"}  # what systems leave in folders, besides .names
UNSAFE = {"EPS", "WMF"}  # formats that Pillow gives to other programs
MOST_NAMED = 5  # files that a printed report names


@dataclass(frozen=True, repr=False)
class FolderReport:
    """What :func:`folder` has found; printed, it is a few sentences, a line each.

    Attributes:
        folder: its name.
        shape: of the images, ``(N, C, H, W)``.
        files: of each image, its file's path in the folder.
        classes: the names of the classes, in alphabetical order; empty without classes.
        labels: of each image, its class: ``int64`` of shape ``(N,)``; None without classes.
        skipped: the files without an image, and why.
        hidden: how many hidden files were not looked at.
        changed: how many pictures were altered, by how.
    """

    folder: str
    shape: tuple[int, ...]
    files: tuple[str, ...]
    classes: tuple[str, ...]
    labels: Tensor | None
    skipped: Mapping[str, str]
    hidden: int
    changed: Mapping[str, int]

    def __str__(self) -> str:
        read, total = len(self.files), len(self.files) + len(self.skipped)
        said = [f"{read} of {total} files in {self.folder} were read, as uint8 {self.shape}."]
        if self.labels is not None:
            count = self.labels.bincount(minlength=len(self.classes)).tolist()
            named = [f"{i} {name} ({count[i]})" for i, name in enumerate(self.classes)]
            said.append(f"Classes: {_listed(named, 20)}.")
        if self.changed:
            said.append(f"Changed: {'; '.join(f'{n} {how}' for how, n in self.changed.items())}.")
        if self.skipped:
            named = [f"{name} ({why})" for name, why in self.skipped.items()]
            said.append(f"Skipped: {_listed(named, MOST_NAMED)}.")
        if self.hidden:
            said.append(f"Hidden files, not looked at: {self.hidden}.")
        return "\n".join(textwrap.fill(sentence, 79) for sentence in said)

    __repr__ = __str__


@checks.explained
def folder(
    path: str | Path,
    size: int | tuple[int, int] = 32,
    channels: int = 3,
    *,
    progress: bool = True,
) -> tuple[Tensor, FolderReport]:
    """Read all pictures below a folder, in the order of their names.

    What a file holds decides, not how its name ends: everything that Pillow reads is a picture.
    Each is turned as its camera says (EXIF), laid on white where it is transparent, cropped to
    the middle part that has the wanted proportions, and resized with antialiasing. Of several
    frames the first is taken; 16 bits become 8. A picture of the wanted size stays as it is.

    If every picture lies in a subfolder, the first folder on the way to it is its class, as
    torchvision's ``ImageFolder`` has it, and classes are counted in alphabetical order.

    Args:
        path: the folder.
        size: height and width of the images, or one number for both.
        channels: 3 for color, 1 for gray.
        progress: whether to show a progress bar.

    Returns:
        The images, ``uint8`` of shape ``(N, channels, H, W)``, N * channels * H * W bytes, ready
        for :func:`~companion.training.train`; and the report, with labels, and with every file
        that was left out and the reason.

    Raises:
        TypeError, ValueError: a size or a number of channels that cannot be; a folder in which
            nothing is a picture.
        FileNotFoundError: there is no such folder.
    """
    height, width = _size(size)
    checks.one_of("channels", channels, tuple(MODES))
    root = Path(path)
    if not root.is_dir():
        found = "is a file; unpack it, or" if root.exists() else "was not found;"
        raise FileNotFoundError(f"the folder {root} {found} give the folder that has the pictures")
    names, hidden = _files(root)
    images = torch.empty(len(names), channels, height, width, dtype=torch.uint8)
    files: list[str] = []
    skipped: dict[str, str] = {}
    changed: Counter[str] = Counter()
    bar = progress_bar(names, desc=root.name, unit="file", disable=not progress, delay=1)
    for name in bar:
        try:
            levels, changes = _read(root / name, (height, width), channels)
        except MemoryError:
            raise
        except Exception as error:  # of damaged files Pillow raises almost anything
            skipped[name] = _reason(root / name, error)
            continue
        images[len(files)] = torch.from_numpy(levels)
        files.append(name)
        changed.update(changes)
    if not files:
        why = Counter(skipped.values()).most_common(1)
        found = f"{len(skipped)} files, most often: {why[0][0]}" if why else "no files"
        raise ValueError(
            f"the folder {root} must hold pictures, got {found}; give a folder with PNG or JPEG "
            "files, in subfolders by class if you want labels"
        )
    classes, labels = _classes(files, names)
    report = FolderReport(
        folder=root.name or str(root),
        shape=(len(files), *images.shape[1:]),
        files=tuple(files),
        classes=classes,
        labels=labels,
        skipped=skipped,
        hidden=hidden,
        changed=dict(sorted(changed.items())),
    )
    return images[: len(files)], report


def _files(root: Path) -> tuple[list[str], int]:
    """The paths in the folder that are not hidden, in order, and how many others there are."""
    names, hidden, seen = [], 0, set()
    for place, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add(real)
        for file in files:
            name = Path(place, file).relative_to(root)
            if any(part.startswith(".") or part in CLUTTER for part in name.parts):
                hidden += 1
            else:
                names.append(name.as_posix())
    return sorted(names), hidden


def _classes(files: list[str], names: list[str]) -> tuple[tuple[str, ...], Tensor | None]:
    """The classes and the labels of the images; those of damaged pictures count as well."""
    if not all("/" in file for file in files):
        return (), None
    classes = sorted({name.split("/")[0] for name in names if "/" in name})
    return tuple(classes), torch.tensor([classes.index(file.split("/")[0]) for file in files])


def _read(path: Path, size: tuple[int, int], channels: int) -> tuple[np.ndarray, list[str]]:
    """The levels ``(C, H, W)`` of a picture, and what was changed."""
    from PIL import ExifTags, Image, ImageOps

    Image.init()
    height, width = size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of metadata that nobody needs
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path, formats=[name for name in Image.OPEN if name not in UNSAFE]) as file:
            changes = []
            if getattr(file, "is_animated", False):
                changes.append("of several frames, the first taken")
            if file.width < width or file.height < height:
                changes.append("enlarged")
            file.draft(None, (2 * width, 2 * height))  # a large JPEG is decoded at a part of it
            if file.getexif().get(ExifTags.Base.Orientation, 1) != 1:
                changes.append("turned as the camera says")
            kind = file.format
            picture = ImageOps.exif_transpose(file)
        picture = _eight_bits(picture, kind, changes)
        picture = _opaque(picture, changes).convert(MODES[channels])
        if picture.width * height != picture.height * width:
            changes.append("cropped to the middle")
        picture = ImageOps.fit(picture, (width, height), Image.Resampling.BICUBIC)
    return np.array(picture).reshape(height, width, channels).transpose(2, 0, 1), changes


def _eight_bits(picture: Image.Image, kind: str | None, changes: list[str]) -> Image.Image:
    """Levels up to 65,535 as levels up to 255; other modes as they are."""
    from PIL import Image

    if not picture.mode.startswith(("I", "F")):
        return picture
    if picture.mode == "F" or (picture.mode == "I" and kind != "PNG"):
        raise ValueError("its pixels have 32 bits, of which none is known as white")
    changes.append("of 16 bits, rounded to 8")
    levels = np.asarray(picture).astype(np.int64)
    return Image.fromarray(((levels * 255 + 32767) // 65535).astype(np.uint8))


def _opaque(picture: Image.Image, changes: list[str]) -> Image.Image:
    """The picture on white, if anything of it is transparent."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture
    layer = picture.convert("RGBA")
    if np.asarray(layer)[..., 3].min() < 255:
        changes.append("transparent, laid on white")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)


def _reason(path: Path, error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if path.is_symlink() and not path.exists():
        return "a link to nothing"
    if isinstance(error, PermissionError):
        return "may not be read"
    if path.stat().st_size == 0:
        return "empty"
    if isinstance(error, UnidentifiedImageError):
        return "no picture that Pillow knows"
    if isinstance(error, Image.DecompressionBombError | Image.DecompressionBombWarning):
        return f"more than {Image.MAX_IMAGE_PIXELS:,} pixels, the limit PIL.Image.MAX_IMAGE_PIXELS"
    text = " ".join(str(error).split()) or type(error).__name__
    return text if text.startswith("its pixels") else f"damaged: {text}"


def _size(size: Any) -> tuple[int, int]:
    remedy = "use size=32, or size=(height, width)"
    if not isinstance(size, tuple | list):
        return (checks.integer("size", size, remedy=remedy),) * 2
    if len(size) != 2:
        raise ValueError(f"size must be one number or two, got {checks.shown(size)}; {remedy}")
    return checks.integer("height", size[0], remedy=remedy), checks.integer(
        "width", size[1], remedy=remedy
    )


def _listed(things: list[str], most: int) -> str:
    more = f" and {len(things) - most} more" if len(things) > most else ""
    return ", ".join(things[:most]) + more
