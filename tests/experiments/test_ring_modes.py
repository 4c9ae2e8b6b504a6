"""Modes of the ring that each method reaches: the stored run, and one of its points anew."""

import pytest

from companion import experiments
from companion.experiments import ring_modes


@pytest.fixture(scope="module")
def stored() -> experiments.Result:
    return experiments.load("ring_modes")


def test_every_setting_was_measured(stored: experiments.Result) -> None:
    assert [point["setting"] for point in stored.points] == ring_modes.SETTINGS
    assert stored.command == "companion experiment ring_modes"
    assert "ring of eight Gaussians" in stored.data
    for rates in ring_modes.RATES:
        for method in ring_modes.METHODS:
            assert len(stored.figures("modes", method=method, rates=rates)) >= 5


def test_figures_are_possible(stored: experiments.Result) -> None:
    for point in stored.points:
        figures = point["figures"]
        assert 0 <= figures["modes"] <= 8
        assert 0 <= figures["near"] <= 1
        assert len(figures["modes_over_time"]) == 11
        assert figures["modes_over_time"][-1] == figures["modes"]
        assert figures["near"] >= 0.02 * figures["modes"]


def test_a_slow_discriminator_makes_the_plain_games_collapse(stored: experiments.Result) -> None:
    for method in ("non-saturating", "least squares"):
        slow = stored.figures("modes", method=method, rates="fast generator")
        equal = stored.figures("modes", method=method, rates="equal")
        assert sum(slow) / len(slow) <= 4
        assert sum(equal) / len(equal) >= sum(slow) / len(slow) + 2


def test_a_gentle_penalty_does_no_harm_where_the_game_is_fair(stored: experiments.Result) -> None:
    assert min(stored.figures("modes", method="R1", rates="equal")) >= 7


def test_the_players_step_as_the_setting_says() -> None:
    for rates, expected in ring_modes.RATES.items():
        for method in ring_modes.METHODS:
            players = ring_modes.players(ring_modes.build(method), rates)
            assert tuple(player.learning_rate for player in players) == expected
            assert [player.name for player in players] == ["discriminator", "generator"]
    discriminator, generator = ring_modes.players(ring_modes.build("WGAN-GP"), "equal")
    assert (discriminator.every, generator.every) == (1, 5)
    assert discriminator.betas == (0.0, 0.9)


def test_a_short_run_has_every_figure() -> None:
    figures = experiments.measure("ring_modes", method="R1", rates="equal", seed=0, epochs=1)
    assert figures.keys() == {"modes", "near", "modes_over_time"}
    assert figures["modes_over_time"] == [figures["modes"]]


def test_one_point_is_measured_anew(stored: experiments.Result) -> None:
    """Where the game is fair, the end does not depend on the machine."""
    setting = {"method": "R1", "rates": "equal", "seed": 0}
    (point,) = [point for point in stored.points if point["setting"] == setting]
    again = experiments.measure("ring_modes", **setting)
    assert abs(again["modes"] - point["figures"]["modes"]) <= 1
    assert again["near"] == pytest.approx(point["figures"]["near"], abs=0.2)
