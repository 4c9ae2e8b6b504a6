"""Tasks for a memory by the cell that is to learn them: the adding problem, the copy task.

A state of 32 numbers for the adding problem and of 64 for the copy task; 12,800 sequences,
batches of 64, Adam with a cosine schedule, gradients clipped to a norm of 1. An LSTM starts with
its forget gates at a bias of 0 or of 1. At the adding problem's full length the plain network has
two step sizes, so that its failure is not that of steps too large, and a longer run beside them;
the GRU has a longer run of the copy task.
"""

from typing import Any

import torch

from companion.data import adding_problem, copy_task
from companion.experiments._common import train
from companion.layers import evaluating
from companion.models.gated_rnn import set_forget_bias
from companion.models.sequence_model import SequenceModel

DATA = "12,800 sequences of each task, measured on 2,000 others"
SEQUENCES = 12_800
BATCH_SIZE = 64
CELLS: dict[str, tuple[str, float | None]] = {
    "rnn": ("rnn", None),
    "lstm, forget bias 0": ("lstm", 0.0),
    "lstm, forget bias 1": ("lstm", 1.0),
    "gru": ("gru", None),
}
RUNS = (  # task, length, cell, step size, epochs of 200 steps
    ("adding", 10, "rnn", 1e-2, 12),
    ("adding", 30, "rnn", 1e-2, 12),
    ("adding", 100, "rnn", 1e-2, 8),
    ("adding", 100, "rnn", 1e-3, 8),
    ("adding", 100, "lstm, forget bias 0", 1e-2, 8),
    ("adding", 100, "lstm, forget bias 1", 1e-2, 8),
    ("adding", 100, "gru", 1e-2, 8),
    ("adding", 100, "rnn", 1e-2, 12),
    ("copy", 10, "rnn", 1e-3, 12),
    ("copy", 10, "lstm, forget bias 0", 1e-2, 12),
    ("copy", 10, "lstm, forget bias 1", 1e-2, 12),
    ("copy", 10, "gru", 1e-2, 12),
    ("copy", 10, "gru", 1e-2, 40),
)
KEYS = ("task", "length", "cell", "learning_rate", "epochs", "seed")
SETTINGS = [dict(zip(KEYS, (*run, seed), strict=True)) for run in RUNS for seed in range(3)]


def build(task: str, cell: str) -> SequenceModel:
    """The untrained network with a cell, of the size for a task."""
    name, forget_bias = CELLS[cell]
    model = SequenceModel(name, 2, 32, 1) if task == "adding" else SequenceModel(name, 10, 64, 9)
    if forget_bias is not None:
        set_forget_bias(model.rnn, forget_bias)  # type: ignore[arg-type]
    return model


def measure(
    task: str, length: int, cell: str, learning_rate: float, epochs: int, seed: int
) -> dict[str, Any]:
    """Figures of 2,000 test sequences; ``length`` is T, of the copy task the delay.

    - **loss**: mean squared error; of the copy task the cross-entropy in nats per step;
    - **loss_over_time**: the same after each epoch;
    - **recalled**: of the copy task, the share of its symbols that are the likeliest answer; of the
      adding problem None.
    """
    make = adding_problem if task == "adding" else copy_task
    inputs, targets = make(SEQUENCES, length, rng=torch.Generator().manual_seed(1000 + seed))
    test_inputs, test_targets = make(2000, length, rng=torch.Generator().manual_seed(0))
    torch.manual_seed(seed)
    model = build(task, cell)
    model.learning_rate = learning_rate
    over_time: list[float] = []

    def note(epoch: int, model: Any) -> None:
        device = next(model.parameters()).device
        with evaluating(model):
            over_time.append(model.loss(test_inputs.to(device), test_targets.to(device)).item())

    train(
        model,
        inputs,
        targets,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        seed=seed,
        schedule="cosine",
        clip_norm=1.0,
        on_epoch=note,
    )
    recalled = None
    if task == "copy":
        with evaluating(model):
            answers = model(test_inputs)[:, -10:].argmax(dim=2)
        recalled = (answers == test_targets[:, -10:]).float().mean().item()
    return {"loss": over_time[-1], "loss_over_time": over_time, "recalled": recalled}
