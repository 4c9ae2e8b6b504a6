"""Two processes, started by torchrun, compute what one does: all in float64, without noise.

Run as a script, this file is one of the processes: ``test_distributed.py RUN_DIR``.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from companion import Player, train
from companion.files import load_tensors
from companion.models import RowRNN
from companion.models.vq_vae import VQVAE

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


class Normalized(nn.Module):
    """Batch norm of both kinds, one without weights, one of a plain average; and an idle weight."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 3, 3),
            nn.BatchNorm2d(3),
            nn.SiLU(),
            nn.Flatten(),
            nn.Linear(12, 4),
            nn.BatchNorm1d(4, affine=False, momentum=None),
            nn.Linear(4, 1),
        )
        self.idle = nn.Linear(1, 1)

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        error = self.layers(images)[:, 0] - images.mean(dim=(1, 2, 3))
        return {"loss": error.square().mean(), "bias": error.mean()}

    def players(self) -> list[Player]:
        return [Player("error", self, self.loss, learning_rate=1e-2)]


def vq_vae() -> VQVAE:
    """Entries that are revived are drawn by each run for itself: without them it is exact."""
    return VQVAE(6, 3, 3, hidden_size=4, revive=False, image_shape=(1, 4, 4))


BUILDS: dict[str, tuple[Callable[[], nn.Module], dict]] = {
    "pair": (Pair, {"accumulate": 2, "clip_norm": 5.0}),
    "batch norm": (Normalized, {"ema_decay": 0.8}),
    "vq_vae": (vq_vae, {"ema_decay": 0.8}),
}


def run(folder: Path) -> None:
    """Two epochs, a pause, a third: the processes resume together, too."""
    for name, (build, options) in BUILDS.items():
        for epochs in (2, 3):
            torch.manual_seed(0)
            model = build().double()
            history = train(
                model,
                IMAGES,
                epochs=epochs,
                batch_size=8,
                device="cpu",
                run_dir=folder / name,
                progress=False,
                **options,
            )
        rank = os.environ.get("RANK", "0")
        shown = {key: value.tolist() for key, value in model.state_dict().items()}
        end = {"losses": history.losses, "model": shown, "forward": "forward" in vars(model)}
        (folder / name / f"end.{rank}.json").write_text(json.dumps(end))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    run(folder / "one")
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
        *("--standalone", __file__, str(folder / "two")),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return folder


@pytest.mark.parametrize("name", BUILDS)
def test_two_processes_give_the_gradients_and_weights_of_one(name: str, folder: Path) -> None:
    one, notes_of_one = load_tensors(folder / "one" / name / "checkpoint.safetensors")
    two, notes_of_two = load_tensors(folder / "two" / name / "checkpoint.safetensors")
    assert notes_of_one["step"] == notes_of_two["step"] == 9
    # Adam's first moments are averages of gradients, which Adam itself would hide the scale of.
    compared = {key for key in one if not key.startswith("random.")}
    assert any(key.endswith("exp_avg") for key in compared)
    assert {key for key in two if not key.startswith("random.")} - compared <= {
        # A weight that no loss uses has a gradient of zero, in place of none.
        f"optimizer.error.{i}.{kind}"
        for i in (6, 7)
        for kind in ("exp_avg", "exp_avg_sq", "step")
    }
    for key in compared:
        torch.testing.assert_close(two[key], one[key], rtol=0, atol=1e-6, msg=key)
    assert {"random.0", "random.1"} <= two.keys(), "each process keeps its own random state"


@pytest.mark.parametrize("name", BUILDS)
def test_history_and_buffers_are_those_of_one_process(name: str, folder: Path) -> None:
    one = json.loads((folder / "one" / name / "end.0.json").read_text())
    for rank in (0, 1):
        two = json.loads((folder / "two" / name / f"end.{rank}.json").read_text())
        for key, values in one["losses"].items():
            if key == "perplexity":  # of each share: the mean of two is not that of the whole
                continue
            assert two["losses"][key] == pytest.approx(values, abs=1e-6), key
        for key, values in one["model"].items():
            torch.testing.assert_close(
                torch.tensor(two["model"][key]), torch.tensor(values), rtol=0, atol=1e-6, msg=key
            )


def test_several_processes_stop_together_and_resume(tmp_path: Path) -> None:
    """Ctrl-C reaches the processes at different steps; they agree on one."""
    code = f"""
import os, signal, torch
from companion import train
from companion.models import RowRNN
signal.signal(signal.SIGINT, signal.default_int_handler)
rank = int(os.environ["RANK"])
torch.manual_seed(0)
model = RowRNN("gru", 4, features=3, image_shape=(1, 4, 4))
players, calls = model.players(), []
loss = players[0].loss
def noted(x):
    calls.append(1)
    if len(calls) == 13 + 2 * rank:
        os.kill(os.getpid(), signal.SIGINT)
    return loss(x)
players[0].loss = noted
history = train(model, torch.rand(80, 1, 4, 4), epochs=9, batch_size=2, players=players,
                run_dir={str(tmp_path)!r}, device="cpu", progress=False)
assert history.interrupted
"""
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    result = subprocess.run(
        [*command, "--standalone", str(script)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert load_tensors(tmp_path / "checkpoint.safetensors")[1]["step"] == 20


if __name__ == "__main__":
    run(Path(sys.argv[1]))
