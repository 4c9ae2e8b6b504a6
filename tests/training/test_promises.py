"""The loop's promises, on models for which they are not easy to keep."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from companion import Player, train
from companion.files import CheckpointError, load_tensors
from companion.models import DCGAN, VAE, VQVAE, BetaVAE, HingeGAN
from companion.training import History, stop_early

IMAGES = torch.randint(256, (40, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
SMALL: dict[str, Any] = {"latent_dim": 3, "width": 4, "image_shape": (1, 8, 8)}


def run(model: nn.Module, *data: Tensor, **options: Any) -> History:
    settings = {"epochs": 2, "batch_size": 8, "device": "cpu", "progress": False} | options
    return train(model, *(data or (IMAGES,)), **settings)


def test_an_average_leaves_counters_and_spectral_norm_alone() -> None:
    priced = BetaVAE(beta=4.0, warm_up=5, **SMALL)
    run(priced, ema_decay=0.999)
    assert priced.steps == 10
    assert priced.price().item() == pytest.approx(4.0)

    torch.manual_seed(0)
    plain, averaged = (HingeGAN(latent_dim=3, hidden_size=8, image_shape=(1, 8, 8)) for _ in "ab")
    averaged.load_state_dict(plain.state_dict())
    for model, decay in ((plain, None), (averaged, 0.9)):
        run(model, ema_decay=decay, epochs=3)
    for name, buffer in plain.named_buffers():
        assert torch.equal(dict(averaged.named_buffers())[name], buffer), name


def test_batch_statistics_are_averaged_as_weights_are() -> None:
    """With one step an epoch, the average of two steps by hand."""
    name = "generator.layers.2.running_mean"
    torch.manual_seed(0)
    start, seen = DCGAN(**SMALL).state_dict(), []
    for options in ({}, {"ema_decay": 0.75}):
        model = DCGAN(**SMALL)
        model.load_state_dict(start)
        states: list[Tensor] = []
        run(
            model,
            batch_size=40,
            on_epoch=lambda _, m, states=states: states.append(m.state_dict()[name].clone()),
            **options,
        )
        seen.append(states)
    (first, second), (_, average) = seen
    torch.testing.assert_close(average, 0.75 * first + 0.25 * second)


def test_measuring_in_on_epoch_changes_nothing() -> None:
    """The usual validation loss must not move batch statistics, counters or codebooks."""
    builds = {
        "dcgan": lambda: DCGAN(**SMALL),
        "beta_vae": lambda: BetaVAE(warm_up=50, **SMALL),
        "vq_vae": lambda: VQVAE(8, 4, 4, hidden_size=8, image_shape=(1, 8, 8)),
    }

    def validate(epoch: int, model: nn.Module) -> None:
        assert not model.training
        assert not torch.is_grad_enabled()
        for player in model.players():  # type: ignore[operator]
            player.loss(1 - IMAGES / 255)

    for name, build in builds.items():
        states = []
        for on_epoch in (None, validate):
            torch.manual_seed(0)
            model = build()
            run(model, on_epoch=on_epoch)
            states.append(model.state_dict())
        for key, value in states[0].items():
            assert torch.equal(states[1][key], value), f"{name}: {key}"


def test_weights_leave_in_the_order_in_which_they_came(tmp_path: Path) -> None:
    import safetensors.torch

    model = VAE(**SMALL)
    model.flow = nn.Conv3d(1, 1, 1)  # which knows no channels-last order of four dimensions
    run(model)
    assert all(p.is_contiguous() for p in model.parameters())
    safetensors.torch.save_file(model.state_dict(), tmp_path / "weights.safetensors")
    nn.utils.parameters_to_vector(model.parameters())

    def fail(epoch: int, model: nn.Module) -> None:
        raise OSError("no space")

    with pytest.raises(OSError, match="no space"):
        run(model, on_epoch=fail)
    assert all(p.is_contiguous() for p in model.parameters()), "after an error, too"


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"data": 255 - IMAGES}, "data was"),
        ({"beta": 50.0}, "beta was 1.0, now 50.0"),
        ({"clip_norm": 1.0}, "clip_norm was None, now 1.0"),
        ({"learning_rate": 1e-5}, "priced loss: learning_rate was 0.002, now 1e-05"),
        ({"precision": "bf16"}, "precision was 'float32', now 'torch.bfloat16'"),
        ({"accumulate": 2}, "accumulate was 1, now 2"),
        ({"loss": True}, "priced loss: code of the loss was"),
        ({"width": 5}, "encoder.0.out_channels was 4, now 5"),
    ],
)
def test_a_folder_never_takes_one_experiment_for_another(
    change: dict[str, Any], match: str, tmp_path: Path
) -> None:
    class OtherLoss(BetaVAE):
        def loss(self, images: Tensor) -> dict[str, Tensor]:
            return super().loss(images)

    run(BetaVAE(beta=1.0, **SMALL), run_dir=tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    kind = BetaVAE
    if change.pop("loss", None):
        kind = OtherLoss
        kind.__name__ = "BetaVAE"
    arguments = {"beta": change.pop("beta", 1.0)} | SMALL
    arguments["width"] = change.pop("width", 4)
    data = change.pop("data", IMAGES)
    with pytest.raises(CheckpointError, match=f"belongs to another run .*{match}"):
        run(kind(**arguments), data, run_dir=tmp_path, **change)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_resuming_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for _ in range(2):
        torch.manual_seed(0)
        run(VAE(**SMALL), run_dir=tmp_path, progress=True)
    assert "at step 10 of 10" in capsys.readouterr().err


def test_two_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    def another(epoch: int, model: nn.Module) -> None:
        # Trainings of one process take turns; another process would meet the lock alone.
        code = (
            "import torch; from companion import train; from companion.models import VAE\n"
            "train(VAE(latent_dim=3, width=4, image_shape=(1, 8, 8)), torch.rand(8, 1, 8, 8), "
            f"epochs=1, batch_size=8, run_dir={str(tmp_path)!r}, progress=False)"
        )
        errors.append(
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr
        )

    errors: list[str] = []
    run(VAE(**SMALL), run_dir=tmp_path, epochs=1, on_epoch=another)
    assert "another run is writing to" in errors[0]
    assert load_tensors(tmp_path / "checkpoint.safetensors")[1]["step"] == 5


def test_a_folder_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        CheckpointError, match="run_dir .*file.* cannot be written .* choose another"
    ):
        run(VAE(**SMALL), run_dir=tmp_path / "file")


def test_half_a_step_is_never_saved(tmp_path: Path) -> None:
    """Where an editor has a handler of its own, an interrupt may fall anywhere."""
    model = DCGAN(**SMALL)
    calls = 0

    def generator_loss(images: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        if calls == 7:  # step 7: the discriminator has moved, the generator has not
            raise KeyboardInterrupt
        return DCGAN.generator_loss(model, images)

    players = model.players()
    players[1].loss = generator_loss
    history = run(model, players=players, run_dir=tmp_path)
    assert history.interrupted
    assert load_tensors(tmp_path / "checkpoint.safetensors")[1]["step"] == 5, "the epoch's end"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_what_ends_the_process_leaves_a_checkpoint(name: str, tmp_path: Path) -> None:
    code = f"""
import os, signal, torch
from companion import train
from companion.models import VAE
signal.signal(signal.{name}, signal.SIG_DFL)
model = VAE(latent_dim=3, width=4, image_shape=(1, 8, 8))
images = torch.rand(40, 1, 8, 8)
players, calls = model.players(), []
loss = players[0].loss
def noted(x):
    calls.append(1)
    if len(calls) == 7:
        os.kill(os.getpid(), signal.{name})
    return loss(x)
players[0].loss = noted
train(model, images, epochs=9, batch_size=8, players=players, run_dir={str(tmp_path)!r},
      progress=False)
print("not reached")
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 128 + getattr(signal, name), result.stderr
    assert "not reached" not in result.stdout
    assert load_tensors(tmp_path / "checkpoint.safetensors")[1]["step"] == 7


def test_handlers_that_are_not_python_s_own_stay() -> None:
    ours = lambda *_: None  # noqa: E731
    before = signal.signal(signal.SIGTERM, ours)
    try:
        seen: list[Any] = []
        run(VAE(**SMALL), on_epoch=lambda *_: seen.append(signal.getsignal(signal.SIGTERM)))
        assert seen == [ours, ours]
        assert signal.getsignal(signal.SIGTERM) is ours
    finally:
        signal.signal(signal.SIGTERM, before)


def test_trainings_in_two_threads_take_turns() -> None:
    def one(seed: int) -> dict[str, Tensor]:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = VAE(**SMALL)
        run(model, epochs=3, seed=seed)
        return model.state_dict()

    expected = [one(seed) for seed in (1, 2)]
    models = [VAE(**SMALL) for _ in range(2)]
    for model in models:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model.load_state_dict(VAE(**SMALL).state_dict())
    threads = [
        threading.Thread(target=run, args=(model,), kwargs={"epochs": 3, "seed": seed})
        for model, seed in zip(models, (1, 2), strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for state, model in zip(expected, models, strict=True):
        for name, value in model.state_dict().items():
            assert torch.equal(state[name], value), name


class Labeled(VAE):
    """A model whose sample takes labels."""

    def sample(self, labels: Tensor) -> Tensor:  # type: ignore[override]
        return super().sample(len(labels))


def test_a_sample_that_takes_labels_is_refused_before_training(tmp_path: Path) -> None:
    model = Labeled(**SMALL)
    before = model.encoder[0].weight.clone()
    with pytest.raises(TypeError, match=r"Labeled.sample\(64, rng=rng\) .* method preview\(rng\)"):
        run(model, run_dir=tmp_path)
    assert torch.equal(model.encoder[0].weight, before)


def test_a_preview_is_what_the_sheets_show(tmp_path: Path) -> None:
    class Previewed(Labeled):
        def preview(self, rng: torch.Generator) -> Tensor:
            assert not self.training
            return torch.rand(4, 1, 8, 8, generator=rng)

    run(Previewed(**SMALL), run_dir=tmp_path)
    assert len(list((tmp_path / "samples").iterdir())) == 3


def test_on_record_gets_step_and_losses() -> None:
    seen: list[tuple[int, dict[str, float]]] = []
    history = run(
        VAE(**SMALL), epochs=3, on_record=lambda step, losses: seen.append((step, losses))
    )
    assert [step for step, _ in seen] == history.steps
    assert seen[0][1].keys() == {"negative ELBO", "distortion", "rate"}
    assert seen[-1][1]["rate"] == history.losses["rate"][-1]


def test_on_epoch_can_end_the_run(tmp_path: Path) -> None:
    model = VAE(**SMALL)
    history = run(model, epochs=9, on_epoch=lambda epoch, _: epoch == 2, run_dir=tmp_path)
    assert (history.epochs, history.stopped, history.interrupted) == (2, True, False)
    again = VAE(**SMALL)
    history = run(again, epochs=9, on_epoch=lambda epoch, _: epoch == 2, run_dir=tmp_path)
    assert (history.epochs, history.stopped) == (2, True), "it is finished, and stays so"
    assert torch.equal(again.encoder[0].weight, model.encoder[0].weight)


def test_stop_early() -> None:
    figures = iter([3.0, 2.0, 2.5, 2.1, 2.2, 0.0])
    history = run(VAE(**SMALL), epochs=9, on_epoch=stop_early(lambda model: next(figures)))
    assert history.epochs == 5, "three epochs after the best, the second"
    with pytest.raises(ValueError, match="patience must be at least 1"):
        stop_early(lambda model: 0.0, patience=0)


def test_tensorboard_logs(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from companion.training import tensorboard

    run(VAE(**SMALL), on_record=tensorboard(tmp_path))
    (events,) = tmp_path.glob("events.out.tfevents.*")
    assert b"distortion" in events.read_bytes()


def test_data_larger_than_memory_may_be_a_memory_map(tmp_path: Path) -> None:
    path = tmp_path / "images.bin"
    path.write_bytes(IMAGES.numpy().tobytes())
    mapped = torch.from_file(str(path), shared=False, size=IMAGES.numel(), dtype=torch.uint8)
    torch.manual_seed(0)
    expected = VAE(**SMALL)
    run(expected)
    torch.manual_seed(0)
    model = VAE(**SMALL)
    run(model, mapped.view_as(IMAGES))
    assert torch.equal(model.encoder[0].weight, expected.encoder[0].weight)


def test_a_resumed_optimizer_of_any_kind(tmp_path: Path) -> None:
    """Its state may hold numbers that are no tensors."""

    def players(model: nn.Module) -> list[Player]:
        from dataclasses import replace

        return [replace(p, optimizer=torch.optim.NAdam) for p in model.players()]  # type: ignore[operator]

    def stop(epoch: int, model: nn.Module) -> bool:
        if epoch == 2:
            raise KeyboardInterrupt
        return False

    states = []
    for on_epoch, times in ((None, 1), (stop, 2)):
        for _ in range(times):
            torch.manual_seed(0)
            model = VAE(**SMALL)
            folder = tmp_path / str(times)
            run(model, epochs=4, players=players(model), on_epoch=on_epoch, run_dir=folder)
        states.append(model.state_dict())
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value), name


def test_a_checkpoint_is_not_mapped_after_loading(tmp_path: Path) -> None:
    """On Windows a mapped file cannot be replaced; elsewhere its values would change with it."""
    run(VAE(**SMALL), run_dir=tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    tensors, _ = load_tensors(path)
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    with open(path, "r+b") as file:
        file.seek(-4096, os.SEEK_END)
        file.write(b"\xff" * 4096)
    time.sleep(0.01)
    assert all(torch.equal(tensors[name], before[name]) for name in tensors)
