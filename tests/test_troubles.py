"""Troubles that users of similar projects reported, where no other file has their test."""

import errno
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

from companion import cli, evaluation, experiments, models, plots, train, zoo
from companion.data import make_sample
from companion.files import (
    CheckpointError,
    load_tensors,
    save_images,
    save_model,
    save_tensors,
    write_files,
)
from companion.likelihoods import binarize, check_binary
from companion.zoo import cards

IMAGES = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0))
GARMENTS = torch.rand(40, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(40) % 10


def vae(**options: Any) -> models.VAE:
    return models.VAE(**{"latent_dim": 3, "width": 4, "image_shape": (1, 8, 8)} | options)


def run(model: Any, *data: Any, **options: Any) -> Any:
    settings = {"epochs": 1, "batch_size": 8, "device": "cpu", "progress": False} | options
    return train(model, *(data or (IMAGES,)), **settings)


# ---- A disk that is full, for every file that is written -----------------------------------------

CARD: Any = zoo.card("gan")
WRITERS: dict[str, Callable[[Path], object]] = {
    "tensors": lambda path: save_tensors(path, {"x": torch.zeros(3)}),
    "a model": lambda path: save_model(path, vae()),
    "a sheet": lambda path: save_images(path, IMAGES),
    "a card": lambda path: write_files({path: cards.pack_card(CARD)}),
    "an animation": lambda path: plots.animation([IMAGES]).save(path),
    "a result": lambda path: experiments._write(path, experiments.load("gan_losses")),
    "the data": lambda path: make_sample.write_file(path, b"idx"),
    "a picture of the command line": lambda path: cli.models.sample("gan", n=1, out=path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_file_is_whole_or_as_before(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file.png"
    path.write_bytes(b"before")

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(CheckpointError, match="No space left .* untouched; free some space"):
            WRITERS[name](path)
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    WRITERS[name](path)
    assert path.read_bytes() != b"before"


def test_nothing_else_in_the_package_writes_files() -> None:
    """A file that is opened for writing elsewhere could be left cut."""
    package = Path(cli.__file__).parents[1]
    # The grader's two halves write into a temporary folder that is thrown away.
    writers = {Path("files.py"), Path("homework/child.py"), Path("homework/isolation.py")}
    for path in sorted(package.rglob("*.py")):
        if path.relative_to(package) not in writers:
            text = path.read_text(encoding="utf-8")
            for call in ("write_text(", "write_bytes(", 'open(path, "w', "torch.save("):
                assert call not in text, f"{path.name}: {call}"


# ---- Ends from outside ---------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_command_that_is_ended_leaves_a_checkpoint_and_says_so(name: str, tmp_path: Path) -> None:
    command = (
        "import os, signal, sys; from companion import cli, training\n"
        f"signal.signal(signal.{name}, signal.SIG_DFL)\n"
        "real = training.train\n"
        "def train(model, images, **options):\n"
        f"    options['on_record'] = lambda *_: os.kill(os.getpid(), signal.{name})\n"
        "    return real(model, images, **options)\n"
        "training.train = train\n"
        "sys.argv = 'companion train gan --sample-data --device cpu --out mine'.split()\n"
        "cli.main()\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", command], cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 128 + getattr(signal, name), result.stderr
    assert "stopped; the same command resumes it from mine" in result.stderr
    assert "Traceback" not in result.stderr
    assert load_tensors(tmp_path / "mine/checkpoint.safetensors")[1]["step"] == 10


@pytest.mark.slow
@pytest.mark.parametrize("closed", ["None", "open(os.devnull, 'w'); sys.stderr.close()"])
def test_without_a_standard_error(closed: str, tmp_path: Path) -> None:
    """No bar, and no word of the resumption: neither would be seen."""
    code = (
        "import os, sys, torch\nfrom companion import train\nfrom companion.models import VAE\n"
        f"sys.stderr = {closed}\n"
        "for epochs in (1, 2):\n"
        "    torch.manual_seed(0)\n"
        "    train(VAE(latent_dim=3, width=4, image_shape=(1, 8, 8)), torch.full((8, 1, 8, 8), .5),"
        f" epochs=epochs, batch_size=8, device='cpu', run_dir={str(tmp_path)!r})\n"
        "print('done')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "done\n"), result.stderr


def test_an_experiment_finds_out_at_the_start_that_it_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[float] = []
    tiny = SimpleNamespace(SETTINGS=[{"beta": 1.0}], measure=lambda beta: measured.append(beta))
    monkeypatch.setattr(experiments, "_module", lambda name: tiny)
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="could not save .*choose another folder"):
        experiments.run("tiny", tmp_path / "file" / "result.json", progress=False)
    assert not measured


# ---- What is given by mistake --------------------------------------------------------------------

MISTAKES: dict[str, tuple[Callable[[], object], str]] = {
    "a loader": (
        lambda: run(vae(), torch.utils.data.TensorDataset(IMAGES)),
        r"got TensorDataset; .*torch.stack\(\[row\[0\] for row in dataset\]\)",
    ),
    "labels in a list": (
        lambda: run(models.Classifier(width=2), GARMENTS, LABELS.tolist()),
        r"got list; use torch.tensor\(values\)",
    ),
    "one label": (
        lambda: run(models.Classifier(width=2), GARMENTS, torch.tensor(3)),
        r"a row for each image, got one of shape \(\)",
    ),
    "a sparse tensor": (lambda: run(vae(), IMAGES.to_sparse()), r"sparse_coo; use .*to_dense\(\)"),
    "levels in rows": (
        lambda: run(models.VAE(), torch.zeros(8, 785).byte()),
        r"images\[:, 1:\].reshape\(-1, 1, 28, 28\)",
    ),
    "a number for a folder": (lambda: run(vae(), run_dir=3), r"run_dir must be .* got 3; use"),
    "frames without channels": (
        lambda: run(models.ConvLSTM(hidden_size=4), torch.zeros(8, 20, 32, 32).byte()),
        r"frames must have shape .*got \(8, 20, 32, 32\); .*\[:, :, None\]",
    ),
    "a part of one image": (
        lambda: run(models.Classifier(width=2), GARMENTS, LABELS, accumulate=8),
        "a larger batch_size, or a smaller accumulate",
    ),
    "a model of other pictures": (
        lambda: evaluation.evaluate(models.VAE(image_shape=(3, 32, 32)), images=100),
        r"\(1, 28, 28\), got a model of \(3, 32, 32\); give test images of your own: evaluate",
    ),
    "a seed in words": (lambda: evaluation.evaluate(zoo.load("gan"), seed="a"), "seed must be"),  # type: ignore[arg-type]
    "a seed too long": (lambda: cli.models.sample("gan", seed=10**20), "seed must be from 0 to"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_sentence(name: str) -> None:
    wrong, sentence = MISTAKES[name]
    with pytest.raises((TypeError, ValueError), match=sentence) as caught:
        wrong()
    assert "\n" not in str(caught.value)


def test_what_those_sentences_advise_works() -> None:
    dataset = torch.utils.data.TensorDataset(IMAGES, LABELS)
    run(vae(), torch.stack([row[0] for row in dataset]))
    run(models.Classifier(width=2), GARMENTS, torch.tensor(LABELS.tolist()))
    run(vae(), IMAGES.to_sparse().to_dense())
    run(models.VAE(width=2), torch.zeros(8, 785).byte()[:, 1:].reshape(-1, 1, 28, 28))
    run(models.ConvLSTM(hidden_size=4), torch.zeros(8, 20, 32, 32).byte()[:, :, None])
    run(models.Classifier(width=2), GARMENTS, LABELS, accumulate=4)


def test_a_model_made_in_inference_mode_is_refused() -> None:
    with torch.inference_mode():
        model = vae()
        with pytest.raises(ValueError, match="inference_mode.*; make the model outside of it"):
            run(model)
        images = IMAGES.clone()
    run(vae(), images)  # images may come from there


@pytest.mark.parametrize("value", [1.0000002, 1.0009, -0.0009])
def test_black_and_white_has_the_tolerance_of_gray(value: float) -> None:
    images = binarize(GARMENTS[:2])
    images[0, 0, 0, 0] = value
    for model in (models.IWAE(k=1, hidden_size=4), models.DRAW(hidden_size=4, steps=2)):
        assert bool(model.log_prob_bound(images).isfinite().all())


@pytest.mark.parametrize("value", [0.998, 0.004, 0.5, 2.0, -1.0, math.nan])
def test_gray_is_not_black_and_white(value: float) -> None:
    with pytest.raises(ValueError, match="must be black and white"):
        check_binary(torch.tensor([0.0, value, 1.0]))


def test_a_foreign_file_in_the_folder_is_named_as_such(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(2)}, path)
    before = path.read_bytes()
    with pytest.raises(CheckpointError, match="not written by companion: .* choose another"):
        run(vae(), run_dir=tmp_path)
    assert path.read_bytes() == before


def test_a_figure_says_how_it_is_seen(tmp_path: Path) -> None:
    figure = run(vae()).plot()
    with pytest.raises(RuntimeError, match="last line of a notebook's cell, or .* figure.savefig"):
        figure.show()
    figure.savefig(tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_a_game_without_a_move_of_the_generator_is_refused() -> None:
    for kind in (models.WGAN, models.WGANGP):
        model = kind(latent_dim=3, hidden_size=8, image_shape=(1, 8, 8))
        with pytest.raises(ValueError, match="on every 5th batch, but there are only 2 in all"):
            run(model, batch_size=16)
        run(model, batch_size=8)


def test_a_seed_that_is_refused_at_the_command_line() -> None:
    for command in (["sample", "gan"], ["train", "gan", "--sample-data"]):
        for seed in ("-1", str(10**20)):
            result = CliRunner().invoke(cli.app, [*command, "--seed", seed])
            assert isinstance(result.exception, ValueError), (command, seed)
            assert "seed must be from 0 to" in str(result.exception)
