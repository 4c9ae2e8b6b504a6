"""Bad input of every kind gets one clear sentence: what was given, expected, and what to do.

Each row of the table is a mistake, the error it must raise, and three pieces of its sentence.
Nothing may be lost either: what lay on the disk before a failed write must still load.
"""

import errno
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from companion import zoo
from companion.data import (
    batches,
    check_labels,
    fashion,
    fashion_mnist,
    moving_fashion,
    to_float,
)
from companion.evaluation import class_shares, image_features
from companion.files import CheckpointError, load_tensors, save_tensors
from companion.likelihoods import bits_per_dimension
from companion.metrics import (
    frechet_distance,
    png_bits_per_dimension,
    webp_bits_per_dimension,
)
from companion.models import DCGAN, DRAW, VAE, PixelRNN, RowRNN, SequenceModel
from companion.models.classifier import Classifier
from companion.models.gated_rnn import set_forget_bias
from companion.training import train

IMAGES = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LEVELS = (IMAGES * 255).to(torch.uint8)
FEATURES = torch.randn(700, 64, generator=torch.Generator().manual_seed(0))


@dataclass
class Case:
    """A mistake, and what its error says was given, was expected, and is to be done."""

    name: str
    call: Callable[[], object]
    error: type[Exception]
    given: str
    expected: str
    remedy: str


def takers() -> dict[str, Callable[[torch.Tensor], object]]:
    """Every public function that takes images of 28x28 gray pixels."""
    return {
        "VAE.encode": VAE(width=2).encode,
        "VAE.log_prob_bound": VAE(width=2).log_prob_bound,
        "DCGAN.discriminate": DCGAN(width=2).discriminate,
        "RowRNN.log_prob": RowRNN(hidden_size=2).log_prob,
        "PixelRNN.log_prob": PixelRNN(hidden_size=2).log_prob,
        "DRAW.glimpses": DRAW(hidden_size=2).glimpses,
        "moving_fashion": moving_fashion,
        "Classifier": Classifier(width=2),
        "image_features": image_features,
        "class_shares": class_shares,
    }


def image_cases() -> Iterator[Case]:
    for name, take in takers().items():
        bad: list[tuple[str, Any, type[Exception], str, str]] = [
            ("dtype", LEVELS, TypeError, "got uint8", "to_float"),
            ("range", IMAGES * 255, ValueError, "values from .* to 25", "images / 255"),
            ("negative", 2 * IMAGES - 1, ValueError, "values from -", r"\(images \+ 1\) / 2"),
            ("nan", IMAGES / 0 * 0, ValueError, "NaN", "find the step"),
            ("channels", IMAGES.expand(4, 3, 28, 28), ValueError, r"got \(4, 3, 28, 28\)", "gray"),
            ("dimensions", IMAGES[:, 0], ValueError, r"got \(4, 28, 28\)", "add a channel"),
            ("size", torch.rand(4, 1, 32, 32), ValueError, r"got \(4, 1, 32, 32\)", "pad or crop"),
            ("array", IMAGES.numpy(), TypeError, "got ndarray", "torch.as_tensor"),
        ]
        for kind, images, error, given, remedy in bad:
            expected = r"\(N, 1, 28, 28\)" if "got (" in given.replace("\\", "") else r"\[0, 1\]"
            call = lambda take=take, images=images: take(images)  # noqa: E731
            yield Case(f"{name}: {kind}", call, error, given, expected, remedy)


def classify(labels: torch.Tensor) -> object:
    return Classifier(width=2).loss(IMAGES, labels)


OTHER_CASES = [
    Case(
        "labels out of range",
        lambda: classify(torch.tensor([0, 1, 2, 10])),
        ValueError,
        "got 0 to 10",
        "0 to 9",
        "count classes from 0",
    ),
    Case(
        "labels below zero",
        lambda: check_labels(torch.tensor([-1, 3]), 10),
        ValueError,
        "got -1 to 3",
        "0 to 9",
        "count classes from 0",
    ),
    Case(
        "labels one-hot",
        lambda: classify(torch.eye(10)[:4].long()),
        ValueError,
        r"got \(4, 10\)",
        r"\(N,\)",
        "argmax",
    ),
    Case(
        "labels as floats",
        lambda: classify(torch.ones(4)),
        TypeError,
        "got float32",
        "int64",
        r"\.long\(\)",
    ),
    Case(
        "floats divided again",
        lambda: to_float(IMAGES),
        TypeError,
        "got float32",
        "uint8",
        "leave images",
    ),
    Case(
        "unknown split",
        lambda: fashion_mnist("validation"),
        ValueError,
        "'validation'",
        '"train" or "test"',
        "choose one",
    ),
    Case(
        "labels of another length",
        lambda: batches(IMAGES, torch.arange(3), batch_size=2, seed=0, epoch=0),
        ValueError,
        r"got \[4, 3\]",
        "one length",
        "each image its label",
    ),
    Case(
        "batch larger than the data",
        lambda: batches(IMAGES, batch_size=5, seed=0, epoch=0),
        ValueError,
        "got 5",
        "at most 4",
        "smaller batch_size",
    ),
    Case(
        "unknown model",
        lambda: zoo.load("dgcan"),
        ValueError,
        "'dgcan'",
        "expected one of .*dcgan",
        "did you mean 'dcgan'",
    ),
    Case(
        "unknown card",
        lambda: zoo.card("pix2pix"),
        ValueError,
        "'pix2pix'",
        "expected one of .*dcgan",
        "choose one",
    ),
    Case(
        "unknown recipe",
        lambda: zoo.recipe("rows"),
        ValueError,
        "'rows'",
        "expected one of .*row_rnn",
        "choose one|did you mean",
    ),
    Case(
        "features of images",
        lambda: frechet_distance(IMAGES, FEATURES),
        ValueError,
        r"got \(4, 1, 28, 28\)",
        r"\(N, D\)",
        "image_features",
    ),
    Case(
        "features as an array",
        lambda: frechet_distance(FEATURES, FEATURES.numpy()),  # type: ignore[arg-type]
        TypeError,
        "got ndarray",
        "tensor",
        "torch.as_tensor",
    ),
    Case(
        "too few features",
        lambda: frechet_distance(FEATURES, FEATURES[:64]),
        ValueError,
        "64 samples of 64",
        "more samples than dimensions",
        "at least 640",
    ),
    Case(
        "features of two networks",
        lambda: frechet_distance(FEATURES, FEATURES[:, :32]),
        ValueError,
        "got 64 and 32",
        "same number of dimensions",
        "same feature network",
    ),
    Case(
        "features not finite",
        lambda: frechet_distance(FEATURES, FEATURES / 0),
        ValueError,
        "got NaN or infinity",
        "finite",
        "check the images",
    ),
    Case(
        "a sheet larger than the images",
        lambda: png_bits_per_dimension(IMAGES, tile=3),
        ValueError,
        "got 4",
        "3 x 3",
        "smaller tile",
    ),
    Case(
        "levels in place of images",
        lambda: webp_bits_per_dimension(LEVELS),
        TypeError,
        "got uint8",
        r"\[0, 1\]",
        "to_float",
    ),
    Case(
        "no dimensions",
        lambda: bits_per_dimension(torch.zeros(1), 0),
        ValueError,
        "got 0",
        "number of pixel values",
        "",
    ),
    Case(
        "a model without players",
        lambda: train(torch.nn.Linear(1, 1), IMAGES, epochs=1, batch_size=2),
        TypeError,
        "Linear",
        "players",
        "give it a method",
    ),
    Case(
        "images in [-1, 1] to train on",
        lambda: train(VAE(width=2), 2 * IMAGES - 1, epochs=1, batch_size=2),
        ValueError,
        "values from -",
        r"\[0, 1\]",
        r"\(images \+ 1\) / 2",
    ),
    Case(
        "sequences of another width",
        lambda: SequenceModel(input_size=2).loss(IMAGES, FEATURES[:4, 0]),
        ValueError,
        r"got \(4, 1, 28, 28\)",
        r"\(N, 1, T, 2\)",
        "input_size=28",
    ),
    Case(
        "a symbol for each sequence",
        lambda: SequenceModel(input_size=28).loss(IMAGES, torch.arange(4)),
        ValueError,
        r"got int64 of \(4,\)",
        r"int64 of shape \(4, 28\)",
        "one for each step",
    ),
    Case(
        "a forget gate where there is none",
        lambda: set_forget_bias(torch.nn.GRU(2, 3), 1.0),  # type: ignore[arg-type]
        TypeError,
        "got GRU",
        "only an LSTM",
        "use set_forget_bias",
    ),
    Case(
        "an unknown device",
        lambda: train(VAE(width=2), IMAGES, epochs=1, batch_size=2, device="tpu9"),
        ValueError,
        "'tpu9'",
        "'cpu', 'cuda'",
        "",
    ),
    Case(
        "an unknown precision",
        lambda: train(VAE(width=2), IMAGES, epochs=1, batch_size=2, precision="int8"),
        ValueError,
        "'int8'",
        "'float32'",
        "",
    ),
    Case(
        "fp16 on a CPU",
        lambda: train(VAE(width=2), IMAGES, epochs=1, batch_size=2, device="cpu", precision="fp16"),
        ValueError,
        "'fp16'",
        "GPU",
        "use 'float32'",
    ),
]


@pytest.mark.parametrize("case", [*image_cases(), *OTHER_CASES], ids=lambda case: case.name)
def test_a_mistake_gets_one_clear_sentence(case: Case) -> None:
    with pytest.raises(case.error) as caught:
        case.call()
    check_sentence(caught.value, case.given, case.expected, case.remedy)


def check_sentence(error: Exception, *pieces: str) -> None:
    sentence = str(error)
    assert "\n" not in sentence
    assert len(sentence) < 400, sentence
    for piece in pieces:
        assert re.search(piece, sentence), f"{piece!r} is not in {sentence!r}"


# ---- Damaged files ------------------------------------------------------------------------------


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


DAMAGES = pytest.mark.parametrize("damage", [truncate, flip_a_bit, empty])


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The classifier's weights in a zoo of the test's own."""
    for kind in ("json", "safetensors"):
        shutil.copy(zoo.FOLDER / f"classifier.{kind}", tmp_path)
    monkeypatch.setattr(zoo, "FOLDER", tmp_path)
    return tmp_path / "classifier.safetensors"


@DAMAGES
def test_damaged_weights(weights: Path, damage: Callable[[Path], None]) -> None:
    damage(weights)
    with pytest.raises(ValueError, match="damaged") as caught:
        zoo.load("classifier")
    check_sentence(caught.value, "SHA-256 starts with", "expected [0-9a-f]{8}", "restore the file")


def test_missing_weights(weights: Path) -> None:
    weights.unlink()
    with pytest.raises(FileNotFoundError) as caught:
        zoo.load("classifier")
    check_sentence(caught.value, "is missing", "restore the file", "companion train classifier")


def test_weights_of_another_model(weights: Path) -> None:
    card = weights.with_suffix(".json")
    card.write_text(card.read_text().replace('"width": 32', '"width": 16'))
    with pytest.raises(ValueError, match="does not fit its card") as caught:
        zoo.load("classifier")
    assert "\n" not in str(caught.value)
    assert "restore the file" in str(caught.value)


def test_a_damaged_card(weights: Path) -> None:
    truncate(weights.with_suffix(".json"))
    with pytest.raises(ValueError, match="not a card") as caught:
        zoo.load("classifier")
    check_sentence(caught.value, r"classifier\.json", "not a card of the zoo", "restore it")


@DAMAGES
def test_damaged_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path], None]
) -> None:
    sample = tmp_path / "sample"
    shutil.copytree(fashion.SAMPLE_FOLDER, sample)
    monkeypatch.setattr(fashion, "SAMPLE_FOLDER", sample)
    damage(sample / "t10k-images-idx3-ubyte.gz")
    fashion_mnist("train")  # the other files are sound
    with pytest.raises(RuntimeError) as caught:
        fashion_mnist("test")
    check_sentence(caught.value, "t10k-images.* is (damaged|altered)", "install .* anew")


def small_run(folder: Path, epochs: int = 1, **options: Any) -> VAE:
    torch.manual_seed(0)
    model = VAE(latent_dim=2, width=2, components=1)
    settings: dict[str, Any] = {"batch_size": 2, "device": "cpu", "progress": False} | options
    train(model, IMAGES, epochs=epochs, run_dir=folder, **settings)
    return model


@DAMAGES
def test_a_damaged_checkpoint(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    small_run(tmp_path)
    checkpoint = tmp_path / "checkpoint.safetensors"
    damage(checkpoint)
    damaged = checkpoint.read_bytes()
    with pytest.raises(CheckpointError) as caught:
        small_run(tmp_path, epochs=2)
    check_sentence(caught.value, "checkpoint", "damaged|checksum", "delete it and train again")
    assert checkpoint.read_bytes() == damaged  # nothing was written over it


def test_a_checkpoint_of_another_run(tmp_path: Path) -> None:
    small_run(tmp_path)
    with pytest.raises(CheckpointError) as caught:
        small_run(tmp_path, epochs=2, seed=1)
    check_sentence(
        caught.value, "seed was 0, now 1", "another run", "same data, model and settings"
    )


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError) as caught:
        load_tensors(tmp_path / "none.safetensors")
    check_sentence(caught.value, "no file .*none", "check the path")


# ---- A full disk --------------------------------------------------------------------------------


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to write more than `size` bytes into a file: a disk that fills up."""
    resource: Any = pytest.importorskip("resource", reason="Windows has no such limits")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_keeps_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"x": torch.arange(3.0)})
    with files_of_at_most(2000), pytest.raises(CheckpointError) as caught:
        save_tensors(path, {"x": torch.arange(10_000.0)})
    check_sentence(caught.value, "could not save", "too large", "untouched", "free some space")
    assert torch.equal(load_tensors(path)[0]["x"], torch.arange(3.0))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # no half of a file is left


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_at_the_last_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, "the disk says no")

    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"x": torch.arange(3.0)})
    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(CheckpointError) as caught:
        save_tensors(path, {"x": torch.zeros(3)})
    check_sentence(caught.value, "could not save", "the disk says no", "free some space")
    assert torch.equal(load_tensors(path)[0]["x"], torch.arange(3.0))


def test_a_run_on_a_full_disk_can_be_resumed(tmp_path: Path) -> None:
    whole = small_run(tmp_path / "whole", epochs=3)
    run = tmp_path / "run"
    small_run(run, epochs=1)
    with files_of_at_most(2000), pytest.raises(CheckpointError, match="free some space"):
        small_run(run, epochs=3)
    resumed = small_run(run, epochs=3)  # once there is space again
    for key, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key


def test_weights_of_the_zoo_on_a_full_disk(tmp_path: Path) -> None:
    torch.manual_seed(0)
    facts: dict[str, Any] = {"data": "", "command": "", "seed": 0, "epochs": 1}
    first = zoo.save(zoo.recipe("classifier").build(), "classifier", tmp_path, 1, **facts)
    with files_of_at_most(2000), pytest.raises(CheckpointError, match="free some space"):
        zoo.save(zoo.recipe("classifier").build(), "classifier", tmp_path, 1, **facts)
    assert zoo.read_run(tmp_path)[1] == first
