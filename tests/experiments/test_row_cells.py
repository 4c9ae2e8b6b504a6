"""The cells of the row model on one budget: the stored run, and one of its points anew."""

import statistics

import pytest

from companion import experiments
from companion.experiments import row_cells

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def stored() -> experiments.Result:
    return experiments.load("row_cells")


def bits(stored: experiments.Result, cell: str, hidden_size: int, epochs: int) -> list[float]:
    return stored.figures("bits_per_dimension", cell=cell, hidden_size=hidden_size, epochs=epochs)


def test_every_setting_was_measured(stored: experiments.Result) -> None:
    assert [point["setting"] for point in stored.points] == row_cells.SETTINGS
    assert stored.command == "companion experiment row_cells"
    assert "60,000 training images" in stored.data
    assert stored.machine
    for cell, size in row_cells.STATES:
        for epochs in row_cells.EPOCHS:
            assert len(bits(stored, cell, size, epochs)) == len(SEEDS)


def test_figures_are_possible(stored: experiments.Result) -> None:
    for point in stored.points:
        assert 2.8 < point["figures"]["bits_per_dimension"] < 4.0
        assert point["minutes"] > 0


def test_weights_are_counted_alike_where_it_is_said(stored: experiments.Result) -> None:
    weights = {
        state: stored.figures("parameters", cell=state[0], hidden_size=state[1])[0]
        for state in row_cells.STATES
    }
    assert weights["rnn", 203] == pytest.approx(weights["lstm", 128], rel=0.01)
    assert weights["rnn", 128] < weights["gru", 128] < weights["lstm", 128]


def test_after_one_pass_the_cells_differ_no_more_than_seeds(stored: experiments.Result) -> None:
    """As the chapter on rows says; memory for longer than 28 rows is another matter."""
    figures = {cell: bits(stored, cell, 128, 1) for cell in ("rnn", "lstm", "gru")}
    means = [statistics.mean(values) for values in figures.values()]
    spread = max(max(values) - min(values) for values in figures.values())
    assert max(means) - min(means) < spread


@pytest.mark.parametrize("epochs", row_cells.EPOCHS)
def test_with_as_many_weights_the_plain_cell_does_not_lose(
    stored: experiments.Result, epochs: int
) -> None:
    plain, lstm = bits(stored, "rnn", 203, epochs), bits(stored, "lstm", 128, epochs)
    assert statistics.mean(plain) < statistics.mean(lstm)


def test_three_more_passes_are_worth_more_than_the_cell(stored: experiments.Result) -> None:
    one, four = (
        [statistics.mean(bits(stored, *state, epochs)) for state in row_cells.STATES]
        for epochs in row_cells.EPOCHS
    )
    gains = [before - after for before, after in zip(one, four, strict=True)]
    assert min(gains) > max(four) - min(four)


def test_one_point_is_measured_anew(stored: experiments.Result) -> None:
    setting = row_cells.SETTINGS[0]
    (point,) = [point for point in stored.points if point["setting"] == setting]
    try:
        again = experiments.measure("row_cells", **setting)
    except FileNotFoundError as error:
        pytest.skip(f"the full data set is not at hand: {error}")
    figures = point["figures"]
    assert again.keys() == figures.keys()
    assert again["parameters"] == figures["parameters"]
    assert again["bits_per_dimension"] == pytest.approx(figures["bits_per_dimension"], abs=0.02)
