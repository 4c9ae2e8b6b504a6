"""The sample and the full set: what they hold, and how damaged or missing files are met."""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from companion.data import CLASS_NAMES, LabeledImages, fashion, fashion_mnist, make_sample

OFFICIAL = {"train": "train", "test": "t10k"}
SAMPLE = Path(fashion.__file__).parent / "fashion_mnist_sample"
IMAGES = "train-images-idx3-ubyte.gz"

needs_debian = pytest.mark.skipif(
    not (fashion.DEBIAN_FOLDER / IMAGES).exists(),
    reason="needs Debian's package dataset-fashion-mnist",
)


def official(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Debian's copy, read by numpy alone."""

    def read(kind: str, header: int) -> np.ndarray:
        archive = fashion.DEBIAN_FOLDER / f"{OFFICIAL[split]}-{kind}-ubyte.gz"
        return np.frombuffer(gzip.decompress(archive.read_bytes()), np.uint8)[header:]

    return read("images-idx3", 16).reshape(-1, 28, 28), read("labels-idx1", 8)


# The sample


@pytest.mark.parametrize(("split", "per_class"), [("train", 1000), ("test", 200)])
def test_the_sample_is_balanced(split: str, per_class: int) -> None:
    data = fashion_mnist(split)
    assert isinstance(data, LabeledImages)
    assert data.images.shape == (10 * per_class, 1, 28, 28)
    assert data.images.dtype == torch.uint8
    assert data.labels.dtype == torch.int64
    assert Counter(data.labels.tolist()) == dict.fromkeys(range(10), per_class)
    assert torch.equal(data.labels, torch.arange(10 * per_class) % 10)


@needs_debian
@pytest.mark.parametrize("split", ["train", "test"])
def test_the_sample_is_the_first_of_each_class_of_its_official_split(split: str) -> None:
    images, labels = official(split)
    sample = fashion_mnist(split)
    for label in range(10):
        mine = sample.images[sample.labels == label].squeeze(1).numpy()
        np.testing.assert_array_equal(mine, images[labels == label][: len(mine)])


def test_train_and_test_share_no_image() -> None:
    train, test = ({i.numpy().tobytes() for i in fashion_mnist(s).images} for s in OFFICIAL)
    assert not train & test


def test_torchvision_reads_the_same_from_the_sample(tmp_path: Path) -> None:
    from torchvision.datasets import FashionMNIST

    raw = tmp_path / "FashionMNIST" / "raw"
    raw.mkdir(parents=True)
    for archive in SAMPLE.glob("*.gz"):
        (raw / archive.stem).write_bytes(gzip.decompress(archive.read_bytes()))
    for split in OFFICIAL:
        theirs, mine = FashionMNIST(tmp_path, train=split == "train"), fashion_mnist(split)
        assert torch.equal(theirs.data, mine.images.squeeze(1))
        assert torch.equal(theirs.targets, mine.labels)
        assert tuple(theirs.classes) == CLASS_NAMES


def test_the_sample_is_small_and_licensed() -> None:
    assert sum(file.stat().st_size for file in SAMPLE.iterdir()) < 6e6
    license_text = (SAMPLE / "LICENSE.txt").read_text(encoding="utf-8")
    assert "MIT License" in license_text
    assert "Zalando SE" in license_text


@pytest.mark.slow
@needs_debian
def test_the_script_makes_the_sample_that_ships(tmp_path: Path) -> None:
    assert make_sample.make_sample(tmp_path) == fashion.SAMPLE_DIGESTS
    for archive in tmp_path.iterdir():
        shipped = gzip.decompress((SAMPLE / archive.name).read_bytes())
        assert gzip.decompress(archive.read_bytes()) == shipped


def test_every_call_gives_tensors_of_its_own() -> None:
    fashion_mnist("test").images.zero_()
    assert fashion_mnist("test").images.any()


@pytest.mark.slow
def test_torchvision_is_not_imported_for_the_sample() -> None:
    code = (
        "import sys; from companion.data import fashion_mnist; fashion_mnist('test');"
        "sys.exit('torchvision' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("split", ["valid", "Train", "", None, 1, ["train"]])
@pytest.mark.parametrize("full", [False, True])
def test_an_unknown_split_is_told(split: str, full: bool) -> None:
    with pytest.raises(ValueError, match=r'split must be "train" or "test", got .*; choose'):
        fashion_mnist(split, full=full)


# The full set, as Debian has it


@needs_debian
@pytest.mark.parametrize(("split", "n"), [("train", 60_000), ("test", 10_000)])
def test_the_full_set_is_debians(
    split: str, n: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))  # empty
    data = fashion_mnist(split, full=True)
    images, labels = official(split)
    assert data.images.shape == (n, 1, 28, 28)
    np.testing.assert_array_equal(data.images.squeeze(1).numpy(), images)
    np.testing.assert_array_equal(data.labels.numpy(), labels)
    assert not list(tmp_path.iterdir())


# The full set's way of finding, refusing and downloading, with the sample in its place


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty COMPANION_DATA; the sample's digests stand for the full set's; no Debian."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("COMPANION_DATA", str(folder))
    monkeypatch.setattr(fashion, "DEBIAN_FOLDER", tmp_path / "debian")
    monkeypatch.setattr(fashion, "FULL_DIGESTS", fashion.SAMPLE_DIGESTS)
    return folder


def copy_to(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for archive in SAMPLE.glob("*.gz"):
        shutil.copy(archive, folder)
    return folder


def is_whole(data: LabeledImages) -> bool:
    return torch.equal(data.images, fashion_mnist("train").images)


@pytest.mark.parametrize("place", [".", "FashionMNIST/raw", "../debian"])
def test_a_copy_is_found(home: Path, place: str) -> None:
    copy_to(home / place)
    assert is_whole(fashion_mnist(full=True))


def test_without_the_variable_the_cache_is_looked_at(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COMPANION_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(home))
    copy_to(home / "companion" / "FashionMNIST" / "raw")
    assert is_whole(fashion_mnist(full=True))
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(home))
    (home / "companion").rename(home / ".cache")
    copy_to(home / ".cache" / "companion")
    assert is_whole(fashion_mnist(full=True))


def truncate(archive: bytes) -> bytes:
    return archive[: len(archive) // 2]


def flip(archive: bytes) -> bytes:
    middle = len(archive) // 2
    return archive[:middle] + bytes([archive[middle] ^ 1]) + archive[middle + 1 :]


def alter(archive: bytes) -> bytes:
    """A sound archive of other content."""
    content = gzip.decompress(archive)
    return gzip.compress(content[:-1] + bytes([content[-1] ^ 1]), compresslevel=1)


def lengthen(archive: bytes) -> bytes:
    return archive + gzip.compress(b"one more")


def empty(archive: bytes) -> bytes:
    return b""


def page(archive: bytes) -> bytes:
    """What a login page leaves in place of a download."""
    return b"<!doctype html><title>Please log in</title>"


damages = [truncate, flip, alter, lengthen, empty, page]


@pytest.mark.parametrize("name", [IMAGES, "train-labels-idx1-ubyte.gz"])
@pytest.mark.parametrize("damage", damages)
@pytest.mark.parametrize("full", [False, True])
def test_a_damaged_file_is_refused(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[bytes], bytes],
    name: str,
    full: bool,
) -> None:
    copy_to(home)
    monkeypatch.setattr(fashion, "SAMPLE_FOLDER", home)
    archive = home / name
    archive.write_bytes(damage(archive.read_bytes()))
    before = archive.read_bytes()
    with pytest.raises(RuntimeError) as caught:
        fashion_mnist(full=full)
    sentence = str(caught.value)
    assert str(archive) in sentence
    assert "altered" in sentence or "damaged" in sentence
    assert sentence.endswith("to have it downloaded" if full else "companion anew")
    assert "\n" not in sentence
    assert archive.read_bytes() == before  # left for the user to look at


def test_a_missing_file_of_the_sample_is_told(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion, "SAMPLE_FOLDER", home)
    with pytest.raises(RuntimeError, match=r"unreadable .*; install the package companion anew"):
        fashion_mnist()


@pytest.fixture
def mirror(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, Path]]:
    """A folder served to torchvision as its mirror, and the empty home to download to."""
    from torchvision.datasets import FashionMNIST

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            pass

    folder = copy_to(tmp_path / "mirror")
    sums = [(a.name, hashlib.md5(a.read_bytes()).hexdigest()) for a in sorted(folder.glob("*.gz"))]
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(FashionMNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(FashionMNIST, "resources", sums)
    yield folder, home
    server.shutdown()
    server.server_close()
    thread.join()


def files(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_without_a_copy_it_is_downloaded_once(
    mirror: tuple[Path, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    folder, home = mirror
    assert is_whole(fashion_mnist(full=True))
    assert "100%" in capfd.readouterr().err  # the progress bar
    assert files(home) == sorted(f"FashionMNIST/raw/{a.name}" for a in folder.glob("*.gz"))
    shutil.rmtree(folder)
    assert is_whole(fashion_mnist(full=True))


def test_an_incomplete_copy_is_completed(mirror: tuple[Path, Path]) -> None:
    _, home = mirror
    copy_to(home / "FashionMNIST" / "raw")
    (home / "FashionMNIST" / "raw" / IMAGES).unlink()
    assert is_whole(fashion_mnist(full=True))


@pytest.mark.parametrize("damage", damages)
def test_a_damaged_download_leaves_nothing(
    mirror: tuple[Path, Path], damage: Callable[[bytes], bytes]
) -> None:
    folder, home = mirror
    archive = folder / IMAGES
    archive.write_bytes(damage(archive.read_bytes()))
    with pytest.raises(FileNotFoundError, match=r"downloading it failed .*train-images.*; install"):
        fashion_mnist(full=True)
    assert files(home) == []


def test_offline_the_sentence_names_the_ways_out(mirror: tuple[Path, Path]) -> None:
    from torchvision.datasets import FashionMNIST

    FashionMNIST.mirrors[0] = "http://127.0.0.1:1/"  # nobody listens there
    _, home = mirror
    with pytest.raises(FileNotFoundError) as caught:
        fashion_mnist(full=True)
    sentence = str(caught.value)
    for part in (str(home), "refused", "dataset-fashion-mnist", "COMPANION_DATA", "four .gz"):
        assert part in sentence
    assert "\n" not in sentence
    assert files(home) == []


def test_a_full_disk_leaves_nothing(
    mirror: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    _, home = mirror
    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(FileNotFoundError, match="No space left on device"):
        fashion_mnist(full=True)
    assert files(home) == []


def test_a_file_where_the_folder_should_be_is_told(
    mirror: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = mirror
    monkeypatch.setenv("COMPANION_DATA", str(folder / IMAGES))
    with pytest.raises(FileNotFoundError, match=r"Not a directory|File exists"):
        fashion_mnist(full=True)
