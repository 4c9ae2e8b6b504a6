"""IDX and CSV: what MNIST and its relatives come in."""

import gzip
from pathlib import Path

import pytest
import torch

from companion.data import fashion_mnist, read_csv, read_idx
from companion.data.fashion import SAMPLE_FOLDER

IMAGES = torch.arange(6 * 12, dtype=torch.uint8).view(6, 1, 3, 4)
LABELS = torch.tensor([3, 1, 4, 1, 5, 9])


def test_idx_reads_the_files_of_fashion_mnist() -> None:
    test = fashion_mnist("test")
    assert torch.equal(read_idx(SAMPLE_FOLDER / "t10k-images-idx3-ubyte.gz"), test.images)
    labels = read_idx(SAMPLE_FOLDER / "t10k-labels-idx1-ubyte.gz")
    assert labels.dtype == torch.int64
    assert torch.equal(labels, test.labels)


def test_idx_agrees_with_torchvision(tmp_path: Path) -> None:
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    for kind, bytes_of_two in {0x0B: b"\x01\x00\xff\xfe", 0x0D: b"\x3f\x80\0\0\xc0\0\0\0"}.items():
        (tmp_path / "a").write_bytes(b"\0\0" + bytes([kind, 1]) + b"\0\0\0\x02" + bytes_of_two)
        ours, theirs = read_idx(tmp_path / "a"), read_sn3_pascalvincent_tensor(tmp_path / "a")
        assert ours.dtype == theirs.dtype
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("names", [False, True])
@pytest.mark.parametrize("labeled", [False, True])
def test_csv(tmp_path: Path, packed: bool, names: bool, labeled: bool) -> None:
    rows = [
        ",".join(map(str, ([label] if labeled else []) + image))
        for label, image in zip(LABELS.tolist(), IMAGES.flatten(1).tolist(), strict=True)
    ]
    if names:
        rows.insert(0, ",".join((["label"] if labeled else []) + [f"pixel{i}" for i in range(12)]))
    text = "\ufeff" + "\r\n".join(rows) + "\r\n\r\n"
    data = text.encode()
    (tmp_path / "a.csv").write_bytes(gzip.compress(data) if packed else data)
    images, labels = read_csv(tmp_path / "a.csv", (1, 3, 4))
    assert images.dtype == torch.uint8
    assert torch.equal(images, IMAGES)
    assert torch.equal(labels, LABELS) if labeled else labels is None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "must be an IDX file, .* got nothing; give one"),
        (b"\x89PNG", "must be an IDX file, .* got 89 50 4e 47; give"),
        (b"\0\0\x08\x03\0\0", "must be an IDX file"),
        (b"\0\0\x08\x01\0\0\0\x03ab", "must hold 3 bytes, got 2; download or copy it again"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\0", mtime=0)[:-9], "is damaged .*; download or copy"),
    ],
)
def test_what_is_no_idx_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_idx(tmp_path / "a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must have rows of 4 numbers .* got no rows; give image_shape"),
        ("a,b,c,d\n", "must have rows of 4 numbers .* got no rows"),
        ("1,2,3\n", "must have rows of 4 numbers for shape .* got 3 numbers in a row; give image_"),
        ("1,2,3,4\n1,2,3,4,5\n", "but the number of columns changed from 4 to 5 at row 2; remove"),
        ("1,2,3,4\n1,x,3,4\n", "below one line of names at most, but could not convert string 'x'"),
        ("0,0.5,1,1\n", "must be whole numbers from 0 to 255, got values from 0 to 1; multiply"),
        ("0,0,1,256\n", "got values from 0 to 256"),
        ("0,0,1,nan\n", "must be whole numbers from 0 to 255, got values from nan"),
    ],
)
def test_what_is_no_table_of_images_is_refused(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_csv(tmp_path / "a.csv", (1, 2, 2))


def test_a_missing_file(tmp_path: Path) -> None:
    for reader in (read_idx, read_csv):
        with pytest.raises(FileNotFoundError, match="there is no file .*; check the path"):
            reader(tmp_path / "a")
