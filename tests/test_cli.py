"""The command line as a process: what a reader types, what appears, what stays on disk."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from companion import cli, evaluation, experiments, training, zoo
from companion.data import LabeledImages, fashion_mnist
from companion.files import CheckpointError
from companion.zoo import recipes

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "100", "NO_COLOR": "1"}
RECIPE = """
constructor = "companion.models.vae:VAE"
intended_use = "a test"
limits = "all"

[arguments]
latent_dim = 2
width = 2
components = 1

[training]
epochs = 1
batch_size = 50
seed = 0
ema_decay = 0.9
"""
QUICK = ("--epochs", "1", "--sample-data", "--device", "cpu")


def companion(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `companion WORDS` in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "companion", *words],
        cwd=folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )


def is_one_sentence(text: str) -> bool:
    """The last line is `companion: ...`, and nothing looks like a traceback."""
    last = text.splitlines()[-1]
    return last.startswith("companion: ") and "Traceback" not in text and 'File "' not in text


# ---- Whole journeys ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder in which `companion train classifier` was stopped by Ctrl-C and then resumed."""
    folder = tmp_path_factory.mktemp("journey")
    command = [sys.executable, "-m", "companion", "train", "classifier", *QUICK]
    process = subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    shown = ""
    deadline = time.monotonic() + 600
    while not re.search(r"\b[3-9]/78", shown) and time.monotonic() < deadline:
        shown += process.stderr.read(1)
    process.send_signal(signal.SIGINT)
    shown += process.stderr.read()
    assert process.wait(600) == 130, shown
    assert "the same command resumes it" in shown
    assert not (folder / "runs/classifier" / zoo.WEIGHTS).exists()

    second = companion("train", "classifier", *QUICK, folder=folder)
    assert second.returncode == 0, second.stderr
    assert "resuming" in second.stderr
    return folder, second.stdout


@pytest.mark.slow
def test_train_leaves_weights_card_and_checkpoint(trained: tuple[Path, str]) -> None:
    folder, said = trained
    run = folder / "runs/classifier"
    assert {path.name for path in run.iterdir()} - {".lock"} == {
        "checkpoint.safetensors",
        zoo.WEIGHTS,
        zoo.CARD,
    }
    assert zoo.WEIGHTS in said
    model, card = zoo.read_run(run)
    assert not model.training
    assert card.command == "companion train classifier --epochs 1 --sample-data"
    assert card.data == "Fashion-MNIST, a sample of 10,000 training images"
    assert card.epochs == 1


@pytest.mark.slow
def test_other_settings_are_no_resumption(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    result = companion("train", "classifier", "--epochs", "2", "--sample-data", folder=folder)
    assert result.returncode == 1
    assert is_one_sentence(result.stderr)
    assert re.search("epochs was 1, now 2.*another", result.stderr)
    zoo.read_run(folder / "runs/classifier")


@pytest.mark.slow
def test_sample_as_a_process(tmp_path: Path) -> None:
    options = ("--n", "9", "--seed", "5", "--out")
    result = companion("sample", "dcgan", *options, "process.png", folder=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "saved 9 images to process.png\n"
    invoke("sample", "dcgan", *options, tmp_path / "again.png")
    assert (tmp_path / "process.png").read_bytes() == (tmp_path / "again.png").read_bytes()
    assert Image.open(tmp_path / "again.png").size == (3 * 30 + 2, 3 * 30 + 2)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ("train", "vea"),
            2,
            r"unknown model 'vea', expected one of beta_vae, .*did you mean 'vae'\?",
        ),
        (("sample", "nothing"), 2, r"unknown model 'nothing', expected one of beta_vae, "),
        (("sample", "."), 1, r"no finished run .*companion train NAME"),
        (("sample", "classifier"), 2, r"classifier draws no images; choose a generative model"),
        (("train", "vae", "--device", "abacus"), 2, r"device must be .*'abacus'"),
        (("experiment", "rate"), 2, r"unknown experiment 'rate', expected one of codebook_use, "),
        (("zoo", "add", "missing"), 1, r"missing holds no finished run"),
    ],
)
def test_mistakes_get_one_sentence_and_no_traceback(
    words: tuple[str, ...],
    code: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["companion", *words])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    said = capsys.readouterr()
    assert exit.value.code == code
    assert is_one_sentence(said.err)
    assert re.search(sentence, said.err)
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_mistyped_name_as_a_process(tmp_path: Path) -> None:
    result = companion("train", "vea", folder=tmp_path)
    assert result.returncode == 2
    assert result.stderr.startswith("companion: unknown model 'vea', expected one of ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_help_of_every_command_shows_an_example() -> None:
    commands: dict[tuple[str, ...], str] = {
        (): "companion sample dcgan --n 64 --out sheet.png",
        ("train",): "companion train dcgan --epochs 2 --sample-data --out runs/try",
        ("sample",): "companion sample runs/vae --n 100 --seed 3 --out vae.png",
        ("evaluate",): "companion evaluate vae",
        ("experiment",): "companion experiment rate_distortion --out runs/mine.json",
        ("zoo", "add"): "companion zoo add runs/vae",
    }
    for command, example in commands.items():
        result = CliRunner().invoke(cli.app, [*command, "--help"], env={"COLUMNS": "120"})
        assert result.exit_code == 0
        assert example in result.output


def test_help_lists_every_recipe_and_every_experiment() -> None:
    for command, names in (("train", zoo.recipe_names()), ("experiment", experiments.names())):
        result = CliRunner().invoke(cli.app, [command, "--help"], env={"COLUMNS": "200"})
        assert all(name in result.output for name in names)


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, companion.cli; print(sorted({'torch', 'numpy'} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "[]\n"


@pytest.mark.slow
def test_the_installed_command_exists() -> None:
    script = Path(sys.executable).with_name("companion")
    result = subprocess.run([script, "zoo", "list"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == repr(zoo.list())


# ---- The rest in this process, with a model that trains at once ----------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A small VAE under the zoo's name, little data, an empty folder to run in."""

    def few(split: str = "train", full: bool = False) -> LabeledImages:
        images, labels = fashion_mnist(split)
        return LabeledImages(images[:700], labels[:700])

    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes/vae.toml").write_text(RECIPE)
    monkeypatch.setattr(recipes, "FOLDER", tmp_path / "recipes")
    monkeypatch.setattr("companion.data.fashion_mnist", few)
    monkeypatch.setattr(evaluation, "fashion_mnist", few)
    evaluation._references.cache_clear()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def invoke(*words: Any) -> str:
    result = CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_train_sample_evaluate_add(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    invoke("train", "vae", "--out", "run", "--seed", 4)
    assert (small / "run/samples/epoch_0001.png").exists()
    card = zoo.read_run("run")[1]
    assert (card.seed, card.command) == (4, "companion train vae --seed 4")

    invoke("sample", "run", "--n", 5, "--out", "new/sheet.png")
    assert Image.open(small / "new/sheet.png").size == (3 * 30 + 2, 2 * 30 + 2)

    table = invoke("evaluate", "run")
    for row in ("bits per dimension", "WebP, sheets", "Liu et al. 2022", "share of Bag"):
        assert row in table
    figures = json.loads(invoke("evaluate", "run", "--json"))
    assert 3 < figures["metrics"]["bits_per_dimension"] < 8
    assert figures["metrics"]["frechet_distance"] > figures["references"]["frechet_distance"]
    assert f"{figures['metrics']['frechet_distance']:.3f}" in table

    monkeypatch.setattr(zoo, "FOLDER", small / "zoo")
    monkeypatch.setattr(evaluation, "evaluate", lambda model, **options: {"score": 1.5})
    assert "score" in invoke("zoo", "add", "run")
    assert invoke("zoo", "verify") == "vae: sound\n"
    assert "companion train vae --seed 4" in invoke("zoo", "show", "vae")
    assert "score 1.5" in invoke("zoo", "list")


def test_resume_runs_on_and_restart_starts_anew(small: Path) -> None:
    def weights() -> torch.Tensor:
        return zoo.read_run("runs/vae")[0].encoder[0].weight

    invoke("train", "vae", "--epochs", 1)
    first = weights()
    invoke("train", "vae", "--epochs", 2)  # a constant schedule can be prolonged
    assert zoo.read_run("runs/vae")[1].epochs == 2
    assert not torch.equal(weights(), first)
    invoke("train", "vae", "--epochs", 1, "--restart")
    assert torch.equal(weights(), first)


def test_an_option_that_is_refused_deletes_nothing(small: Path) -> None:
    invoke("train", "vae")
    before = {path: path.read_bytes() for path in (small / "runs/vae").glob("*.*")}
    assert {path.name for path in before} >= {"checkpoint.safetensors", zoo.WEIGHTS, zoo.CARD}
    for wrong in (("--device", "cuda"), ("--epochs", 0), ("--precision", "fp16"), ("--seed", -1)):
        result = CliRunner().invoke(cli.app, ["train", "vae", "--restart", *map(str, wrong)])
        assert isinstance(result.exception, ValueError), wrong
        assert {p: p.read_bytes() for p in (small / "runs/vae").glob("*.*")} == before, wrong


def test_a_run_that_was_begun_anew_is_never_sampled_by_the_old_weights(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    invoke("train", "vae")
    old = zoo.read_run("runs/vae")[0].encoder[0].weight
    train = training.train

    def stopped(*data: Any, **options: Any) -> Any:
        assert not (small / "runs/vae" / zoo.CARD).exists()  # while it runs
        return replace(train(*data, **options), interrupted=True)

    monkeypatch.setattr(training, "train", stopped)
    result = CliRunner().invoke(cli.app, ["train", "vae", "--restart", "--seed", "7"])
    assert result.exit_code == 130
    assert "same command, but --resume for --restart, resumes it" in result.stderr
    assert not list((small / "runs/vae").glob("before.*"))
    result = CliRunner().invoke(cli.app, ["sample", "runs/vae", "--n", "2"])
    assert result.exit_code == 0
    assert "no card, so its checkpoint is used" in result.stderr
    new = zoo.read_checkpoint("runs/vae/checkpoint.safetensors").encoder[0].weight
    assert not torch.equal(old, new)


def test_the_zoo_is_not_overwritten_without_force(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(zoo.FOLDER, small / "zoo")
    monkeypatch.setattr(zoo, "FOLDER", small / "zoo")
    monkeypatch.setattr(evaluation, "evaluate", lambda model, **options: {"score": 1.5})
    invoke("train", "vae", "--out", "run")
    before = zoo.card("vae")
    result = CliRunner().invoke(cli.app, ["zoo", "add", "run"])
    assert isinstance(result.exception, ValueError)
    assert re.search(
        "weights of vae already, .*companion train vae.*use --force", str(result.exception)
    )
    assert zoo.card("vae") == before
    zoo.load("vae")
    assert "score" in invoke("zoo", "add", "run", "--force")
    assert zoo.card("vae").metrics == {"score": 1.5}


def test_a_picture_is_whole_or_not_there(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    invoke("sample", "dcgan", "--n", 4)
    before = (small / "sheet.png").read_bytes()

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        result = CliRunner().invoke(cli.app, ["sample", "dcgan", "--n", "9"])
    assert isinstance(result.exception, CheckpointError)
    assert (small / "sheet.png").read_bytes() == before
    result = CliRunner().invoke(cli.app, ["sample", "dcgan", "--out", "sheet.jpg"])
    assert "is a PNG, got the name sheet.jpg; use --out sheet.png" in str(result.exception)
    assert not (small / "sheet.jpg").exists()


def test_a_learning_rate_is_used_and_written_down(small: Path) -> None:
    invoke("train", "vae", "--learning-rate", 1e-30, "--out", "slow")
    invoke("train", "vae", "--out", "usual")
    assert zoo.read_run("slow")[1].command == "companion train vae --learning-rate 1e-30"
    torch.manual_seed(0)
    start = zoo.recipe("vae").build().state_dict()["encoder.0.weight"]
    assert torch.equal(zoo.read_run("slow")[0].encoder[0].weight, start)
    assert not torch.equal(zoo.read_run("usual")[0].encoder[0].weight, start)


def test_quiet_is_quiet(small: Path) -> None:
    result = CliRunner().invoke(cli.app, ["train", "vae", "--quiet"])
    assert (result.exit_code, result.output) == (0, "")
    result = CliRunner().invoke(cli.app, ["evaluate", "classifier", "--quiet"])
    assert result.stderr == ""
    assert "accuracy" in result.stdout


def test_logs_for_tensorboard(small: Path) -> None:
    pytest.importorskip("tensorboard")
    invoke("train", "vae", "--tensorboard")
    assert list((small / "runs/vae").glob("events.*"))


def test_a_warning_is_one_line_without_a_path() -> None:
    code = (
        "import warnings; from companion import cli\n"
        "cli.app = lambda: warnings.warn('100 images are few'); cli.main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stderr == "companion: 100 images are few\n"


def test_too_few_images_are_refused_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["companion", "evaluate", "gan", "--images", "20"])
    with pytest.raises(SystemExit) as exit:
        cli.main()
    assert exit.value.code == 2
    said = capsys.readouterr().err
    assert is_one_sentence(said)
    assert "images must be at least 65, got 20" in said


@pytest.mark.slow
def test_without_a_home(tmp_path: Path) -> None:
    """In a container whose user has neither HOME nor an entry in the list of users."""
    code = (
        "import os, pwd; os.environ.pop('HOME', None); os.environ.pop('COMPANION_DATA', None)\n"
        "def nobody(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = nobody\n"
        "from companion.data import fashion; print(fashion.own_folder())\n"
        "from companion import zoo; zoo.load('gan').sample(1)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip().endswith("companion")


def test_an_experiment_is_measured_stopped_and_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measure(beta: float) -> dict[str, float]:
        if beta > stop:
            raise KeyboardInterrupt
        return {"rate": 10 / beta}

    tiny = SimpleNamespace(SETTINGS=[{"beta": 1.0}, {"beta": 2.0}], measure=measure)
    monkeypatch.setattr(experiments, "_module", lambda name: tiny)
    monkeypatch.setattr(experiments, "FOLDER", tmp_path)
    out = tmp_path / "mine.json"
    command = ["experiment", "rate_distortion", "--out", str(out)]

    stop = 1.0
    result = CliRunner().invoke(cli.app, command)
    assert result.exit_code == 130
    assert f"stopped; the same command goes on with the results in {out}" in result.stderr
    assert "rate_distortion" in result.stderr  # the progress bar
    stop = 2.0
    assert invoke(*command) == f"{out} has the results of all 2 settings\n"
    assert [point["figures"]["rate"] for point in json.loads(out.read_text())["points"]] == [10, 5]

    said = invoke(*command)
    assert said.startswith(f"{out} has the results of all 2 settings, so nothing was measured; ")
    assert "companion experiment rate_distortion --out runs/rate_distortion.json" in said

    said = invoke("experiment", "rate_distortion")
    assert said.startswith(str(tmp_path / "rate_distortion.json"))
    assert experiments.load("rate_distortion").figures("rate") == [10, 5]


def test_main_turns_errors_into_exit_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(error: Exception) -> None:
        raise error

    for error, code in [(ValueError("that is wrong"), 2), (OSError("the disk is full"), 1)]:
        monkeypatch.setattr(cli, "app", lambda error=error: fail(error))
        with pytest.raises(SystemExit) as exit:
            cli.main()
        assert exit.value.code == code
        assert capsys.readouterr().err == f"companion: {error}\n"
