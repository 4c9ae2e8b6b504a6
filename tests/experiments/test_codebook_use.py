"""How much of its codebook a VQ-VAE uses: the stored run, and one of its points anew."""

import pytest
import torch

from companion import experiments
from companion.experiments import codebook_use
from companion.models.quantizer import perplexity

SIZES = (64, 256, 1024)
REVIVAL = "moving average, revival"


@pytest.fixture(scope="module")
def stored() -> experiments.Result:
    return experiments.load("codebook_use")


def test_every_setting_was_measured(stored: experiments.Result) -> None:
    assert [point["setting"] for point in stored.points] == codebook_use.SETTINGS
    assert stored.command == "companion experiment codebook_use"
    assert "60,000 training images" in stored.data
    assert stored.machine
    assert stored.settings("learning") == list(codebook_use.LEARNING)
    assert sorted(stored.settings("codebook_size")) == list(SIZES)
    for learning in codebook_use.LEARNING:
        assert len(stored.figures("perplexity", learning=learning, codebook_size=256)) == 3


def test_figures_are_possible(stored: experiments.Result) -> None:
    for point in stored.points:
        figures = point["figures"]
        assert 1 <= figures["perplexity"] <= figures["used"] * (1 + 1e-6)
        assert figures["used"] <= point["setting"]["codebook_size"]
        assert 1000 < figures["distortion"] < 3000
        assert point["minutes"] > 0


@pytest.mark.parametrize("size", SIZES)
def test_revival_keeps_the_codebook_in_use_and_nothing_else_does(
    size: int, stored: experiments.Result
) -> None:
    def figures(name: str, learning: str) -> list[float]:
        return stored.figures(name, learning=learning, codebook_size=size)

    revived = min(figures("perplexity", REVIVAL))
    assert revived > size / 4
    for learning in ("gradient", "moving average"):
        assert max(figures("perplexity", learning)) < revived / 3
        assert min(figures("distortion", learning)) > max(figures("distortion", REVIVAL))


def test_the_experiment_trains_no_prior() -> None:
    model = codebook_use.VQVAEWithoutPrior(8, width=4)
    assert [player.name for player in model.players()] == ["autoencoder"]


def test_one_point_is_measured_anew(stored: experiments.Result) -> None:
    """Revival at work: the draws that it depends on differ from machine to machine."""
    setting = {"learning": REVIVAL, "codebook_size": 64, "seed": 0}
    (point,) = [point for point in stored.points if point["setting"] == setting]
    try:
        again = experiments.measure("codebook_use", **setting)
    except FileNotFoundError as error:
        pytest.skip(f"the full data set is not at hand: {error}")
    figures = point["figures"]
    assert again.keys() == figures.keys()
    assert again["perplexity"] == pytest.approx(figures["perplexity"], rel=0.2)
    assert again["distortion"] == pytest.approx(figures["distortion"], rel=0.02)


def test_perplexity_of_all_test_codes_is_not_a_mean_of_batches() -> None:
    """Two batches of one code each have perplexity 1, all of them together 2."""
    first, second = torch.zeros(10, dtype=torch.long), torch.ones(10, dtype=torch.long)
    assert perplexity(first, 64).item() == pytest.approx(1)
    assert perplexity(torch.cat([first, second]), 64).item() == pytest.approx(2)
