"""How much of its codebook a VQ-VAE uses, by how the codebook learns.

A small VQ-VAE (width 16, entries of 16 numbers, three mixture components) without the prior over
its codes; batches of 64, 1 epoch of Adam at 0.002 with a cosine schedule. The codebook learns by
the gradient, by moving averages, or by these with dead entries revived.
"""

from typing import Any

import torch

from companion.data import fashion_mnist
from companion.experiments._common import real_images, train
from companion.game import Player
from companion.layers import evaluating
from companion.models.quantizer import perplexity
from companion.models.vq_vae import VQVAE

EPOCHS = 1
LEARNING: dict[str, dict[str, Any]] = {
    "gradient": {"moving_average": False, "revive": False},
    "moving average": {"moving_average": True, "revive": False},
    "moving average, revival": {"moving_average": True, "revive": True},
}
SETTINGS = [
    {"learning": learning, "codebook_size": size, "seed": seed}
    for size, seed in ((64, 0), (256, 0), (1024, 0), (256, 1), (256, 2))
    for learning in LEARNING
]


class VQVAEWithoutPrior(VQVAE):
    """A VQ-VAE that trains no prior."""

    def __init__(self, *sizes: Any, **options: Any) -> None:
        super().__init__(*sizes, **options)
        self.prior.requires_grad_(False)

    def players(self) -> list[Player]:
        return super().players()[:1]


def measure(learning: str, codebook_size: int, seed: int, epochs: int = EPOCHS) -> dict[str, float]:
    """Figures of the test images.

    - **perplexity**: of all their codes, at most ``codebook_size``;
    - **used**: how many entries occur at all;
    - **distortion**: nats per image.
    """
    torch.manual_seed(seed)
    model = VQVAEWithoutPrior(codebook_size, **LEARNING[learning])
    images, _ = fashion_mnist("train", full=True)
    train(
        model,
        images,
        epochs=epochs,
        batch_size=64,
        seed=seed,
        schedule="cosine",
        clip_norm=200.0,
    )
    batches = real_images().split(500)
    with evaluating(model):
        quantized = [model.quantize(batch) for batch in batches]
        distortions = [
            model.distortion(q.vectors, batch) for q, batch in zip(quantized, batches, strict=True)
        ]
    codes = torch.cat([q.codes for q in quantized])
    return {
        "perplexity": perplexity(codes, codebook_size).item(),
        "used": len(codes.unique()),
        "distortion": torch.cat(distortions).double().mean().item(),
    }
