"""What the cell of a row model is worth: plain RNN, LSTM and GRU on one budget.

The row model of its chapter (16 features, context 6, three mixture components); batches of 64, 1
or 4 epochs of Adam at 0.002 with a cosine schedule, gradients of norm 200 at most. The three
cells have states of 128 numbers; since the gates multiply the weights, the plain RNN is also
measured with 203, which gives it as many weights as the LSTM has.
"""

from typing import Any

import torch

from companion.data import fashion_mnist
from companion.experiments._common import real_images, train
from companion.likelihoods import bits_per_dimension
from companion.models.row_rnn import RowRNN

EPOCHS = (1, 4)
STATES = (("rnn", 128), ("lstm", 128), ("gru", 128), ("rnn", 203))
SETTINGS = [
    {"cell": cell, "hidden_size": size, "epochs": epochs, "seed": seed}
    for epochs in EPOCHS
    for cell, size in STATES
    for seed in (0, 1, 2)
]


def measure(cell: str, hidden_size: int, epochs: int, seed: int) -> dict[str, Any]:
    """Figures of the test images.

    - **bits_per_dimension**: of the exact likelihood, mean over the images;
    - **parameters**: how many weights the model has.
    """
    torch.manual_seed(seed)
    model = RowRNN(cell, hidden_size)
    train(
        model,
        fashion_mnist("train", full=True).images,
        epochs=epochs,
        batch_size=64,
        seed=seed,
        schedule="cosine",
        clip_norm=200.0,
    )
    test = real_images()
    log_prob = torch.cat([model.log_prob_bound(batch) for batch in test.split(500)])
    return {
        "bits_per_dimension": bits_per_dimension(log_prob.double().mean(), test[0].numel()).item(),
        "parameters": sum(weights.numel() for weights in model.parameters()),
    }
