"""GAN losses side by side: the stored run, and one of its points anew."""

import pytest

from companion import experiments
from companion.experiments import gan_losses
from companion.experiments._common import GAN_METHODS


@pytest.fixture(scope="module")
def stored() -> experiments.Result:
    return experiments.load("gan_losses")


def test_every_setting_was_measured(stored: experiments.Result) -> None:
    assert [point["setting"] for point in stored.points] == gan_losses.SETTINGS
    assert stored.command == "companion experiment gan_losses"
    assert "60,000 training images" in stored.data
    assert stored.settings("method") == list(GAN_METHODS)
    assert len(stored.settings("seed")) >= 3


def test_figures_are_possible(stored: experiments.Result) -> None:
    for point in stored.points:
        figures = point["figures"]
        assert 1 < figures["frechet_distance"] < 400
        assert 0 <= figures["precision"] <= 1
        assert 0 <= figures["recall"] <= 1
        assert sum(figures["class_shares"]) == pytest.approx(1, abs=1e-4)
        assert experiments.decode_sheet(figures["sheet"]).shape == (20, 1, 28, 28)


def test_a_penalty_at_the_real_images_helps_the_plain_game(stored: experiments.Result) -> None:
    def distances(method: str) -> list[float]:
        return stored.figures("frechet_distance", method=method)

    assert max(distances("R1")) < min(distances("non-saturating"))
    clipped = distances("WGAN, clipping")
    assert max(distances("R1")) < min(clipped)


def test_the_methods_share_one_network() -> None:
    sizes = {
        name: sum(p.numel() for p in build(hidden_size=16).parameters())
        for name, build in GAN_METHODS.items()
    }
    assert len(set(sizes.values())) == 1, sizes


def test_a_point_is_measured_anew(stored: experiments.Result) -> None:
    """One of twenty epochs: R1 is past the plain game's end, or near it, after so little."""
    try:
        again = experiments.measure("gan_losses", method="R1", seed=0, epochs=1)
    except FileNotFoundError as error:
        pytest.skip(f"the full data set is not at hand: {error}")
    (point,) = [p for p in stored.points if p["setting"] == {"method": "R1", "seed": 0}]
    assert again.keys() == point["figures"].keys()
    assert point["figures"]["frechet_distance"] < again["frechet_distance"] < 150
