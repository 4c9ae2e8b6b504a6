"""How fast this machine is beside the one on which the book's times were measured.

The same few training steps are timed on both. Each part is repeated and its fastest repetition
counts: that is the machine's speed, whatever else it is doing.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: The machine of the table of times and its seconds, written by `make notebooks`.
REFERENCE = Path(__file__).with_name("calibration.json")
REPETITIONS = 5


def calibrate(told: Callable[[], object] = lambda: None) -> float:
    """Seconds that a few steps of a VAE, a DCGAN and a recurrent network take here.

    They run where notebooks would train, on a GPU if there is one, and leave torch's random state
    as it was.

    Args:
        told: called after each of the `3 * REPETITIONS` parts.
    """
    import torch

    from companion import models, train

    images = torch.randint(256, (256, 1, 28, 28), generator=torch.Generator().manual_seed(0))
    images = images.to(torch.uint8)
    sizes: dict[type[Any], int] = {models.VAE: 256, models.DCGAN: 128, models.RowRNN: 128}
    total = 0.0
    with torch.random.fork_rng(devices=[]):  # the weights are drawn on the CPU
        for make, count in sizes.items():
            model, fastest = make(), float("inf")
            for _ in range(REPETITIONS):
                start = time.perf_counter()
                train(model, images[:count], epochs=1, batch_size=64, progress=False)
                fastest = min(fastest, time.perf_counter() - start)
                told()
            total += fastest
    return total


def reference() -> float:
    """Seconds of the same steps on the machine of the book's times."""
    return float(json.loads(REFERENCE.read_text(encoding="utf-8"))["seconds"])
