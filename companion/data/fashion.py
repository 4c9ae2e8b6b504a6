"""Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017, arXiv:1708.07747): a sample, or all of it."""

from __future__ import annotations

import gzip
import hashlib
import os
import tempfile
import zlib
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from companion import checks

#: The ten classes; label ``i`` is ``CLASS_NAMES[i]``.
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)

SAMPLE_FOLDER = Path(__file__).parent / "fashion_mnist_sample"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
PREFIXES = {"train": "train", "test": "t10k"}

# SHA-256 of what is inside each archive; Debian's archives hold the same in another wrapping.
SAMPLE_DIGESTS = {
    "train-images-idx3-ubyte": "c7084bb6d8547680a90d1b7e62eef652b321599dcc052cb47df709f6ae65b129",
    "train-labels-idx1-ubyte": "2a4fb3eec0877aa3d4ab80d8f59374733af9b2b2966e8be0e50efe715f443a4d",
    "t10k-images-idx3-ubyte": "1b9a1884bcce59552fe06b761ebbd50c82321ffbf0a6fbbc881318e5bf226d2a",
    "t10k-labels-idx1-ubyte": "e026daf3d28b630d395bff264d45247706f43ecba7d4f48422cba6b6a30e22d3",
}
FULL_DIGESTS = {
    "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}


class LabeledImages(NamedTuple):
    """Images ``uint8`` (N, 1, 28, 28), levels 0 ... 255, and their labels ``int64`` (N,)."""

    images: Tensor
    labels: Tensor


@checks.explained
def fashion_mnist(split: str = "train", full: bool = False) -> LabeledImages:
    """Fashion-MNIST: 28x28 gray pictures of garments in ten classes (:data:`CLASS_NAMES`).

    By default a real sample that ships with the package: of the official ``split`` the first
    1,000 ("train") or 200 ("test") images of every class, classes in turn, so that image ``i``
    shows class ``i mod 10`` and every stretch of them is balanced.

    ``full=True`` gives all 60,000 or 10,000, in the official order. A copy is looked for in the
    folder named by the environment variable ``COMPANION_DATA`` (else ``~/.cache/companion``) and
    in Debian's package ``dataset-fashion-mnist``; failing these, torchvision downloads it, 31 MB,
    into the former. Checksums are verified at every call.

    Raises:
        ValueError: ``split`` is neither "train" nor "test".
        RuntimeError: a file of the sample or of the copy is missing, truncated or altered.
        FileNotFoundError: no copy was found and none could be downloaded.
    """
    if split not in tuple(PREFIXES):
        raise ValueError(f'split must be "train" or "test", got {split!r}; choose one of these')
    if not full:
        return _read(SAMPLE_FOLDER, split, SAMPLE_DIGESTS, "install the package companion anew")
    folder = find_copy() or _download()
    return _read(folder, split, FULL_DIGESTS, "replace it, or delete it to have it downloaded")


def _read(folder: Path, split: str, digests: dict[str, str], remedy: str) -> LabeledImages:
    """Read and verify the two archives of a split (torchvision verifies only downloads)."""

    def levels(name: str, header: int) -> Tensor:
        path = folder / f"{name}.gz"
        try:
            content = gzip.decompress(path.read_bytes())
        except (OSError, EOFError, zlib.error) as error:
            raise RuntimeError(f"{path} is damaged or unreadable ({error}); {remedy}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != digests[name]:
            raise RuntimeError(
                f"{path} is altered: the SHA-256 of its content is {found}, expected "
                f"{digests[name]}; {remedy}"
            )
        # A bytearray, for torch wants memory that it may write to.
        return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=header)

    # IDX: a header (16 bytes for three dimensions, 8 for one), then one byte a pixel or label.
    images = levels(f"{PREFIXES[split]}-images-idx3-ubyte", header=16)
    labels = levels(f"{PREFIXES[split]}-labels-idx1-ubyte", header=8)
    return LabeledImages(images.view(-1, 1, 28, 28), labels.long())


def find_copy() -> Path | None:
    """The first known folder that holds all four archives of the full set, or None."""
    own = own_folder()
    for folder in (own / "FashionMNIST" / "raw", own, DEBIAN_FOLDER):
        if all((folder / f"{name}.gz").is_file() for name in FULL_DIGESTS):
            return folder
    return None


def _download() -> Path:
    """Let torchvision download the archives, and move each whole, once its MD5 was verified."""
    # Lazily, for torchvision takes a second to import.
    from torchvision.datasets import FashionMNIST

    own = own_folder()
    final = own / "FashionMNIST" / "raw"
    try:
        final.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=own, prefix="download-") as root:
            FashionMNIST(root, download=True)
            for name in (f"{name}.gz" for name in FULL_DIGESTS):
                os.replace(Path(root, "FashionMNIST", "raw", name), final / name)
    except (RuntimeError, OSError, HTTPException) as error:
        cause = " ".join(str(error).split())
        raise FileNotFoundError(
            f"the full Fashion-MNIST was found neither in {own} nor in {DEBIAN_FOLDER}, and "
            f"downloading it failed ({cause}); install Debian's package dataset-fashion-mnist, "
            "or set COMPANION_DATA to a folder with its four .gz files"
        ) from error
    return final


def own_folder() -> Path:
    """Where the user keeps the data: ``COMPANION_DATA``, else the user's cache."""
    if named := os.environ.get("COMPANION_DATA"):
        return Path(named).expanduser()
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "companion"
    except RuntimeError:  # a container without a home
        return Path(tempfile.gettempdir()) / "companion"
