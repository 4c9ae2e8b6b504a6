"""What a hostile reader of the loop found: state, callbacks and files of unusual kinds."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from filelock import FileLock
from torch import Tensor, nn

from companion import Player, checks, train, zoo
from companion.cli.training import earlier_run_aside
from companion.files import CheckpointError, load_model, save_model, write_files
from companion.models import GAN, VAE, WGANGP
from companion.training import History, arguments, stop_early

IMAGES = torch.randint(256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
SMALL: dict[str, Any] = {"latent_dim": 3, "width": 4, "image_shape": (1, 8, 8)}


def run(model: nn.Module, *data: Tensor, **options: Any) -> History:
    settings = {"epochs": 2, "batch_size": 8, "device": "cpu", "progress": False} | options
    return train(model, *(data or (IMAGES,)), **settings)


class Named(VAE):
    """A model whose own attributes have the names of settings."""

    def __init__(self) -> None:
        super().__init__(**SMALL)
        self.data, self.batch_size, self.seed, self.model = "mine", 3, None, "another"


@pytest.mark.parametrize(
    ("change", "match"), [({"data": 255 - IMAGES}, "data was"), ({"batch_size": 4}, "batch_size")]
)
def test_a_model_s_attributes_hide_no_setting(
    change: dict[str, Any], match: str, tmp_path: Path
) -> None:
    run(Named(), run_dir=tmp_path)
    data = change.pop("data", IMAGES)
    with pytest.raises(CheckpointError, match=f"another run .*{match}"):
        run(Named(), data, run_dir=tmp_path, **change)


class Counting(VAE):
    """It counts and logs as a student would: in plain attributes."""

    def __init__(self) -> None:
        super().__init__(**SMALL)
        self.count, self.log, self.best = 0, [], float("nan")

    def loss(self, images: Tensor) -> dict[str, Tensor]:
        self.count += 1
        losses = super().loss(images)
        self.log.append(losses["loss"].item())
        return losses


def test_what_training_changes_does_not_forbid_to_resume(tmp_path: Path) -> None:
    model = Counting()
    run(model, run_dir=tmp_path)
    assert run(model, run_dir=tmp_path, epochs=3).epochs == 3, "the same model, more epochs"
    assert run(Counting(), run_dir=tmp_path, epochs=4).epochs == 4, "a fresh one"
    model = Counting()
    model.best = 1.0
    with pytest.raises(CheckpointError, match="best was nan, now 1.0"):
        run(model, run_dir=tmp_path, epochs=5)


@pytest.mark.parametrize("answer", [True, np.bool_(True), torch.tensor(True)])
def test_every_kind_of_true_ends_a_run(answer: object) -> None:
    assert run(VAE(**SMALL), epochs=5, on_epoch=lambda *_: answer).epochs == 1


@pytest.mark.parametrize("answer", [None, 1, "yes", torch.ones(3), {"loss": 1.0}])
def test_what_else_a_callback_returns_does_not(answer: object) -> None:
    assert run(VAE(**SMALL), on_epoch=lambda *_: answer).epochs == 2


def test_a_run_that_was_ended_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(VAE(**SMALL), run_dir=tmp_path, on_epoch=lambda *_: True)
    assert run(VAE(**SMALL), run_dir=tmp_path, epochs=9, progress=True).epochs == 1
    assert "where on_epoch has ended it" in capsys.readouterr().err


def test_ctrl_c_after_the_last_step_interrupts_nothing() -> None:
    def stop(epoch: int, model: nn.Module) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    history = run(VAE(**SMALL), on_epoch=stop)
    assert (history.epochs, history.interrupted) == (2, False)


@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": np.int64(8)},
        {"seed": np.int64(8)},
        {"clip_norm": np.float32(1)},
        {"ema_decay": torch.tensor(0.9)},
        {"learning_rate": np.float32(1e-3)},
    ],
    ids=str,
)
def test_numbers_of_numpy_and_torch_are_saved(options: dict[str, Any], tmp_path: Path) -> None:
    for epochs in (1, 2):
        torch.manual_seed(0)
        assert run(VAE(**SMALL), run_dir=tmp_path, **options | {"epochs": epochs}).epochs == epochs


def test_partial_functions_are_the_same_in_another_process(tmp_path: Path) -> None:
    from companion.training.settings import _source

    code = """
from functools import partial
from companion.training.settings import _source
def loss(net, act, scale, images): ...
class Net: ...
print(_source(partial(loss, Net(), print, scale=2.0)))
print(_source(partial(loss, Net(), print, scale=3.0)))
"""
    command = [sys.executable, "-c", code]
    first, second = (
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        for _ in "ab"
    )
    assert first == second
    assert first[0] != first[1]
    assert _source(partial(print, 1)) != _source(partial(print, 2))


def test_values_are_looked_at_once_and_of_images_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator, where the checks of the losses do not look."""
    looks: list[Tensor] = []
    real = checks.pixel_range

    def noted(name: str, values: Tensor) -> None:
        looks.append(values)
        real(name, values)

    monkeypatch.setattr(checks, "values_are_readable", lambda tensor: False)
    monkeypatch.setattr(checks, "pixel_range", noted)
    images = IMAGES / 255
    with pytest.raises(ValueError, match=r"use \(images \+ 1\) / 2"):
        arguments.look_at(2 * images - 1)
    looks.clear()
    run(VAE(**SMALL), images)
    assert len(looks) == 1


def test_other_tensors_may_have_any_values() -> None:
    class Flow(VAE):
        def loss(self, images: Tensor, flow: Tensor) -> Tensor:  # type: ignore[override]
            return super().loss(images)["loss"] + 0 * flow.mean()

    run(Flow(**SMALL), IMAGES / 255, torch.randn(40, 3, 2, 2))


@pytest.mark.parametrize("labels", [torch.zeros(39), torch.zeros(0)])
def test_lengths_are_compared_before_anything_is_written(labels: Tensor, tmp_path: Path) -> None:
    class Labeled(VAE):
        def loss(self, images: Tensor, labels: Tensor) -> Any:  # type: ignore[override]
            return super().loss(images)

    with pytest.raises(ValueError, match=r"one length|batch_size must be at most 0"):
        run(Labeled(**SMALL), IMAGES, labels, run_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_sample_that_is_no_tensor_is_refused(tmp_path: Path) -> None:
    class Pair(VAE):
        def sample(self, n: int, *, rng: Any = None, mean: bool = False) -> Any:
            return super().sample(n, rng=rng), None

    with pytest.raises(TypeError, match="returned tuple.*preview"):
        run(Pair(**SMALL), run_dir=tmp_path)


def test_players_whose_names_begin_alike_resume(tmp_path: Path) -> None:
    def players(model: nn.Module) -> list[Player]:
        first, second = model.players()  # type: ignore[operator]
        first.name, second.name = "g", "g.x"
        return [first, second]

    for epochs in (1, 2):
        model = GAN(latent_dim=3, hidden_size=4, image_shape=(1, 8, 8))
        assert run(model, players=players(model), run_dir=tmp_path, epochs=epochs).epochs == epochs


def test_two_rates_of_decay_are_asked_for() -> None:
    with pytest.raises(ValueError, match=r"betas of player 'x' must be two numbers, got \(0.9,\)"):
        Player("x", nn.Linear(1, 1), print, betas=(0.9,))  # type: ignore[arg-type]


def test_stop_early_wants_a_function() -> None:
    with pytest.raises(TypeError, match="measure must be a function of the model, got float"):
        stop_early(0.3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda path: save_model(VAE(**SMALL), path), "file's name and then a model, got str"),
        (lambda path: load_model(path, VAE), "file's name and then a model, got the class VAE"),
    ],
)
def test_models_are_saved_under_a_name(call: Callable[[str], Any], match: str) -> None:
    with pytest.raises(TypeError, match=f"{match}.*; use"):
        call("x.safetensors")


def test_what_a_subclass_passes_on_is_no_argument() -> None:
    with pytest.raises(TypeError, match=r"WGANGP takes penalty, \*\*network"):
        WGANGP(5)  # type: ignore[call-arg]


def test_files_that_belong_together_are_written_together(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    write_files({a: b"old a", b: b"old b"})
    (tmp_path / ".b.part").mkdir()  # in the way of the second
    with pytest.raises(CheckpointError, match="could not save .*b: "):
        write_files({a: b"new a", b: b"new b"})
    assert (a.read_bytes(), b.read_bytes()) == (b"old a", b"old b")
    assert not (tmp_path / ".a.part").exists()


def test_weights_are_never_replaced_without_their_card(tmp_path: Path) -> None:
    facts = {"data": "none", "command": "none", "seed": 0, "epochs": 0}
    model = zoo.recipe("vae").build()
    zoo.save(model, "vae", tmp_path, minutes=1.0, **facts)
    (tmp_path / ".card.json.part").mkdir()
    with torch.no_grad():
        next(model.parameters()).add_(1)
    with pytest.raises(CheckpointError, match="could not save .*card.json"):
        zoo.save(model, "vae", tmp_path, minutes=1.0, **facts)
    zoo.read_run(tmp_path)


def test_a_run_that_is_alive_is_not_put_aside(tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    checkpoint.write_bytes(b"alive")
    (tmp_path / "card.json").write_bytes(b"card")
    with FileLock(tmp_path / ".lock"):
        with pytest.raises(CheckpointError, match="another run is writing"):
            with earlier_run_aside(tmp_path):
                raise AssertionError("not reached")
    assert checkpoint.read_bytes() == b"alive"
    assert (tmp_path / "card.json").read_bytes() == b"card"


def test_one_process_decides_when_a_run_ends(tmp_path: Path) -> None:
    """Each process measures with its own noise: they would end at different epochs."""
    script = tmp_path / "script.py"
    script.write_text(
        f"""
import json, os, torch
from pathlib import Path
from companion import train
from companion.models import VAE
torch.manual_seed(0)
rank = os.environ["RANK"]
seen = []
def on_epoch(epoch, model):
    seen.append(epoch)
    return epoch == (2 if rank == "0" else 4)
history = train(VAE(latent_dim=3, width=4, image_shape=(1, 8, 8)), torch.rand(8, 1, 8, 8), epochs=6,
                batch_size=4, device="cpu", progress=False, on_epoch=on_epoch)
Path({str(tmp_path)!r}, rank).write_text(json.dumps([history.epochs, history.stopped, seen]))
"""
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    result = subprocess.run(
        [*command, "--standalone", str(script)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads((tmp_path / "0").read_text()) == [2, True, [1, 2]]
    assert json.loads((tmp_path / "1").read_text()) == [2, True, []]
    assert "FutureWarning" not in result.stderr
