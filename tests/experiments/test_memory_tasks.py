"""Which cell learns the memory tasks: the stored run, and one of its points anew."""

import pytest
from torch import nn

from companion import experiments
from companion.data import copy_chance
from companion.experiments import memory_tasks

GATED = ("lstm, forget bias 0", "lstm, forget bias 1", "gru")
CHANCE = copy_chance(10)


@pytest.fixture(scope="module")
def stored() -> experiments.Result:
    return experiments.load("memory_tasks")


def test_every_setting_was_measured(stored: experiments.Result) -> None:
    assert [point["setting"] for point in stored.points] == memory_tasks.SETTINGS
    assert stored.command == "companion experiment memory_tasks"
    assert "12,800 sequences" in stored.data
    assert stored.machine
    assert stored.settings("seed") == [0, 1, 2]
    assert stored.settings("cell") == list(memory_tasks.CELLS)


def test_figures_are_possible(stored: experiments.Result) -> None:
    for point in stored.points:
        setting, figures = point["setting"], point["figures"]
        assert len(figures["loss_over_time"]) == setting["epochs"]
        assert figures["loss"] == figures["loss_over_time"][-1] > 0
        assert (figures["recalled"] is not None) == (setting["task"] == "copy")
        assert 0 <= (figures["recalled"] or 0) <= 1
        assert point["minutes"] > 0


def test_gates_add_over_a_hundred_steps_where_the_plain_network_does_not(
    stored: experiments.Result,
) -> None:
    adding = {"task": "adding", "length": 100, "epochs": 8}
    plain = stored.figures("loss", cell="rnn", **adding)
    assert len(plain) == 6  # three seeds, two step sizes
    assert min(plain) > 0.14
    best = [max(stored.figures("loss", cell=cell, **adding)) for cell in GATED]
    assert min(best) < 0.01  # one of the gated cells, at every seed


def test_the_plain_network_adds_over_ten_steps(stored: experiments.Result) -> None:
    assert max(stored.figures("loss", task="adding", length=10, cell="rnn")) < 0.02


def test_gates_copy_where_the_plain_network_stays_at_chance(stored: experiments.Result) -> None:
    plain = stored.figures("loss", task="copy", cell="rnn")
    assert all(loss == pytest.approx(CHANCE, rel=0.05) for loss in plain)
    assert max(stored.figures("recalled", task="copy", cell="rnn")) < 0.25
    gated = [loss for cell in GATED for loss in stored.figures("loss", task="copy", cell=cell)]
    assert max(gated) < 0.95 * CHANCE
    assert max(stored.figures("loss", task="copy", cell="gru")) < 0.7 * CHANCE
    longer = stored.figures("recalled", task="copy", cell="gru", epochs=40)
    shorter = stored.figures("recalled", task="copy", cell="gru", epochs=12)
    assert min(longer) > max(shorter)


def test_networks_are_built_as_the_setting_says() -> None:
    for cell, (name, forget_bias) in memory_tasks.CELLS.items():
        for task, hidden_size in (("adding", 32), ("copy", 64)):
            model = memory_tasks.build(task, cell)
            rnn = model.rnn
            assert isinstance(rnn, nn.RNNBase)
            assert (rnn.mode.split("_")[0].lower(), rnn.hidden_size) == (name, hidden_size)
            if forget_bias is not None:
                gates = slice(hidden_size, 2 * hidden_size)
                total = (rnn.bias_ih_l0 + rnn.bias_hh_l0)[gates]
                assert (total == forget_bias).all()


def test_a_short_run_has_every_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_tasks, "SEQUENCES", 128)
    setting = {"length": 5, "cell": "gru", "learning_rate": 1e-3, "seed": 0, "epochs": 2}
    figures = experiments.measure("memory_tasks", task="copy", **setting)
    assert figures.keys() == {"loss", "loss_over_time", "recalled"}
    assert len(figures["loss_over_time"]) == 2
    figures = experiments.measure("memory_tasks", task="adding", **setting)
    assert figures["recalled"] is None


def test_one_point_is_measured_anew(stored: experiments.Result) -> None:
    """The shortest sequences: learned on every machine."""
    setting = next(s for s in memory_tasks.SETTINGS if s["length"] == 10 and s["seed"] == 0)
    (point,) = [point for point in stored.points if point["setting"] == setting]
    again = experiments.measure("memory_tasks", **setting)
    assert point["figures"]["loss"] < 0.02
    assert again["loss"] < 0.02
