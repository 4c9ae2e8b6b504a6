"""Runs that are killed, interrupted or left without disk space lose nothing.

Run as a script, this file is the run to be killed: ``test_resume.py NAME RUN_DIR HOW AT``.
"""

import functools
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from companion import train
from companion.files import CheckpointError, load_tensors
from companion.models import DCGAN, VAE
from companion.training import History

EPOCHS, STEPS_PER_EPOCH, SAVE_EVERY = 4, 5, 3
STEPS = EPOCHS * STEPS_PER_EPOCH
IMAGES = torch.randint(256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
GAMES: dict[str, type[VAE] | type[DCGAN]] = {"vae": VAE, "dcgan": DCGAN}
PLAYERS = {"vae": 1, "dcgan": 2}


def build(name: str) -> nn.Module:
    torch.manual_seed(1)
    return GAMES[name](latent_dim=3, width=4, image_shape=(1, 8, 8))


def before_loss(model: nn.Module, at: int, act: Callable[[], None]) -> list[int]:
    """Act when the players together compute their ``at``-th loss; the list counts them."""
    calls = [0]
    players = model.players()  # type: ignore[operator]

    def counted(loss: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(loss)  # the run must not take it for another loss
        def wrapped(*batch: Tensor) -> Any:
            calls[0] += 1
            if calls[0] == at:
                act()
            return loss(*batch)

        return wrapped

    for player in players:
        player.loss = counted(player.loss)
    model.players = lambda: players  # type: ignore[assignment]
    return calls


def run(model: nn.Module, run_dir: Path | None = None, **options: Any) -> History:
    """Everything that has a state takes part: averages, schedule, clipping, noise."""
    settings: dict[str, Any] = {
        "epochs": EPOCHS,
        "batch_size": 8,
        "device": "cpu",
        "schedule": "cosine",
        "clip_norm": 1.0,
        "ema_decay": 0.9,
        "checkpoint_every": SAVE_EVERY,
        "progress": False,
    }
    return train(model, IMAGES, run_dir=run_dir, **settings | options)


def uninterrupted(name: str, **options: Any) -> nn.Module:
    model = build(name)
    run(model, **options)
    return model


def assert_same(model: nn.Module, reference: nn.Module) -> None:
    state = model.state_dict()
    for name, value in reference.state_dict().items():
        assert torch.equal(state[name], value), f"{name} differs"


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_run(name: str, run_dir: Path, how: str, at: int) -> None:
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("Windows has no SIGKILL")
    command = [sys.executable, __file__, name, str(run_dir), how, str(at)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == -signal.SIGKILL, result.stderr


@pytest.mark.parametrize("name", GAMES)
def test_killed_at_a_random_step_and_resumed(name: str, tmp_path: Path) -> None:
    first_that_has_a_checkpoint = SAVE_EVERY * PLAYERS[name] + 1
    at = random.SystemRandom().randint(first_that_has_a_checkpoint, STEPS * PLAYERS[name])
    killed_run(name, tmp_path, "loss", at)
    _, notes = load_tensors(tmp_path / "checkpoint.safetensors")
    model = build(name)
    calls = before_loss(model, 0, kill)
    history = run(model, tmp_path)
    assert calls == [PLAYERS[name] * (STEPS - notes["step"])], "only what was missing is computed"
    assert history.steps[-1] == STEPS
    assert_same(model, uninterrupted(name))  # for `at` see the command line above


def test_killed_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    """The fourth save dies with its bytes written and its name not yet taken."""
    killed_run("dcgan", tmp_path, "replace", 4)
    assert (tmp_path / ".checkpoint.safetensors.part").exists()
    _, notes = load_tensors(tmp_path / "checkpoint.safetensors")
    assert notes["step"] == 6  # saved at 3, 5 (the epoch's end), 6; dead at 9
    model = build("dcgan")
    run(model, tmp_path)
    assert_same(model, uninterrupted("dcgan"))
    assert not (tmp_path / ".checkpoint.safetensors.part").exists()


@pytest.mark.parametrize("at", [1, 12, 13])
def test_ctrl_c_keeps_whole_steps_and_is_resumed(at: int, tmp_path: Path) -> None:
    """In the middle of a discriminator's (odd) and of a generator's (even) move."""
    model = build("dcgan")
    before_loss(model, at, lambda: signal.raise_signal(signal.SIGINT))
    history = run(model, tmp_path)
    assert history.interrupted
    _, notes = load_tensors(tmp_path / "checkpoint.safetensors")
    assert notes["step"] == (at + 1) // 2
    assert history.steps[-1] == notes["step"], "the losses of the last steps are kept"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed = build("dcgan")
    history = run(resumed, tmp_path)
    assert not history.interrupted
    assert history.epochs == EPOCHS
    assert_same(resumed, uninterrupted("dcgan"))


def test_ctrl_c_keeps_what_was_learned_in_the_model() -> None:
    model = build("vae")
    before = [p.detach().clone() for p in model.parameters()]
    before_loss(model, 7, lambda: signal.raise_signal(signal.SIGINT))
    history = run(model)
    assert history.interrupted
    assert history.images == 7 * 8
    assert any(not torch.equal(p, q) for p, q in zip(model.parameters(), before, strict=True))


def test_a_second_ctrl_c_does_not_wait() -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("not reached")

    model = build("vae")
    calls = before_loss(model, 7, twice)
    assert run(model).interrupted
    assert calls == [7]


def test_ctrl_c_while_drawing_between_epochs(tmp_path: Path) -> None:
    def interrupt(epoch: int, model: nn.Module) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    model = build("vae")
    history = run(model, tmp_path, on_epoch=interrupt)
    assert (history.interrupted, history.epochs) == (True, 2)
    resumed = build("vae")
    run(resumed, tmp_path)
    assert_same(resumed, uninterrupted("vae"))


def test_a_full_disk_loses_neither_weights_nor_the_earlier_checkpoint(
    tmp_path: Path, full_disk: Path
) -> None:
    """A full disk stands where the second epoch's checkpoint is to be written."""

    def fill(epoch: int, model: nn.Module) -> None:
        (tmp_path / ".checkpoint.safetensors.part").symlink_to(full_disk)

    model = build("vae")
    options: dict[str, Any] = {"checkpoint_every": None, "ema_decay": None}
    with pytest.raises(CheckpointError, match="No space left on device; an earlier file"):
        run(model, tmp_path, on_epoch=fill, **options)
    _, notes = load_tensors(tmp_path / "checkpoint.safetensors")
    assert notes["step"] == STEPS_PER_EPOCH

    two_epochs = build("vae")  # the model itself has got as far as the disk let it
    run(two_epochs, epochs=EPOCHS, on_epoch=stop_after(2), **options)
    assert_same(model, two_epochs)

    resumed = build("vae")
    run(resumed, tmp_path, **options)
    assert_same(resumed, uninterrupted("vae", **options))


def stop_after(last: int) -> Callable[[int, nn.Module], None]:
    def on_epoch(epoch: int, model: nn.Module) -> None:
        if epoch == last:
            raise KeyboardInterrupt

    return on_epoch


def test_a_full_disk_while_a_sheet_is_drawn(tmp_path: Path, full_disk: Path) -> None:
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / ".epoch_0002.png.part").symlink_to(full_disk)
    with pytest.raises(CheckpointError, match="could not save .*epoch_0002.png: No space left"):
        run(build("vae"), tmp_path)
    assert not (tmp_path / "samples" / "epoch_0002.png").exists()
    resumed = build("vae")
    run(resumed, tmp_path)
    assert_same(resumed, uninterrupted("vae"))


def test_more_epochs_go_on_and_fewer_are_refused(tmp_path: Path) -> None:
    options: dict[str, Any] = {"schedule": "constant"}
    run(build("vae"), tmp_path, epochs=2, **options)
    longer = build("vae")
    history = run(longer, tmp_path, **options)
    assert history.epochs == EPOCHS
    assert_same(longer, uninterrupted("vae", **options))
    again = build("vae")  # nothing is left to do: the trained model comes back
    calls = before_loss(again, 0, kill)
    assert run(again, tmp_path, **options).losses == history.losses
    assert calls == [0]
    assert_same(again, longer)
    with pytest.raises(ValueError, match=r"is already at epoch 4, beyond the 3 asked for"):
        run(build("vae"), tmp_path, epochs=3, **options)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"seed": 1}, "seed was 0, now 1"),
        ({"batch_size": 4}, "batch_size was 8, now 4"),
        ({"ema_decay": None}, "ema_decay was 0.9, now None"),
        ({"epochs": 9}, "epochs was 4, now 9"),  # the cosine would bend in another place
    ],
)
def test_a_checkpoint_of_another_run_is_refused(
    change: dict[str, Any], match: str, tmp_path: Path
) -> None:
    run(build("vae"), tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(CheckpointError, match=f"belongs to another run .*{match}.* new|{match}"):
        run(build("vae"), tmp_path, **change)
    with pytest.raises(CheckpointError, match="model was 'VAE', now 'DCGAN'"):
        run(build("dcgan"), tmp_path)
    with pytest.raises(CheckpointError, match="latent_dim was 3, now 5"):
        run(VAE(latent_dim=5, width=4, image_shape=(1, 8, 8)), tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    run(build("vae"), tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    model = build("vae")
    with pytest.raises(CheckpointError, match="is damaged .* delete it and train again"):
        run(model, tmp_path)
    assert_same(model, build("vae"))


def die_in_replace(at: int) -> None:
    replace, calls = os.replace, [0]

    def wrapped(*args: Any, **kwargs: Any) -> None:
        calls[0] += Path(args[1]).suffix == ".safetensors"
        if calls[0] == at:
            kill()
        replace(*args, **kwargs)

    os.replace = wrapped  # type: ignore[assignment]


if __name__ == "__main__":
    name, run_dir, how, at = sys.argv[1:]
    model = build(name)
    if how == "loss":
        before_loss(model, int(at), kill)
    else:
        die_in_replace(int(at))
    run(model, Path(run_dir))
