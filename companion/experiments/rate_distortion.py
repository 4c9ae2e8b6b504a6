"""The rate-distortion curve: one small beta-VAE for each beta, on the full data set.

16 latent dimensions, width 16, three mixture components; batches of 128, 6 epochs of Adam at
0.002 with a cosine schedule.
"""

import torch

from companion.data import fashion_mnist
from companion.experiments._common import real_images, train
from companion.layers import evaluating
from companion.models.beta_vae import BetaVAE
from companion.models.vae import active_units

EPOCHS = 6
BETAS = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
SETTINGS = [{"beta": beta, "seed": 0} for beta in BETAS]


def measure(beta: float, seed: int, epochs: int = EPOCHS) -> dict[str, float]:
    """Figures of the test images.

    - **rate** and **distortion**: nats per image, one draw of the code for each image;
    - **active_units**: latent dimensions whose mean varies by more than 0.01.
    """
    torch.manual_seed(seed)
    model = BetaVAE(beta=beta)
    images, _ = fashion_mnist("train", full=True)
    train(model, images, epochs=epochs, seed=seed, schedule="cosine", clip_norm=200.0)
    torch.manual_seed(seed)
    batches = real_images().split(500)
    with evaluating(model):
        terms = [torch.stack(model.elbo(batch)).double().mean(dim=1) for batch in batches]
        mu = torch.cat([model.encode(batch)[0] for batch in batches])
    distortion, rate = torch.stack(terms).mean(dim=0).tolist()
    return {"distortion": distortion, "rate": rate, "active_units": int(active_units(mu).sum())}
