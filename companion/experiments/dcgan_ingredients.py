"""What each ingredient of the DCGAN recipe is worth: the recipe, and with one left out in turn.

DCGAN of width 16 with 64 numbers of noise; batches of 64, 3 epochs, no averaging of weights. Left
out is, in turn,

- **batch norm**: the normalization only, in both networks; its gains and biases stay;
- **leaky ReLU**: the discriminator has plain ReLUs, as the generator does;
- **momentum**: :math:`\\beta_1 = 0.9`, Adam's default, for both players in place of 0.5;
- **initialization**: PyTorch's own in place of N(0, 0.02).

Nothing else is changed or tuned anew. The ingredients are those of Radford, Metz and Chintala
(2016), section 3 and "Details of adversarial training".
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from companion.data import fashion_mnist
from companion.evaluation import image_features, shares_of_features
from companion.experiments._common import real_features, train
from companion.experiments._sheets import encode_sheet
from companion.game import Player
from companion.metrics import frechet_distance
from companion.models.dcgan import DCGAN

EPOCHS = 3
WIDTH = 16
LEFT_OUT = ("nothing", "batch norm", "leaky ReLU", "momentum", "initialization")
SETTINGS = [{"left_out": left_out, "seed": seed} for seed in range(5) for left_out in LEFT_OUT]


class Affine(nn.Module):
    """What is left of a batch norm without its normalization: a gain and a bias per channel."""

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        self.weight, self.bias = norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class Variant(DCGAN):
    """A DCGAN with one ingredient left out, one of `LEFT_OUT`."""

    def __init__(self, left_out: str, width: int = WIDTH) -> None:
        super().__init__(width=width)
        self.beta1 = 0.9 if left_out == "momentum" else 0.5
        if left_out == "batch norm":
            _exchange(self, nn.BatchNorm2d, Affine)
        elif left_out == "leaky ReLU":
            _exchange(self.discriminator, nn.LeakyReLU, lambda _: nn.ReLU())
        elif left_out == "initialization":
            for module in self.modules():
                if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm2d):
                    module.reset_parameters()

    def players(self) -> list[Player]:
        return [replace(player, betas=(self.beta1, 0.999)) for player in super().players()]


def measure(left_out: str, seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Figures of as many samples as there are test images.

    - **frechet_distances**: from the test images, in the zoo classifier's features, a list of one
      figure after each epoch; **frechet_distance**: the last of them;
    - **class_shares**: of the samples, at the end;
    - **sheet**: twelve samples, at the end, as a picture for `decode_sheet`.
    """
    torch.manual_seed(seed)
    model = Variant(left_out)
    images, _ = fashion_mnist("train", full=True)
    features, distances = Tensor(), []

    def note(epoch: int, model: Any) -> None:
        nonlocal features
        features = image_features(_samples(model, 10_000))
        distances.append(frechet_distance(features, real_features()))

    train(model, images, epochs=epochs, batch_size=64, seed=seed, on_epoch=note)
    return {
        "frechet_distance": distances[-1],
        "frechet_distances": distances,
        "class_shares": shares_of_features(features).tolist(),
        "sheet": encode_sheet(_samples(model, 12)),
    }


def _samples(model: Any, n: int) -> Tensor:
    """The same noise every time, so that epochs and settings differ by their weights alone."""
    rng = torch.Generator().manual_seed(0)
    return torch.cat([model.sample(min(500, n), rng=rng).cpu() for _ in range(0, n, 500)])


def _exchange(module: nn.Module, kind: type[nn.Module], make: Callable[[Any], nn.Module]) -> None:
    """Put what `make` makes of it in the place of every module of a kind."""
    for name, child in module.named_children():
        if isinstance(child, kind):
            setattr(module, name, make(child))
        else:
            _exchange(child, kind, make)
