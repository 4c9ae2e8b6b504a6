"""Two points of the stored rate-distortion curve, trained and measured anew at full length."""

import pytest

from companion import experiments
from companion.data import fashion_mnist
from companion.experiments.rate_distortion import BETAS


def figures(beta: float) -> dict[str, float]:
    stored = experiments.load("rate_distortion")
    return {
        name: stored.figures(name, beta=beta, seed=0)[0]
        for name in ("distortion", "rate", "active_units")
    }


def test_the_stored_points_lie_on_one_curve() -> None:
    """A higher price buys less rate and suffers more distortion."""
    stored = experiments.load("rate_distortion")
    rates, distortions = stored.figures("rate"), stored.figures("distortion")
    assert stored.settings("beta") == list(BETAS)
    assert len(BETAS) >= 6
    assert rates == sorted(rates, reverse=True)
    assert distortions == sorted(distortions)
    assert rates[-1] >= 0


@pytest.mark.parametrize("beta", [10.0, 300.0])
def test_a_stored_point_is_measured_again(beta: float) -> None:
    """Other machines and thread counts round differently; the point must stay where it is."""
    try:
        fashion_mnist("train", full=True)
    except FileNotFoundError as error:
        pytest.skip(f"the full data set is not at hand: {error}")
    measured, stored = experiments.measure("rate_distortion", beta=beta, seed=0), figures(beta)
    assert measured["distortion"] == pytest.approx(stored["distortion"], rel=0.01)
    assert measured["rate"] == pytest.approx(stored["rate"], rel=0.05, abs=0.3)
    assert measured["active_units"] == pytest.approx(stored["active_units"], abs=2)
