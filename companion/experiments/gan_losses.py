"""GAN losses side by side: one network, one budget, several seeds.

The multilayer networks of :mod:`companion.models.gan` with 128 hidden units and 64 numbers of
noise; batches of 64, 20 epochs, no averaging of weights. Every method sees as many images, with
the step sizes that its authors give; those whose discriminator takes five steps for one of the
generator move the generator on every fifth batch.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from companion.data import fashion_mnist, to_float
from companion.experiments import encode_sheet, train
from companion.metrics import frechet_distance, image_features, prdc
from companion.metrics.features import shares_of_features
from companion.models import GAN, LSGAN, R1GAN, WGAN, WGANGP, HingeGAN

EPOCHS = 20
HIDDEN_SIZE = 128
METHODS: dict[str, Callable[..., GAN]] = {
    "minimax": lambda **network: GAN(saturating=True, **network),
    "non-saturating": GAN,
    "least squares": LSGAN,
    "WGAN, clipping": WGAN,
    "WGAN-GP": WGANGP,
    "hinge, spectral norm": HingeGAN,
    "R1": R1GAN,
}
SETTINGS = [{"method": method, "seed": seed} for seed in range(3) for method in METHODS]


def measure(method: str, seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Figures of as many samples as there are test images, in the zoo classifier's features.

    - **frechet_distance**: from the test images;
    - **precision**, **recall**: among five nearest neighbors;
    - **class_shares**: of the samples;
    - **sheet**: twenty samples, as a picture for `decode_sheet`.
    """
    torch.manual_seed(seed)
    model = METHODS[method](hidden_size=HIDDEN_SIZE)
    images, _ = fashion_mnist("train", full=True)
    train(model, images, epochs=epochs, batch_size=64, seed=seed)
    samples = model.sample(10_000, rng=torch.Generator().manual_seed(0)).cpu()
    features = image_features(samples)
    quality = prdc(_test_features(), features)
    return {
        "frechet_distance": frechet_distance(features, _test_features()),
        "precision": quality.precision,
        "recall": quality.recall,
        "class_shares": shares_of_features(features).tolist(),
        "sheet": encode_sheet(samples[:20]),
    }


@cache
def _test_features() -> Tensor:
    return image_features(to_float(fashion_mnist("test", full=True).images))
