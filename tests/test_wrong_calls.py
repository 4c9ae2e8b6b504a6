"""Calls as they are mistyped: one sentence says what was given, what was expected, what to do.

The calls are those that a user tried. Each row has the call, words that its sentence must hold,
and, where the remedy is code, the call that follows it: that one must work.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

import companion
from companion import data, evaluation, experiments, likelihoods, metrics, models, plots, train, zoo
from companion.game import Player
from companion.models.gan import discriminator_loss
from companion.models.vae import gaussian_kl
from companion.notebook import expect, seed

IMAGES = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
LEVELS = (IMAGES * 255).to(torch.uint8)
LABELS = torch.arange(64) % 10
MU, LOGVAR = torch.zeros(2, 3), torch.zeros(2, 3)


def vae() -> Any:
    return models.VAE(latent_dim=4, width=2, components=2)


def gan() -> Any:
    return models.DCGAN(latent_dim=4, width=2)


def rows() -> Any:
    return models.RowRNN(hidden_size=4, features=3)


def run(model: Any, *tensors: Any, **options: Any) -> Any:
    settings = {"epochs": 1, "batch_size": 32, "device": "cpu", "progress": False} | options
    return train(model, *tensors, **settings)


class Call(NamedTuple):
    """A wrong call, what its sentence must say (regular expressions), and the call mended."""

    name: str
    wrong: Callable[[], object]
    says: tuple[str, ...]
    mended: Callable[[], object] | None = None


CALLS = [
    # images
    Call("uint8", lambda: vae().elbo(LEVELS), ("got uint8 up to", "to_float"),
         lambda: vae().elbo(data.to_float(LEVELS))),
    Call("0 to 255", lambda: vae().elbo(LEVELS.float()), ("from 0 to 25", "images / 255"),
         lambda: vae().elbo(LEVELS.float() / 255)),
    Call("-1 to 1", lambda: vae().elbo(2 * IMAGES - 1), ("from -", r"\(images \+ 1\) / 2"),
         lambda: vae().elbo((2 * IMAGES - 1 + 1) / 2)),
    Call("normalized", lambda: vae().elbo((IMAGES - 0.3) / 0.3), ("values from", "clamp"),
         lambda: vae().elbo(((IMAGES - 0.3) / 0.3).clamp(0, 1))),
    Call("no batch", lambda: vae().reconstruct(IMAGES[0]), (r"\(1, 28, 28\)", r"images\[None\]"),
         lambda: vae().reconstruct(IMAGES[0][None])),
    Call("no channel", lambda: vae().reconstruct(IMAGES[:, 0]), (r"\(64, 28, 28\)", "channel"),
         lambda: vae().reconstruct(IMAGES[:, 0][:, None])),
    Call("rows", lambda: vae().reconstruct(IMAGES.flatten(1)), (r"\(64, 784\)", "view"),
         lambda: vae().reconstruct(IMAGES.flatten(1).view(-1, 1, 28, 28))),
    Call("rows to train", lambda: run(vae(), IMAGES.flatten(1)), (r"\(64, 784\)", "view"),
         lambda: run(vae(), IMAGES.flatten(1).view(-1, 1, 28, 28))),
    Call("rows of a CSV", lambda: vae().reconstruct(torch.rand(4, 785)), (r"\(4, 785\)", "785|784")),
    Call("an array", lambda: vae().reconstruct(IMAGES.numpy()), ("ndarray", "torch.(as_|from_num)"),
         lambda: vae().reconstruct(torch.as_tensor(IMAGES.numpy()))),
    Call("a list of tensors", lambda: vae().reconstruct([*IMAGES]), ("list", "torch.stack"),
         lambda: vae().reconstruct(torch.stack([*IMAGES]))),
    Call("32 x 32", lambda: vae().reconstruct(torch.rand(4, 1, 32, 32)),
         (r"\(4, 1, 32, 32\)", "pad or crop"), lambda: models.VAE(
             width=2, image_shape=(1, 32, 32)).reconstruct(torch.rand(4, 1, 32, 32))),
    Call("no images", lambda: vae().reconstruct(IMAGES[:0]), (r"\(0, 1, 28, 28\)", "slice")),
    Call("NaN", lambda: vae().reconstruct(IMAGES * float("nan")), ("NaN", "divides by zero")),
    # codes and noise
    Call("codes of another length", lambda: vae().decode(torch.zeros(4, 7)),
         (r"\(N, 4\), got \(4, 7\)", "torch.randn"), lambda: vae().decode(torch.randn(4, 4))),
    Call("one code", lambda: vae().decode(torch.zeros(4)), (r"got \(4,\)", "torch.randn")),
    Call("pictures for noise", lambda: gan().generate(IMAGES), (r"got \(64, 1, 28, 28\)", "randn")),
    Call("noise for pictures", lambda: gan().discriminate(torch.randn(4, 64)),
         (r"got \(4, 64\)", "generate|sample|images")),
    # drawing
    Call("sample(-3)", lambda: vae().sample(-3), ("n must be", "got -3")),
    Call('sample("16")', lambda: vae().sample("16"), ("n must be a whole number", "'16'")),
    Call("sample(2.5)", lambda: vae().sample(2.5), ("n must be a whole number", "2.5")),
    Call("sample of a shape", lambda: vae().sample((4, 1, 28, 28)), ("whole number", r"\(4, 1")),
    Call("rng=0", lambda: gan().sample(4, rng=0), ("rng must be a torch.Generator, got 0", "seed"),
         lambda: gan().sample(4, rng=torch.Generator().manual_seed(0))),
    Call("seed=0", lambda: gan().sample(4, seed=0), ("no argument 'seed'", "rng")),
    Call("a seed by position", lambda: gan().sample(4, 0), ("takes", "rng")),
    Call("numpy's generator", lambda: gan().sample(4, rng=np.random.default_rng(0)),
         ("rng must be a torch.Generator, got Generator", "torch.Generator")),
    Call("temperature 0", lambda: rows().sample(2, temperature=0), ("temperature", "positive")),
    Call("temperature -1", lambda: rows().sample(2, temperature=-1), ("temperature", "positive")),
    Call("40 rows of 28", lambda: rows().complete(IMAGES, 40), ("known", "0", "28", "40")),
    Call("sample of the class", lambda: models.VAE.sample(4), ("takes|VAE()",)),
    # train
    Call("a class", lambda: run(models.VAE, IMAGES), ("got the class VAE", r"VAE\(\)"),
         lambda: run(models.VAE(width=2), IMAGES)),
    Call("a name", lambda: run("vae", IMAGES), ("got str", r"use train\(model")),
    Call("no epochs", lambda: train(vae(), IMAGES), ("epochs", "takes")),
    Call("swapped", lambda: run(IMAGES, vae()), ("Tensor|float32", r"train\(model, images")),
    Call("no data", lambda: run(vae()), ("takes|needs", r"train\(model, images")),
    Call("epochs=0", lambda: run(vae(), IMAGES, epochs=0), ("epochs must be at least 1, got 0",)),
    Call("epochs=-1", lambda: run(vae(), IMAGES, epochs=-1), ("at least 1, got -1", "use")),
    Call('epochs="5"', lambda: run(vae(), IMAGES, epochs="5"), ("whole number", "'5'", "use")),
    Call("epochs=1.5", lambda: run(vae(), IMAGES, epochs=1.5), ("whole number", "1.5", "use")),
    Call("epoch=1", lambda: train(vae(), IMAGES, epoch=1), ("did you mean 'epochs'",)),
    Call("lr", lambda: run(vae(), IMAGES, lr=1e-3), ("did you mean 'learning_rate'",),
         lambda: run(vae(), IMAGES, learning_rate=1e-3)),
    Call("learning_rate=0", lambda: run(vae(), IMAGES, learning_rate=0), ("positive, got 0",)),
    Call("batch_size=0", lambda: run(vae(), IMAGES, batch_size=0), ("at least 1, got 0", "choose|use")),
    Call('batch_size="64"', lambda: run(vae(), IMAGES, batch_size="64"), ("whole number", "'64'")),
    Call("batch_size=4.0", lambda: run(vae(), IMAGES, batch_size=4.0), ("whole number", "4.0")),
    Call("batch_size=1000", lambda: run(vae(), IMAGES, batch_size=1000),
         ("at most 64", "got 1000", "smaller batch_size"),
         lambda: run(vae(), IMAGES, batch_size=64)),
    Call("seed=-1", lambda: run(vae(), IMAGES, seed=-1), ("seed must be", "got -1", "seed=0")),
    Call("seed=None", lambda: run(vae(), IMAGES, seed=None), ("whole number", "None", "seed=0")),
    Call('device="gpu"', lambda: run(vae(), IMAGES, device="gpu"), ("'cuda'", "'gpu'", "auto")),
    Call("device=None", lambda: run(vae(), IMAGES, device=None), ("'auto'", "None")),
    Call('schedule="linear"', lambda: run(vae(), IMAGES, schedule="linear"),
         ("'constant', 'cosine'", "'linear'")),
    Call('precision="float16"', lambda: run(vae(), IMAGES, precision="float16"),
         ("'fp16'", "'float16'")),
    Call("on_epoch without arguments", lambda: run(vae(), IMAGES, on_epoch=lambda: 0),
         (r"called with \(epoch, model\)", "use on_epoch=lambda epoch, model"),
         lambda: run(vae(), IMAGES, on_epoch=lambda epoch, model: ...)),
    Call("on_epoch no function", lambda: run(vae(), IMAGES, on_epoch=3), ("function, got int",)),
    Call("on_record without arguments", lambda: run(vae(), IMAGES, on_record=lambda: 0),
         (r"called with \(step, losses\)", "lambda step, losses")),
    Call("a frozen model", lambda: run(vae().requires_grad_(False), IMAGES),
         ("frozen", r"requires_grad_\(\)"), lambda: run(vae().requires_grad_(), IMAGES)),
    Call("int64", lambda: run(vae(), LEVELS.long()), ("got int64 up to", r"images.float\(\)")),
    Call("levels as floats", lambda: run(vae(), LEVELS.float()), ("images / 255",),
         lambda: run(vae(), LEVELS.float() / 255)),
    Call("without channels", lambda: run(vae(), LEVELS[:, 0]), (r"\(64, 28, 28\)", "images"),
         lambda: run(vae(), LEVELS[:, 0][:, None])),
    Call("a pair", lambda: run(vae(), (IMAGES, LABELS)), ("got tuple", "unpack"),
         lambda: run(models.Classifier(width=2), IMAGES, LABELS)),
    Call("the data set", lambda: run(vae(), data.fashion_mnist()), ("LabeledImages", "unpack")),
    Call("an array to train", lambda: run(vae(), IMAGES.numpy()), ("ndarray", "from_numpy"),
         lambda: run(vae(), torch.from_numpy(IMAGES.numpy()))),
    Call("a list to train", lambda: run(vae(), [*IMAGES]), ("got list", "torch.stack"),
         lambda: run(vae(), torch.stack([*IMAGES]))),
    Call("a loader", lambda: run(vae(), torch.utils.data.DataLoader(IMAGES)),  # type: ignore[arg-type]
         ("DataLoader", "torch.stack")),
    Call("a folder's name", lambda: run(vae(), "pictures"), ("got str", "tensor")),
    Call("labels to a VAE", lambda: run(vae(), IMAGES, LABELS),
         (r"takes \(images\), got 2", r"train\(model, images"), lambda: run(vae(), IMAGES)),
    Call("no labels", lambda: run(models.Classifier(width=2), IMAGES),
         (r"takes \(images, labels\), got 1", r"train\(model, images, labels"),
         lambda: run(models.Classifier(width=2), IMAGES, LABELS)),
    Call("one-hot labels", lambda: run(models.Classifier(width=2), IMAGES, torch.eye(64, 10).long()),
         (r"\(N,\), got", r"argmax\(1\)"),
         lambda: run(models.Classifier(width=2), IMAGES, torch.eye(64, 10).long().argmax(1))),
    Call("float labels", lambda: run(models.Classifier(width=2), IMAGES, LABELS.float()),
         ("got float32", r"\.long\(\)"),
         lambda: run(models.Classifier(width=2), IMAGES, LABELS.float().long())),
    Call("labels 1 to 10", lambda: run(models.Classifier(width=2), IMAGES, LABELS + 1),
         ("0 to 9, got 1 to 10", "from 0"),
         lambda: run(models.Classifier(width=2), IMAGES, LABELS + 1 - 1)),
    Call("fewer labels than images", lambda: run(models.Classifier(width=2), IMAGES, LABELS[:60]),
         ("one length", "60")),
    # constructors
    Call("latent_dim=0", lambda: models.VAE(latent_dim=0), ("latent_dim must be at least 1, got 0",)),
    Call("latent_dim=-2", lambda: models.VAE(latent_dim=-2), ("at least 1, got -2",)),
    Call('latent_dim="16"', lambda: models.VAE(latent_dim="16"), ("whole number", "'16'")),
    Call("latent_dim=2.0", lambda: models.VAE(latent_dim=2.0), ("whole number", "2.0")),
    Call("latent", lambda: models.VAE(latent=2), ("no argument 'latent'", "latent_dim")),
    Call("beta of a VAE", lambda: models.VAE(beta=4), ("no argument 'beta'", "takes")),
    Call('beta="4"', lambda: models.BetaVAE(beta="4"), ("beta must be a number", "'4'")),
    Call("beta=-1", lambda: models.BetaVAE(beta=-1), ("beta must be at least 0, got -1",)),
    Call("width=0", lambda: models.DCGAN(width=0), ("width must be at least 1, got 0",)),
    Call("image_shape=32", lambda: models.VAE(image_shape=32), ("image_shape must be", "got 32")),
    Call("image_shape of two", lambda: models.GAN(image_shape=(28, 28)), ("image_shape must be",)),
    Call("k=0", lambda: models.IWAE(k=0), ("k must be at least 1, got 0",)),
    Call("penalty of a name", lambda: models.WGANGP(penalty="10"), ("penalty must be a number",)),
    Call("unknown cell", lambda: models.RowRNN(cell="LSTM"), ("'lstm'", "'LSTM'")),
    # names
    Call("models.CVAE", lambda: models.CVAE(), ("CVAE", "VAE")),
    Call("models.WGAN_GP", lambda: models.WGAN_GP(), ("did you mean 'WGANGP'",)),
    Call("companion.VAE", lambda: companion.VAE(), ("companion.models.VAE",)),
    Call("another case", lambda: zoo.load("DCGAN"), ("did you mean 'dcgan'",),
         lambda: zoo.load("dcgan")),
    Call("not in the zoo", lambda: zoo.load("stylegan"), ("'dcgan'|dcgan", "'stylegan'")),
    Call("zoo.load(None)", lambda: zoo.load(None), ("dcgan", "None")),
    Call("zoo on a gpu", lambda: zoo.load("vae", device="gpu"), ("'cuda'", "'gpu'")),
    Call("zoo.list of a name", lambda: zoo.list("gan"), ("takes no arguments|zoo.card",)),
    Call("the split", lambda: data.fashion_mnist("val"), ("'?\"?train", "val")),
    Call("train=True", lambda: data.fashion_mnist(train=True), ("no argument 'train'", "split")),
    Call("data.mnist", lambda: data.mnist(), ("mnist", "fashion_mnist")),
    Call("an experiment", lambda: experiments.load("gan"), ("gan_losses", "'gan'")),
    # conversions
    Call("floats to floats", lambda: data.to_float(IMAGES), ("got float32", "as they are")),
    Call("an array to floats", lambda: data.to_float(LEVELS.numpy()),
         ("ndarray", "torch.(as_tensor|from_numpy)"),
         lambda: data.to_float(torch.from_numpy(LEVELS.numpy()))),
    Call("bytes to bytes", lambda: data.to_uint8(LEVELS), ("uint8", "as they are|already")),
    Call("batches without options", lambda: next(data.batches(IMAGES)), ("batch_size", "seed")),
    # metrics
    Call("distance of images", lambda: metrics.frechet_distance(IMAGES, IMAGES),
         (r"\(64, 1, 28, 28\)", "image_features")),
    Call("distance of arrays", lambda: metrics.frechet_distance(np.zeros((9, 2)), np.ones((9, 2))),
         ("ndarray", "torch.(as_tensor|from_numpy)")),
    Call("features of -1 to 1", lambda: evaluation.image_features(2 * IMAGES - 1), (r"\(images \+ 1",)),
    Call("features of color", lambda: evaluation.image_features(torch.rand(4, 3, 28, 28)),
         (r"\(4, 3, 28, 28\)", "mean|gray")),
    Call("k=1000", lambda: metrics.prdc(torch.rand(50, 2), torch.rand(50, 2), k=1000),
         ("k = 1000|got 1000", "k=5")),
    # taught functions
    Call("widths that differ", lambda: gaussian_kl(MU, torch.zeros(2, 4)), ("same shape", r"\(2, 4\)")),
    Call("a silent broadcast", lambda: gaussian_kl(MU, torch.zeros(3)), ("same shape", r"\(3,\)")),
    Call("plain numbers", lambda: gaussian_kl(1.0, 2.0), ("tensor of floats", "as_tensor")),
    Call("real logits only", lambda: discriminator_loss(torch.zeros(3)), ("fake_logits",)),
    Call("gray for black and white", lambda: models.IWAE(hidden_size=4).log_prob_bound(IMAGES),
         ("black and white", "binarize"),
         lambda: models.IWAE(k=1, hidden_size=4).log_prob_bound(likelihoods.binarize(IMAGES))),
    Call("no dimensions", lambda: likelihoods.bits_per_dimension(torch.zeros(2), 0),
         ("dimensions must be", "got 0")),
    Call("a size of 28", lambda: data.moving_fashion(IMAGES, size=28), ("32 or 64|32, 64", "28")),
    Call("images for frames", lambda: models.ConvLSTM(hidden_size=4).predict(IMAGES),
         (r"\(64, 1, 28, 28\)", "moving_fashion")),
    # notebooks
    Call("seed(-1)", lambda: seed(-1), ("got -1", r"seed\(0\)"), lambda: seed(0)),
    Call('seed("0")', lambda: seed("0"), ("'0'", r"seed\(0\)")),
    Call("seed(0.5)", lambda: seed(0.5), ("0.5", r"seed\(0\)")),
    Call("expect without a bound", lambda: expect("x", 3), ("above=, below=",)),
    Call("expect without a name", lambda: expect(3, below=4), ("name|value",)),
    # plots
    Call("sheet of an array", lambda: plots.sheet(IMAGES.numpy()), ("ndarray", "torch.as_tensor")),
    Call("sheet of a list", lambda: plots.sheet([*IMAGES]), ("list", "torch.stack"),
         lambda: plots.sheet(torch.stack([*IMAGES]))),
    Call("sheet of -1 to 1", lambda: plots.sheet(2 * IMAGES - 1), (r"\(images \+ 1\) / 2",)),
    Call("columns=0", lambda: plots.sheet(IMAGES, columns=0), ("at least 1, got 0",)),
    Call('scale="2"', lambda: plots.sheet(IMAGES, scale="2"), ("scale must be", "'2'")),
    Call("curves of a list", lambda: plots.curves([1, 2, 3]), ("list", r"curves\(\{"),
         lambda: plots.curves({"loss": [1, 2, 3]})),
    Call("compare of a list", lambda: plots.compare([IMAGES]), ("list", r"compare\(\{"),
         lambda: plots.compare({"images": IMAGES[:5]})),
    Call("no frames", lambda: plots.animation([]), ("empty", "at least one")),
    Call("one tensor of frames", lambda: plots.animation(IMAGES), (r"\(64, 1, 28, 28\)", r"list\(frames\)"),
         lambda: plots.animation([IMAGES[:4]])),
    # players
    Call("learning_rate=-1", lambda: Player("x", vae(), print, learning_rate=-1), ("positive, got -1",)),
    Call("a loss that is called", lambda: Player("x", vae(), torch.zeros(())), ("function", "Tensor|float")),
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_wrong_call_gets_one_sentence(call: Call) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)) as caught:
        call.wrong()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500, text
    for words in call.says:
        assert re.search(words, text), text
    # The package says it, and not torch on its behalf.
    frames = [Path(entry.path).parts for entry in caught.traceback]
    assert "torch" not in frames[-1], text


@pytest.mark.parametrize(
    "call", [call for call in CALLS if call.mended], ids=lambda call: call.name
)
def test_what_the_sentence_advises_works(call: Call) -> None:
    assert call.mended is not None
    call.mended()


def test_the_table_covers_what_users_tried() -> None:
    assert len(CALLS) >= 120


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_images_of_another_precision_are_taken(dtype: torch.dtype) -> None:
    """numpy's arrays are float64 after a division."""
    assert vae().reconstruct(IMAGES.to(dtype)).dtype == torch.float32
    assert vae().log_prob_bound(IMAGES.to(dtype)).dtype == torch.float32
    assert gan().discriminate(IMAGES.to(dtype)).dtype == torch.float32
