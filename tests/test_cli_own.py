"""companion train --data: a folder, a table or an IDX file in place of Fashion-MNIST."""

import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from companion import cli, models, zoo
from companion.zoo import recipes

RECIPES = {
    "vae": "VAE\nlatent_dim = 2\nwidth = 2\ncomponents = 1",
    "classifier": "Classifier\nwidth = 2",
    "conv_lstm": "ConvLSTM\nhidden_size = 2",
}
LABELED = {"classifier"}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small recipes, and a folder of twelve pictures in three classes and one that is none."""
    (tmp_path / "recipes").mkdir()
    for name, text in RECIPES.items():
        kind, _, arguments = text.partition("\n")
        (tmp_path / f"recipes/{name}.toml").write_text(
            f'constructor = "companion.models.{name}:{kind}"\nintended_use = "a test"\n'
            f'limits = "all"\nlabels = {str(name in LABELED).lower()}\n'
            f"[arguments]\n{arguments}\n[training]\nepochs = 1\nbatch_size = 50\nseed = 0\n"
        )
    monkeypatch.setattr(recipes, "FOLDER", tmp_path / "recipes")
    monkeypatch.chdir(tmp_path)
    for i in range(12):
        file = tmp_path / "photos" / "abc"[i % 3] / f"{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + i, 30), (20 * i, 0, 99)).save(file)
    (tmp_path / "photos" / "a" / "none.png").touch()
    return tmp_path / "photos"


def invoke(*words: Any) -> Any:
    return CliRunner().invoke(cli.app, [str(word) for word in words])


def test_a_folder_of_color_pictures_is_learned_and_the_run_is_complete(photos: Path) -> None:
    words = ("train", "vae", "--data", "photos", "--size", 16, "--device", "cpu", "--out", "mine")
    result = invoke(*words)
    assert result.exit_code == 0, result.output
    assert "12 of 13 files in photos were read" in result.stderr
    assert "Skipped: a/none.png (empty)" in result.stderr
    model, card = zoo.read_run("mine")
    assert model.sample(2).shape == (2, 3, 16, 16)
    assert card.data == "photos, 12 images (3, 16, 16)"
    assert card.command == "companion train vae --data photos --size 16 --channels 3"
    assert "Fashion" not in str(card)
    assert invoke("sample", "mine", "--n", 2, "--out", "sheet.png").exit_code == 0
    assert Image.open("sheet.png").mode == "RGB"
    result = invoke("evaluate", "mine")
    assert "give test images of your own: evaluate(model, images=test)" in str(result.exception)


def test_subfolders_are_the_classes_of_a_classifier(photos: Path) -> None:
    words = ("train", "classifier", "--data", "photos", "--channels", 1, "--quiet")
    result = invoke(*words, "--device", "cpu", "--out", "mine")
    assert (result.exit_code, result.stderr) == (0, ""), result.output
    model, card = zoo.read_run("mine")
    assert (model.num_classes, model.image_shape) == (3, (1, 32, 32))
    assert card.arguments["num_classes"] == 3


def test_a_table_and_an_idx_file(photos: Path) -> None:
    levels = torch.arange(3 * 64, dtype=torch.uint8).view(3, 64)
    Path("a.csv").write_text("\n".join(",".join(map(str, row)) for row in levels.tolist()))
    Path("a-idx3").write_bytes(
        b"\0\0\x08\x03" + struct.pack(">3I", 3, 8, 8) + levels.numpy().tobytes()
    )
    for file in ("a.csv", "a-idx3"):
        words = ("train", "vae", "--data", file, "--size", 8, "--channels", 1, "--out", file + ".d")
        result = invoke(*words, "--device", "cpu", "--quiet")
        assert result.exit_code == 0, result.output
    ours, theirs = (zoo.read_run(name)[0].state_dict() for name in ("a.csv.d", "a-idx3.d"))
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_weights_beyond_the_limit_of_the_zoo_are_kept_whole(photos: Path) -> None:
    torch.manual_seed(0)
    model = models.VAE(latent_dim=2, width=2, components=1)
    facts = {"data": "", "command": "", "seed": 0, "epochs": 1, "license": "mine"}
    with pytest.raises(ValueError, match="at most 100 are allowed"):
        zoo.save(model, "vae", "small", 1.0, most_bytes=100, **facts)
    assert not Path("small").exists()
    card = zoo.save(model, "vae", "whole", 1.0, most_bytes=None, **facts)
    assert card.license == "mine"
    weights = zoo.read_run("whole")[0].state_dict()
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.state_dict().items())


MISTAKES = {
    "no folder": (("vae", "--data", "fotos"), "the folder fotos was not found; give the folder"),
    "no labels": (
        ("classifier", "--data", "photos/a"),
        "classifier learns from labels, and a has none; put the pictures of each class into",
    ),
    "a model of one shape": (
        ("conv_lstm", "--data", "photos"),
        "conv_lstm takes gray images of 28 x 28 pixels, got (3, 32, 32); use --size 28",
    ),
    "a size": (("vae", "--data", "photos", "--size", 30), "multiples of 4"),
    "channels": (("vae", "--data", "photos", "--channels", 2), "channels must be one of 1, 3"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_sentence_and_leaves_nothing(photos: Path, name: str) -> None:
    words, said = MISTAKES[name]
    result = invoke("train", *words, "--quiet")
    assert said in str(result.exception)
    assert not Path("runs").exists()


def test_what_the_sentence_about_the_shape_advises_works(photos: Path) -> None:
    words = ("train", "conv_lstm", "--data", "photos", "--size", 28, "--channels", 1, "--quiet")
    result = invoke(*words, "--device", "cpu", "--out", "mine")
    assert result.exit_code == 0, result.output
