"""What several experiments share: training, test images, and the methods of the GAN's family."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from companion import training
from companion.data import fashion_mnist, to_float
from companion.evaluation import image_features
from companion.likelihoods import binarize
from companion.models import GAN, LSGAN, R1GAN, WGAN, WGANGP, HingeGAN

# By the names under which the results are stored.
GAN_METHODS: dict[str, Callable[..., GAN]] = {
    "minimax": lambda **network: GAN(saturating=True, **network),
    "non-saturating": GAN,
    "least squares": LSGAN,
    "WGAN, clipping": WGAN,
    "WGAN-GP": WGANGP,
    "hinge, spectral norm": HingeGAN,
    "R1": R1GAN,
}


def train(model: nn.Module, *data: Tensor, **options: Any) -> None:
    """:func:`companion.training.train` without a bar; a run that was stopped is no result.

    Raises:
        KeyboardInterrupt: if Ctrl-C stopped the training.
    """
    if training.train(model, *data, progress=False, **options).interrupted:
        raise KeyboardInterrupt


def real_images() -> Tensor:
    """The 10,000 official test images, ``(N, 1, 28, 28)``."""
    return to_float(fashion_mnist("test", full=True).images)


def binary_images() -> Tensor:
    """The same in black and white, drawn as :func:`companion.evaluation.evaluate` does."""
    return binarize(real_images(), rng=torch.Generator().manual_seed(0))


@cache
def real_features() -> Tensor:
    """The features of the test images in the zoo's classifier."""
    return image_features(real_images())
