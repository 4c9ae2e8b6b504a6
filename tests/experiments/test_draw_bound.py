"""DRAW beside a VAE of as many latent dimensions: the stored run, and one of its points anew."""

import pytest

from companion import experiments, zoo
from companion.experiments import draw_bound


@pytest.fixture(scope="module")
def stored() -> experiments.Result:
    return experiments.load("draw_bound")


def test_every_setting_was_measured(stored: experiments.Result) -> None:
    assert [point["setting"] for point in stored.points] == draw_bound.SETTINGS
    assert stored.command == "companion experiment draw_bound"
    assert "60,000 training images" in stored.data
    assert stored.machine
    assert len(stored.figures("negative_bound", model="vae", epochs=18)) == 3
    for point in stored.points:
        assert draw_bound.LATENT % point["setting"]["steps"] == 0
        assert 200 < point["figures"]["negative_bound"] < 300
        assert point["minutes"] > 0


def test_the_bound_rises_with_the_steps(stored: experiments.Result) -> None:
    bounds = stored.figures("negative_bound", model="draw")
    assert bounds == sorted(bounds, reverse=True)


def test_draw_is_better_than_the_vae_of_equal_latent_size(stored: experiments.Result) -> None:
    card = zoo.card("draw")
    assert card.arguments["steps"] * card.arguments["latent_dim"] == draw_bound.LATENT
    assert card.epochs == 18
    vaes = stored.figures("negative_bound", model="vae", epochs=18)
    assert card.metrics["negative_bound"] < min(vaes) - 2
    (few,) = stored.figures("negative_bound", model="vae", epochs=1)
    assert stored.figures("negative_bound", model="draw", steps=8)[0] < few - 2


def test_one_point_is_measured_anew(stored: experiments.Result) -> None:
    setting = {"model": "vae", "steps": 1, "epochs": 1, "seed": 0}
    try:
        again = experiments.measure("draw_bound", **setting)
    except FileNotFoundError as error:
        pytest.skip(f"the full data set is not at hand: {error}")
    (point,) = [point for point in stored.points if point["setting"] == setting]
    # Other instruction sets and numbers of threads round otherwise, and so train otherwise.
    assert again["negative_bound"] == pytest.approx(point["figures"]["negative_bound"], abs=0.7)
