"""Every exported model, built small, with a batch as the training loop hands it to a loss.

The tests that hold for all models run over this table; a new model is covered as soon as it has a
row, and `test_cases.py` says if it has none.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from companion import models
from companion.data import adding_problem, copy_task
from companion.models import SequenceModel

GRAY, COLOR = (1, 8, 8), (3, 12, 12)
TINY = (1, 5, 6)


@dataclass(frozen=True)
class Case:
    """One model.

    Attributes:
        build: makes it; ``build(image_shape=shape)`` for each of ``shapes`` after the first.
        shapes: of images that it can be built for; the first is that of ``build()``.
        kind: what its losses take: ``"images"``, ``"binary"`` (images of zeros and ones),
            ``"labeled"`` (images and classes), ``"numbers"`` or ``"symbols"`` (sequences and
            their targets).
        in_parts: why torch.compile makes several graphs of a loss, if it does.
    """

    build: Callable[..., nn.Module]
    shapes: tuple[tuple[int, int, int], ...]
    kind: str = "images"
    in_parts: str = ""

    def batch(self, n: int, shape: tuple[int, int, int] | None = None) -> tuple[Tensor, ...]:
        """Data for ``n`` examples: floats in [0, 1], and labels or targets."""
        if self.kind == "numbers":
            return adding_problem(n, 6)
        if self.kind == "symbols":
            return copy_task(n, 3, count=2)
        images = torch.rand(n, *(shape or self.shapes[0]))
        if self.kind == "binary":
            return ((images > 0.5).to(images.dtype),)
        if self.kind == "labeled":
            return images, torch.arange(n) % 10
        return (images,)


def case(
    name: str,
    *shapes: tuple[int, int, int],
    kind: str = "images",
    in_parts: str = "",
    **sizes: object,
) -> Case:
    """A model of ``companion.models``; without shapes it is one for 28x28 pixels only."""
    build: Callable[..., nn.Module] = partial(getattr(models, name), **sizes)
    if shapes:
        build = partial(build, image_shape=shapes[0])
    return Case(build, shapes or ((1, 28, 28),), kind, in_parts)


def sequences(cell: Callable[[], nn.Module] | str, in_parts: str = "") -> Case:
    """A recurrent network on sequences of numbers."""
    build = lambda: SequenceModel(cell if isinstance(cell, str) else cell(), 2, 8)  # noqa: E731
    return Case(build, (), "numbers", in_parts)


KERNELS = "Dynamo does not trace torch's own nn.RNN, nn.LSTM and nn.GRU"
SMALL_GAN = {"latent_dim": 4, "hidden_size": 8}

CASES: dict[str, Case] = {
    "VAE": case("VAE", GRAY, COLOR, latent_dim=4, width=4),
    "BetaVAE": case("BetaVAE", GRAY, COLOR, latent_dim=4, width=4),
    "BetaVAE, warm-up": case(
        "BetaVAE", GRAY, COLOR, warm_up=5, free_bits=0.1, latent_dim=4, width=4
    ),
    "IWAE": case("IWAE", GRAY, COLOR, k=3, latent_dim=4, hidden_size=8),
    "VQVAE": case("VQVAE", GRAY, COLOR, codebook_size=8, code_dim=4, width=4, hidden_size=8),
    "VQVAE, gradients": case(
        *("VQVAE", GRAY, COLOR),
        **{"codebook_size": 8, "code_dim": 4, "width": 4, "hidden_size": 8},
        moving_average=False,
    ),
    "GAN": case("GAN", GRAY, COLOR, **SMALL_GAN),
    "GAN, saturating": case("GAN", GRAY, COLOR, saturating=True, **SMALL_GAN),
    "GAN, points": case("GAN", (2, 1, 1), **SMALL_GAN),
    "LSGAN": case("LSGAN", GRAY, COLOR, **SMALL_GAN),
    "WGAN": case("WGAN", GRAY, COLOR, **SMALL_GAN),
    "WGANGP": case("WGANGP", GRAY, COLOR, **SMALL_GAN),
    "HingeGAN": case("HingeGAN", GRAY, COLOR, **SMALL_GAN),
    "R1GAN": case("R1GAN", GRAY, COLOR, **SMALL_GAN),
    "DCGAN": case("DCGAN", GRAY, COLOR, latent_dim=4, width=4),
    "InfoGAN": case("InfoGAN", GRAY, COLOR, noise_dim=4, width=4, hidden_size=8),
    "Classifier": case("Classifier", kind="labeled", width=4),
    "RowRNN, rnn": case(
        "RowRNN", GRAY, (1, 6, 5), cell="rnn", hidden_size=8, features=4, in_parts=KERNELS
    ),
    "RowRNN": case(
        "RowRNN", GRAY, (1, 6, 5), cell="lstm", hidden_size=8, features=4, in_parts=KERNELS
    ),
    "RowRNN, gru": case(
        *("RowRNN", GRAY, (1, 6, 5)),
        **{"cell": "gru", "hidden_size": 8, "features": 4, "context": 0},
        in_parts=KERNELS,
    ),
    "PixelRNN": case("PixelRNN", TINY, (1, 6, 5), hidden_size=4, layers=2),
    "PixelRNN, binary": case("PixelRNN", TINY, kind="binary", hidden_size=4, levels=2),
    "PixelCNN": case("PixelCNN", TINY, (1, 6, 5), width=4, layers=2),
    "PixelCNN, one stack": case("PixelCNN", TINY, width=4, layers=2, stacks=1),
    "ConvLSTM": case("ConvLSTM", hidden_size=4, layers=2, frames_in=2, frames_out=2),
    "DRAW": case("DRAW", GRAY, COLOR, steps=2, latent_dim=4, hidden_size=8),
    "SequenceModel": sequences("rnn", KERNELS),
    "SequenceModel, lstm": sequences("lstm", KERNELS),
    "SequenceModel, gru": sequences("gru", KERNELS),
    "SequenceModel, symbols": Case(lambda: SequenceModel("lstm", 10, 8, 9), (), "symbols", KERNELS),
    "PlainRNN": sequences(lambda: models.PlainRNN(2, 8)),
    "LSTMByHand": sequences(lambda: models.LSTMByHand(2, 8, 1.0)),
    "GRUByHand": sequences(lambda: models.GRUByHand(2, 8)),
}
