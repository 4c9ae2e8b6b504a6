"""Every model of the package, small: how it is built and what it is trained on.

The contract test, the dry run on a GPU that is not there and the test of `torch.compile` go
through these; a new model needs a line here on the day that it is exported.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from companion import data, models

Shape = tuple[int, int, int]


class Case(NamedTuple):
    """A model, and what its losses are called with.

    build: takes the shape of the images; shapes: those that it is tried with, the first one by
    default; others: makes what goes with ``n`` images (labels, targets); images: makes images of
    another kind than random gray values; alone: whether it can be trained on a single image.
    """

    build: Callable[[Shape], nn.Module]
    shapes: tuple[Shape, ...]
    others: Callable[[int], tuple[Tensor, ...]] = lambda n: ()
    images: Callable[[int, Shape], Tensor] | None = None
    alone: bool = True

    def batch(self, n: int, shape: Shape | None = None) -> tuple[Tensor, ...]:
        """Images, as floats in [0, 1], and what goes with them; always the same."""
        shape = shape or self.shapes[0]
        rng = torch.Generator().manual_seed(n)
        if self.images is not None:
            return (self.images(n, shape), *self.others(n))
        levels = torch.randint(256, (n, *shape), generator=rng)
        return (levels / 255, *self.others(n))

    def make(self, shape: Shape | None = None, seed: int = 0) -> Any:
        """The model, with weights that the seed decides."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.build(shape or self.shapes[0])


SIDES_OF_FOUR: tuple[Shape, ...] = ((1, 8, 8), (1, 12, 8), (3, 8, 8))
ANY: tuple[Shape, ...] = ((1, 6, 6), (1, 5, 7), (3, 6, 6))
GRAY: tuple[Shape, ...] = ((1, 5, 5), (1, 6, 4))


def _adding(n: int) -> tuple[Tensor, Tensor]:
    return data.adding_problem(n, 6, rng=torch.Generator().manual_seed(0))


def _sequence_model(cell: Callable[[], str | nn.Module]) -> Case:
    return Case(
        build=lambda shape: models.SequenceModel(cell(), input_size=2, hidden_size=8),
        shapes=((1, 6, 2),),
        images=lambda n, shape: _adding(n)[0],
        others=lambda n: (_adding(n)[1],),
    )


def _labels(n: int) -> tuple[Tensor]:
    return (torch.arange(n) % 10,)


CASES: dict[str, Case] = {
    "VAE": Case(lambda s: models.VAE(latent_dim=3, width=4, image_shape=s), SIDES_OF_FOUR),
    "BetaVAE": Case(
        lambda s: models.BetaVAE(
            beta=4.0, warm_up=3, free_bits=0.1, latent_dim=3, width=4, image_shape=s
        ),
        SIDES_OF_FOUR,
    ),
    "IWAE": Case(lambda s: models.IWAE(k=3, latent_dim=3, hidden_size=8, image_shape=s), ANY),
    "VQVAE": Case(
        lambda s: models.VQVAE(codebook_size=8, code_dim=4, width=4, hidden_size=8, image_shape=s),
        SIDES_OF_FOUR,
    ),
    "DRAW": Case(lambda s: models.DRAW(steps=2, latent_dim=3, hidden_size=8, image_shape=s), ANY),
    "GAN": Case(
        lambda s: models.GAN(latent_dim=3, hidden_size=8, image_shape=s), (*ANY, (2, 1, 1))
    ),
    "LSGAN": Case(lambda s: models.LSGAN(latent_dim=3, hidden_size=8, image_shape=s), ANY),
    "WGAN": Case(lambda s: models.WGAN(latent_dim=3, hidden_size=8, image_shape=s), ANY),
    "WGANGP": Case(lambda s: models.WGANGP(latent_dim=3, hidden_size=8, image_shape=s), ANY),
    "HingeGAN": Case(lambda s: models.HingeGAN(latent_dim=3, hidden_size=8, image_shape=s), ANY),
    "R1GAN": Case(lambda s: models.R1GAN(latent_dim=3, hidden_size=8, image_shape=s), ANY),
    "DCGAN": Case(
        lambda s: models.DCGAN(latent_dim=3, width=4, image_shape=s),
        ((1, 12, 12), (1, 16, 12), (3, 12, 12)),
    ),
    "InfoGAN": Case(
        lambda s: models.InfoGAN(noise_dim=3, width=4, hidden_size=8, image_shape=s),
        ((1, 12, 12), (1, 16, 12), (3, 12, 12)),
        alone=False,
    ),
    "Classifier": Case(
        lambda s: models.Classifier(width=4), ((1, 28, 28),), others=_labels, alone=False
    ),
    "RowRNN": Case(lambda s: models.RowRNN(hidden_size=8, features=4, image_shape=s), GRAY),
    "PixelRNN": Case(lambda s: models.PixelRNN(hidden_size=4, image_shape=s), GRAY),
    "PixelCNN": Case(lambda s: models.PixelCNN(width=4, layers=2, image_shape=s), GRAY),
    "ConvLSTM": Case(
        lambda s: models.ConvLSTM(hidden_size=4, layers=1, frames_in=2, frames_out=2),
        ((1, 28, 28),),
    ),
    "SequenceModel": _sequence_model(lambda: "gru"),
    "PlainRNN": _sequence_model(lambda: models.PlainRNN(2, 8)),
    "LSTMByHand": _sequence_model(lambda: models.LSTMByHand(2, 8)),
    "GRUByHand": _sequence_model(lambda: models.GRUByHand(2, 8)),
}
# Another shape of the same model, or another of its losses; the contract holds for them, too.
VARIANTS: dict[str, Case] = {
    "BetaVAE, no warm-up": Case(
        lambda s: models.BetaVAE(latent_dim=3, width=4, image_shape=s), SIDES_OF_FOUR[:1]
    ),
    "GAN, saturating": Case(
        lambda s: models.GAN(latent_dim=3, hidden_size=8, image_shape=s, saturating=True), ANY[:1]
    ),
    "VQVAE, gradient": Case(
        lambda s: models.VQVAE(
            codebook_size=8, code_dim=4, width=4, hidden_size=8, moving_average=False, image_shape=s
        ),
        SIDES_OF_FOUR[:1],
    ),
    "PixelCNN, 1 stack": Case(
        lambda s: models.PixelCNN(width=4, layers=2, stacks=1, image_shape=s), GRAY[:1]
    ),
    "PixelRNN, 2 levels": Case(
        lambda s: models.PixelRNN(hidden_size=4, levels=2, image_shape=s),
        GRAY[:1],
        images=lambda n, s: torch.randint(
            2, (n, *s), generator=torch.Generator().manual_seed(n)
        ).float(),
    ),
    "RowRNN, no context": Case(
        lambda s: models.RowRNN("rnn", hidden_size=8, features=4, context=0, image_shape=s),
        GRAY[:1],
    ),
    "SequenceModel, lstm": _sequence_model(lambda: "lstm"),
    "SequenceModel, rnn": _sequence_model(lambda: "rnn"),
}
ALL = CASES | VARIANTS
