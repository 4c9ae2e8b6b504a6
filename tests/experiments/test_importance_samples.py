"""The stored run behind the chapter on the tighter bound: whole, true, and within the bars."""

import math

import pytest

from companion import experiments
from companion.data import fashion_mnist
from companion.experiments import importance_samples

BOUNDS = ("negative_bound_1", "negative_bound_5", "negative_bound_50", "nll_100")


@pytest.fixture(scope="module")
def stored() -> experiments.Result:
    return experiments.load("importance_samples")


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_the_file_has_every_setting_and_figure(stored: experiments.Result) -> None:
    settings = [point["setting"] for point in stored.points]
    assert sorted(settings, key=str) == sorted(importance_samples.SETTINGS, key=str)
    assert stored.command == "companion experiment importance_samples"
    assert "60,000 training images" in stored.data
    assert stored.machine
    for point in stored.points:
        assert point["figures"].keys() == {
            *BOUNDS,
            "nll_1000",
            "effective_sample_size",
            "active_units",
        }
        assert all(math.isfinite(value) for value in point["figures"].values())
        assert point["minutes"] > 0


def test_the_bound_rises_with_the_samples_at_every_point(stored: experiments.Result) -> None:
    for point in stored.points:
        bounds = [point["figures"][name] for name in BOUNDS]
        assert bounds == sorted(bounds, reverse=True), point["setting"]
        assert 1 <= point["figures"]["effective_sample_size"] <= 1000
        assert 1 <= point["figures"]["active_units"] <= 20


def test_training_with_more_samples_raises_the_likelihood(stored: experiments.Result) -> None:
    one, five, fifty = (stored.figures("nll_1000", k=k) for k in (1, 5, 50))
    assert len(one) >= 3
    assert min(one) > max(five)
    assert min(five) > max(fifty)
    # Each bound with its own k, the objective that was trained, rises as well.
    assert mean(stored.figures("negative_bound_1", k=1)) > mean(
        stored.figures("negative_bound_5", k=5)
    )
    assert mean(stored.figures("negative_bound_5", k=5)) > mean(
        stored.figures("negative_bound_50", k=50)
    )


def test_the_bars_of_a_well_known_script_hold(stored: experiments.Result) -> None:
    bounds, likelihoods = (stored.figures(name, k=1) for name in ("negative_bound_1", "nll_100"))
    assert max(bounds) <= 242.1
    assert max(likelihoods) <= 238.9


def test_one_point_comes_out_again(stored: experiments.Result) -> None:
    try:
        fashion_mnist("test", full=True)
    except FileNotFoundError as error:
        pytest.skip(str(error))
    fresh = experiments.measure("importance_samples", k=1, seed=0)
    (point,) = (p for p in stored.points if p["setting"] == {"k": 1, "seed": 0})
    for name, value in point["figures"].items():
        # Other instruction sets and numbers of threads round otherwise, and so train otherwise.
        if name.startswith(("negative_bound", "nll")):
            assert fresh[name] == pytest.approx(value, abs=0.5), name
        elif name == "effective_sample_size":
            assert fresh[name] == pytest.approx(value, rel=0.3)
        else:
            assert fresh[name] == pytest.approx(value, abs=2)
