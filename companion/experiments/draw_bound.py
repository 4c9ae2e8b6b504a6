"""Does it help to draw in several steps? DRAW and a VAE whose codes have as many numbers in all.

80 latent dimensions each. The VAE is the 784-400-80 network. DRAW has 192 hidden units and windows
of 7 x 7 filters, and spreads the 80 over 1, 2, 4 or 8 steps. Fashion-MNIST, black and white by
chance, anew in each epoch; batches of 64 of Adam with a cosine schedule. One epoch tells the
numbers of steps apart; the zoo's DRAW is trained for 18, as the VAEs beside it are.
"""

import torch
from torch import nn

from companion.data import fashion_mnist
from companion.experiments._common import binary_images, train
from companion.layers import evaluating
from companion.models.draw import DRAW
from companion.models.iwae import IWAE

LATENT = 80
SETTINGS = [
    *({"model": "vae", "steps": 1, "epochs": 18, "seed": seed} for seed in (0, 1, 2)),
    {"model": "vae", "steps": 1, "epochs": 1, "seed": 0},
    *({"model": "draw", "steps": steps, "epochs": 1, "seed": 0} for steps in (1, 2, 4, 8)),
]


def measure(model: str, steps: int, epochs: int, seed: int) -> dict[str, float]:
    """Figures of the black-and-white test images, those that the zoo's cards are about.

    - **negative_bound**: with one draw of the codes, nats per image.
    """
    torch.manual_seed(seed)
    network: DRAW | IWAE
    if model == "draw":
        network = DRAW(steps, LATENT // steps, hidden_size=192, read_size=7, write_size=7)
    else:
        network = IWAE(k=1, latent_dim=LATENT)
    images, _ = fashion_mnist("train", full=True)
    train(
        network,
        images,
        epochs=epochs,
        batch_size=64,
        seed=seed,
        schedule="cosine",
        clip_norm=20.0 if model == "draw" else None,
    )
    return {"negative_bound": negative_bound(network, seed)}


def negative_bound(model: nn.Module, seed: int = 0) -> float:
    """Of all test images, binarized as :func:`companion.evaluation.evaluate` does."""
    test = binary_images()
    torch.manual_seed(seed)
    with evaluating(model):
        bounds = [model.log_prob_bound(batch) for batch in test.split(500)]  # type: ignore[operator]
    return -torch.cat(bounds).double().mean().item()
