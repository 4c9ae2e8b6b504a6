"""GAN losses side by side: one network, one budget, several seeds.

The multilayer networks of :mod:`companion.models.gan` with 128 hidden units and 64 numbers of
noise; batches of 64, 20 epochs, no averaging of weights. Every method sees as many images, with
the step sizes that its authors give; those whose discriminator takes five steps for one of the
generator move the generator on every fifth batch.
"""

from typing import Any

import torch

from companion.data import fashion_mnist
from companion.evaluation import image_features, shares_of_features
from companion.experiments._common import GAN_METHODS, real_features, train
from companion.experiments._sheets import encode_sheet
from companion.metrics import frechet_distance, prdc

EPOCHS = 20
HIDDEN_SIZE = 128
SETTINGS = [{"method": method, "seed": seed} for seed in range(3) for method in GAN_METHODS]


def measure(method: str, seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Figures of as many samples as there are test images, in the zoo classifier's features.

    - **frechet_distance**: from the test images;
    - **precision**, **recall**: among five nearest neighbors;
    - **class_shares**: of the samples;
    - **sheet**: twenty samples, as a picture for `decode_sheet`.
    """
    torch.manual_seed(seed)
    model = GAN_METHODS[method](hidden_size=HIDDEN_SIZE)
    images, _ = fashion_mnist("train", full=True)
    train(model, images, epochs=epochs, batch_size=64, seed=seed)
    samples = model.sample(10_000, rng=torch.Generator().manual_seed(0)).cpu()
    features = image_features(samples)
    quality = prdc(real_features(), features)
    return {
        "frechet_distance": frechet_distance(features, real_features()),
        "precision": quality.precision,
        "recall": quality.recall,
        "class_shares": shares_of_features(features).tolist(),
        "sheet": encode_sheet(samples[:20]),
    }
