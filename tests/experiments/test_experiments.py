"""The experiments' files: read, resumed, written whole; what they measure is tested elsewhere."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from companion import experiments
from companion.experiments import _common
from companion.files import CheckpointError
from companion.game import Player
from companion.training import History

SETTINGS = [{"beta": beta, "seed": seed} for seed in (0, 1) for beta in (1.0, 2.0)]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, float]]:
    """An experiment "tiny" of four settings, and a list of those it is asked to measure."""
    made: list[dict[str, float]] = []

    def measure(beta: float, seed: int) -> dict[str, float]:
        made.append({"beta": beta, "seed": seed})
        return {"rate": 10 / beta + seed}

    tiny = SimpleNamespace(SETTINGS=SETTINGS, measure=measure)
    monkeypatch.setattr(experiments, "_module", lambda name: tiny)
    monkeypatch.setattr(experiments, "FOLDER", tmp_path)
    return made


def test_a_run_measures_every_setting_and_load_reads_it(calls: list, tmp_path: Path) -> None:
    result = experiments.run("tiny", progress=False)
    assert calls == SETTINGS
    assert experiments.load("tiny") == result
    assert result.command == "companion experiment tiny"
    assert "60,000 training images" in result.data
    assert result.machine
    assert result.settings("beta") == [1.0, 2.0]
    assert result.settings("seed") == [0, 1]
    assert result.figures("rate") == [10, 5, 11, 6]
    assert result.figures("rate", seed=1) == [11, 6]
    assert result.figures("rate", seed=1, beta=2.0) == [6]
    assert result.figures("rate", seed=7) == []
    assert all(point["minutes"] >= 0 for point in result.points)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.json"]


def test_only_what_is_missing_is_measured_and_the_order_stays(calls: list, tmp_path: Path) -> None:
    path = tmp_path / "results" / "mine.json"
    experiments.run("tiny", path, progress=False)
    stored = json.loads(path.read_text())
    del stored["points"][2], stored["points"][0]
    path.write_text(json.dumps(stored))
    calls.clear()
    result = experiments.run("tiny", path, progress=False)
    assert calls == [SETTINGS[0], SETTINGS[2]]
    assert [point["setting"] for point in result.points] == SETTINGS
    calls.clear()
    assert experiments.run("tiny", str(path), progress=False) == result
    assert calls == []


def test_a_stopped_run_keeps_what_it_has(
    calls: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = experiments._module("tiny")
    whole = tiny.measure

    def stopped(beta: float, seed: int) -> dict[str, float]:
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(beta, seed)

    monkeypatch.setattr(tiny, "measure", stopped)
    with pytest.raises(KeyboardInterrupt):
        experiments.run("tiny", progress=False)
    assert [point["setting"] for point in experiments.load("tiny").points] == SETTINGS[:2]
    monkeypatch.setattr(tiny, "measure", whole)
    experiments.run("tiny", progress=False)
    assert calls == SETTINGS


def test_an_interrupted_training_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    model = nn.Linear(1, 1)
    interrupted = History(interrupted=True)
    monkeypatch.setattr("companion.training.train", lambda *a, **options: interrupted)
    with pytest.raises(KeyboardInterrupt):
        _common.train(model, torch.zeros(4, 1, 4, 4), epochs=1)


def test_training_for_an_experiment_is_training() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.value = nn.Parameter(torch.zeros(()))

        def players(self) -> list[Player]:
            return [Player("mean", self, lambda x: (x - self.value).square().mean())]

    model = Mean()
    _common.train(model, torch.ones(8, 1, 4, 4), epochs=1, batch_size=4, device="cpu")
    assert model.value > 0


def test_a_full_disk_leaves_the_earlier_results(
    calls: list, tmp_path: Path, full_disk: Path
) -> None:
    path = tmp_path / "tiny.json"
    experiments.run("tiny", progress=False)
    stored = json.loads(path.read_text())
    del stored["points"][3]
    before = json.dumps(stored)
    path.write_text(before)
    (tmp_path / ".tiny.json.part").symlink_to(full_disk)
    with pytest.raises(CheckpointError, match=r"could not save .*tiny\.json: No space left"):
        experiments.run("tiny", progress=False)
    assert path.read_text() == before


@pytest.mark.parametrize("text", ["", '{"name": "tiny", "points": [', "[]", '{"surprise": 1}'])
def test_a_damaged_file_is_refused_and_stays(calls: list, tmp_path: Path, text: str) -> None:
    path = tmp_path / "tiny.json"
    path.write_text(text)
    sentence = r"tiny\.json holds no results \(.*restore it, or delete it and run"
    with pytest.raises(ValueError, match=sentence):
        experiments.load("tiny")
    with pytest.raises(ValueError, match=sentence):
        experiments.run("tiny", progress=False)
    assert path.read_text() == text
    assert calls == []


def test_a_missing_file_says_what_makes_it(calls: list) -> None:
    with pytest.raises(FileNotFoundError, match=r"is missing; make it by `companion experiment"):
        experiments.load("tiny")


def test_an_unknown_name_is_answered_by_the_known_ones(tmp_path: Path) -> None:
    for ask in (experiments.load, experiments.measure, experiments.run, experiments.result_file):
        with pytest.raises(ValueError, match="unknown experiment 'tiny', expected one of code"):
            ask("tiny")  # type: ignore[operator]


@pytest.mark.parametrize("name", experiments.names())
def test_the_stored_files_fit_their_modules(name: str) -> None:
    """Every setting is measured, in order, with the same figures, all of them finite."""
    result, module = experiments.load(name), experiments._module(name)
    assert result.name == name
    assert result.command == f"companion experiment {name}"
    assert [point["setting"] for point in result.points] == module.SETTINGS
    assert len({tuple(point["figures"]) for point in result.points}) == 1
    for point in result.points:
        numbers = torch.tensor([v for v in point["figures"].values() if isinstance(v, float)])
        assert numbers.isfinite().all()


def test_a_sheet_survives_as_text() -> None:
    images = torch.randint(256, (20, 1, 28, 28)).float() / 255
    text = experiments.encode_sheet(images)
    assert json.loads(json.dumps(text)) == text
    assert torch.equal(experiments.decode_sheet(text), images)
    assert experiments.decode_sheet(experiments.encode_sheet(images[:1])).shape == (1, 1, 28, 28)


def test_what_is_no_sheet_is_refused() -> None:
    with pytest.raises(ValueError, match=r"square gray images .*got \(2, 3, 28, 28\)"):
        experiments.encode_sheet(torch.rand(2, 3, 28, 28))
    with pytest.raises(ValueError, match=r"got \(2, 1, 28, 32\)"):
        experiments.encode_sheet(torch.rand(2, 1, 28, 32))
    with pytest.raises(TypeError, match="must be floats"):
        experiments.encode_sheet(torch.zeros(2, 1, 28, 28, dtype=torch.uint8))
    for text in ("", "no base64!", "aGVsbG8="):
        with pytest.raises(ValueError, match="this is no stored sheet"):
            experiments.decode_sheet(text)


def test_an_experiment_names_its_data(calls: list) -> None:
    experiments._module("tiny").DATA = "points in the plane"
    assert experiments.run("tiny", progress=False).data == "points in the plane"
