"""Two processes, started by torchrun, compute what one does.

Run as a script, this file is one of the processes: ``test_distributed.py RUN_DIR``.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from companion import Player, train
from companion.files import load_tensors
from companion.models import RowRNN

IMAGES = torch.randint(256, (24, 1, 4, 4), generator=torch.Generator().manual_seed(0)).byte()


class Pair(nn.Module):
    """A game of two players without noise: a row model, and a critic that it has to convince."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = RowRNN("gru", 4, features=3, image_shape=(1, 4, 4))
        self.critic = nn.Sequential(nn.Linear(16, 4), nn.SiLU(), nn.Linear(4, 1))

    def scores(self, images: Tensor) -> Tensor:
        return self.critic(self.rows.parameters_of(images)[:, 3].flatten(1)).squeeze(1)

    def critic_loss(self, images: Tensor) -> Tensor:
        return (self.scores(images) - images.mean(dim=(1, 2, 3))).square().mean()

    def rows_loss(self, images: Tensor) -> Tensor:
        return self.rows.loss(images) + self.scores(images).square().mean()

    def players(self) -> list[Player]:
        return [
            Player("critic", self.critic, self.critic_loss, learning_rate=1e-2),
            Player("rows", self.rows, self.rows_loss, learning_rate=1e-2, every=2),
        ]


def run(run_dir: Path) -> None:
    """Two epochs, a pause, a third: the processes resume together, too."""
    for epochs in (2, 3):
        torch.manual_seed(0)
        model = Pair().double()
        train(
            model,
            IMAGES,
            epochs=epochs,
            batch_size=8,
            accumulate=2,
            clip_norm=5.0,
            device="cpu",
            run_dir=run_dir,
            progress=False,
        )


def test_two_processes_give_the_gradients_and_weights_of_one(tmp_path: Path) -> None:
    run(tmp_path / "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--master-addr", "127.0.0.1", "--master-port", str(port)),
        *(__file__, str(tmp_path / "two")),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    one, notes_of_one = load_tensors(tmp_path / "one" / "checkpoint.safetensors")
    two, notes_of_two = load_tensors(tmp_path / "two" / "checkpoint.safetensors")
    assert notes_of_one["step"] == notes_of_two["step"] == 9
    # Adam's first moments are averages of gradients, which Adam itself would hide the scale of.
    compared = [name for name in one if not name.startswith("random.")]
    assert any(name.endswith("exp_avg") for name in compared)
    assert {name for name in two if not name.startswith("random.")} == set(compared)
    for name in compared:
        torch.testing.assert_close(two[name], one[name], rtol=0, atol=1e-6)
    assert {"random.0", "random.1"} <= two.keys(), "each process keeps its own random state"


if __name__ == "__main__":
    run(Path(sys.argv[1]))
