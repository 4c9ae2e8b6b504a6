"""Modes of a ring of eight Gaussians that a GAN reaches, by method, step sizes and seed.

Multilayer networks with 64 hidden units and 16 numbers of noise; 10,000 points, batches of 128,
6,000 steps of the discriminator. With the step sizes "equal" both players take Adam's 1e-3; with
"fast generator" the discriminator's is 1e-4, as in Metz et al. (2017), section 3.1: it answers
too slowly. Momenta and the number of discriminator steps are those of each method. Penalties and
clipping suit the size of the ring: a penalty of 0.1 for WGAN-GP, gamma = 0.01 for R1, weights
clipped to 0.1 for the WGAN.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from companion.data import ring_centers, ring_of_gaussians
from companion.experiments._common import GAN_METHODS, train
from companion.game import Player
from companion.metrics import modes_covered, share_near_modes
from companion.models import GAN, R1GAN, WGAN, WGANGP

DATA = "10,000 points of a ring of eight Gaussians, measured on 2,000 samples"
SIGMA = 0.02
BATCH_SIZE = 128
EPOCHS = 77  # of 78 steps each
METHODS: dict[str, Callable[..., GAN]] = GAN_METHODS | {
    "WGAN, clipping": lambda **network: WGAN(clip=0.1, **network),
    "WGAN-GP": lambda **network: WGANGP(penalty=0.1, **network),
    "R1": lambda **network: R1GAN(gamma=0.01, **network),
}
RATES = {"equal": (1e-3, 1e-3), "fast generator": (1e-4, 1e-3)}  # discriminator, generator
SETTINGS = [
    {"method": method, "rates": rates, "seed": seed}
    for seed in range(5)
    for rates in RATES
    for method in METHODS
]


def build(method: str) -> GAN:
    """The untrained model of a method."""
    return METHODS[method](latent_dim=16, hidden_size=64, image_shape=(2, 1, 1))


def players(model: GAN, rates: str) -> list[Player]:
    """The model's players with the step sizes of `RATES`, for `train(model, players=...)`."""
    return [
        replace(player, learning_rate=rate)
        for player, rate in zip(model.players(), RATES[rates], strict=True)
    ]


def measure(method: str, rates: str, seed: int, epochs: int = EPOCHS) -> dict[str, Any]:
    """Figures of 2,000 samples, always of the same noise.

    - **modes**: how many of the eight have 2 % of the samples within three standard deviations;
    - **near**: the share of samples that lie so near to some mode;
    - **modes_over_time**: the first figure at eleven moments, the last one at the end.
    """
    points = ring_of_gaussians(10_000, sigma=SIGMA, rng=torch.Generator().manual_seed(0))
    centers = ring_centers()
    torch.manual_seed(seed)
    model = build(method)
    over_time: list[int] = []

    def samples(model: Any) -> torch.Tensor:
        return model.sample(2000, rng=torch.Generator().manual_seed(1)).cpu()

    def note(epoch: int, model: Any) -> None:
        if (epochs - epoch) % max(1, epochs // 10) == 0:
            over_time.append(modes_covered(samples(model), centers, SIGMA))

    train(
        model,
        points,
        players=players(model, rates),
        epochs=epochs,
        batch_size=BATCH_SIZE,
        seed=seed,
        on_epoch=note,
    )
    return {
        "modes": over_time[-1],
        "near": share_near_modes(samples(model), centers, SIGMA),
        "modes_over_time": over_time,
    }
