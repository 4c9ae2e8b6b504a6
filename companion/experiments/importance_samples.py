"""How the number k of importance samples in training changes the bound and the likelihood.

The 784-400-20 network on Fashion-MNIST, black and white by chance, anew in each epoch; batches of
64, 10 epochs of Adam at 0.002 with a cosine schedule. Every trained network is measured on the
same black-and-white test images: its bounds with 1, 5 and 50 samples, and its estimates of
log p(x) with 100 and with 1,000.
"""

import torch

from companion.data import fashion_mnist
from companion.experiments._common import binary_images, train
from companion.models.iwae import IWAE, effective_sample_size
from companion.models.vae import active_units

EPOCHS = 10
SETTINGS = [{"k": k, "seed": seed} for k in (1, 5, 50) for seed in (0, 1, 2)]


def measure(k: int, seed: int, epochs: int = EPOCHS) -> dict[str, float]:
    """Train the network with k samples; its `figures`."""
    torch.manual_seed(seed)
    model = IWAE(k)
    images, _ = fashion_mnist("train", full=True)
    train(model, images, epochs=epochs, batch_size=64, seed=seed, schedule="cosine")
    return figures(model.eval(), seed)


def figures(model: IWAE, seed: int) -> dict[str, float]:
    """Negative bounds and negative log-likelihoods of the test images, in nats per image.

    - **negative_bound_1**, **_5**, **_50**: with so many samples, whatever k was in training;
    - **nll_100**: the same with 100, an estimate of -log p(x);
    - **nll_1000**: the same with 1,000, of the first 2,000 test images;
    - **effective_sample_size**: of 1,000 samples, the median over the first 1,000 test images;
    - **active_units**: latent dimensions whose mean varies by more than 0.01 over the test images
      (Burda et al. 2016, section 5.2).
    """
    test = binary_images()
    torch.manual_seed(seed)
    result = {}
    for name, samples, count in (
        ("negative_bound_1", 1, 10_000),
        ("negative_bound_5", 5, 10_000),
        ("negative_bound_50", 50, 10_000),
        ("nll_100", 100, 10_000),
        ("nll_1000", 1000, 2_000),
    ):
        batches = [model.log_prob_bound(batch, samples) for batch in test[:count].split(500)]
        result[name] = -torch.cat(batches).double().mean().item()
    with torch.no_grad():
        sizes = [effective_sample_size(model.log_weights(x, 1000)) for x in test[:1000].split(20)]
        mu, _ = model.encode(test)
    result["effective_sample_size"] = torch.cat(sizes).median().item()
    result["active_units"] = int(active_units(mu).sum())
    return result
