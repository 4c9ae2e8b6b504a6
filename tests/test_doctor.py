"""companion doctor: what is planted it finds, names, and says how to mend."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from companion import cli, training, zoo
from companion.cli import calibration, doctor, examination
from companion.data import fashion
from companion.machine import memory

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The speed is measured by a test of its own; the full set may be on this machine or not."""
    monkeypatch.setattr(doctor, "calibrate", lambda told: 2 * calibration.reference())
    monkeypatch.setattr(fashion, "find_copy", lambda: None)
    monkeypatch.setitem(doctor.WITH_TORCH, "training", lambda: "done")


def consult() -> Result:
    return CliRunner().invoke(cli.app, ["doctor"])


def problems(text: str) -> list[str]:
    return [line.split("PROBLEM: ")[1] for line in text.splitlines() if "PROBLEM" in line]


def test_a_sound_machine_passes() -> None:
    result = consult()
    assert not problems(result.output), result.output
    assert result.exit_code == 0
    assert "expect about 2.0 times the book's times" in result.output
    assert "\nNo problem was found.\n" in result.output


def test_a_damaged_and_a_missing_weight(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(zoo.FOLDER, tmp_path / "weights")
    monkeypatch.setattr(zoo, "FOLDER", tmp_path / "weights")
    file = tmp_path / "weights" / "vae.safetensors"
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    file.write_bytes(content)
    (tmp_path / "weights" / "gan.safetensors").unlink()
    (tmp_path / "weights" / "iwae.json").unlink()
    result = consult()
    assert result.exit_code == 1
    card, gan, vae = problems(result.output)
    assert "the card of iwae is missing" in card
    assert "gan.safetensors is missing" in gan
    assert "vae.safetensors" in vae
    assert "sha-256" in vae.lower()
    assert all("python -m pip install --force-reinstall" in text for text in (card, gan, vae))
    assert "3 problems; mend the first one first." in result.output


@pytest.mark.parametrize("fault", ["missing", "altered"])
def test_a_file_of_the_data(fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(fashion.SAMPLE_FOLDER, tmp_path / "data")
    monkeypatch.setattr(fashion, "SAMPLE_FOLDER", tmp_path / "data")
    file = tmp_path / "data" / "t10k-labels-idx1-ubyte.gz"
    file.unlink()
    if fault == "altered":
        shutil.copy(tmp_path / "data" / "train-labels-idx1-ubyte.gz", file)
    result = consult()
    assert result.exit_code == 1
    (text,) = problems(result.output)
    assert str(file) in text
    assert ("altered" in text) == (fault == "altered")
    assert "install it again: python -m pip install" in text


@pytest.mark.parametrize(("found", "says"), [("2.2.2", "torch is 2.2.2"), (None, "missing")])
def test_a_torch_outside_the_range(
    found: str | None, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def version(name: str) -> str:
        if name == "torch":
            if found is None:
                raise examination.PackageNotFoundError
            return found
        return real(name)

    real = examination.version
    monkeypatch.setattr(examination, "version", version)
    result = consult()
    assert result.exit_code == 1
    (text,) = problems(result.output)
    assert says in text
    assert 'python -m pip install "torch<3,>=2.8"' in text


def test_torch_for_the_cpu_beside_a_torchvision_that_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def nms(*_: object) -> None:
        raise RuntimeError("operator torchvision::nms does not exist\nmore")

    monkeypatch.setitem(
        sys.modules, "torchvision", SimpleNamespace(ops=SimpleNamespace(nms=nms), __version__="0")
    )
    with pytest.raises(examination.ProblemError, match="nms does not exist") as caught:
        examination.torch_pair()
    assert "install both from one index in one command" in str(caught.value)


def test_a_torch_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # what `import torch` then raises
    result = consult()
    assert result.exit_code == 1
    (text,) = problems(result.output)
    assert "do not work together" in text
    assert "Nothing else was looked at" in result.output


@pytest.mark.parametrize(("name", "remedy"), [("HOME", "set HOME"), ("COMPANION_DATA", "set COMP")])
def test_a_folder_that_cannot_be_written_to(
    name: str, remedy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sys.platform == "win32" and name == "HOME":
        name = "USERPROFILE"
    (tmp_path / "file").write_text("no folder, for anybody")  # root may write everywhere else
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    monkeypatch.setenv(name, str(tmp_path / "file"))
    result = consult()
    assert result.exit_code == 1
    (text,) = problems(result.output)
    assert str(tmp_path / "file") in text
    assert remedy in text
    assert "to a folder that you may write to" in text


def test_too_little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "DISK", 1e18)
    monkeypatch.setattr(examination, "MEMORY", 1e18)
    text = problems(consult().output)
    assert ["memory" in text[0], "are free in" in text[1]] == [True, True]
    found = memory()
    assert found is None or found > 1e8


def test_a_fault_of_the_doctor_does_not_end_the_visit(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> str:
        raise KeyError("oops")

    monkeypatch.setitem(doctor.WITH_TORCH, "device", fails)
    result = consult()
    assert "KeyError" in problems(result.output)[0]
    assert "models, checksums right" in result.output
    assert result.exit_code == 1


def test_a_model_that_does_not_learn_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert "nats per image" in examination.step()
    worse = SimpleNamespace(losses={"negative ELBO": [2000.0, 2001.0]})
    monkeypatch.setattr(training, "train", lambda *_, **__: worse)
    with pytest.raises(examination.ProblemError, match="expected a lower one"):
        examination.step()


def test_the_calibration_is_of_the_machine_of_the_times() -> None:
    times = json.loads((ROOT / "book" / "reference" / "times.json").read_text("utf-8"))
    stored = json.loads(calibration.REFERENCE.read_text("utf-8"))
    assert stored["machine"] == times["machine"]


def test_the_calibration_tells_each_part_and_leaves_the_random_state() -> None:
    before, parts = torch.get_rng_state(), []
    assert calibration.calibrate(lambda: parts.append(1)) > 0
    assert len(parts) == 3 * calibration.REPETITIONS
    assert torch.equal(torch.get_rng_state(), before)
