"""What each ingredient of the DCGAN is worth: the stored run, and one of its points anew."""

import math
import statistics

import pytest
import torch
from torch import nn

from companion import experiments
from companion.experiments import dcgan_ingredients
from companion.experiments.dcgan_ingredients import LEFT_OUT, Affine, Variant
from companion.models import DCGAN


@pytest.fixture(scope="module")
def stored() -> experiments.Result:
    return experiments.load("dcgan_ingredients")


def test_every_setting_was_measured(stored: experiments.Result) -> None:
    assert [point["setting"] for point in stored.points] == dcgan_ingredients.SETTINGS
    assert stored.command == "companion experiment dcgan_ingredients"
    assert "60,000 training images" in stored.data
    assert stored.machine
    assert stored.settings("left_out") == list(LEFT_OUT)
    assert stored.settings("seed") == [0, 1, 2, 3, 4]


def test_figures_are_possible(stored: experiments.Result) -> None:
    for point in stored.points:
        figures = point["figures"]
        assert len(figures["frechet_distances"]) == dcgan_ingredients.EPOCHS
        assert figures["frechet_distance"] == figures["frechet_distances"][-1] > 0
        assert sum(figures["class_shares"]) == pytest.approx(1, abs=1e-5)
        assert experiments.decode_sheet(figures["sheet"]).shape == (12, 1, 28, 28)
        assert point["minutes"] > 0


def test_what_batch_norm_and_momentum_are_worth(stored: experiments.Result) -> None:
    """Every run without them is worse than every run with them; a leaky ReLU is worth nothing."""
    ends = {kind: stored.figures("frechet_distance", left_out=kind) for kind in LEFT_OUT}
    assert max(ends["nothing"]) < 20
    assert min(ends["batch norm"]) > 1.2 * max(ends["nothing"])
    assert min(ends["momentum"]) > 1.2 * max(ends["nothing"])
    assert 0.7 < statistics.median(ends["leaky ReLU"]) / statistics.median(ends["nothing"]) < 1.4


def test_one_point_is_measured_anew(stored: experiments.Result) -> None:
    """Its first epoch; a game magnifies rounding errors, so machines differ by more than these."""
    setting = {"left_out": "nothing", "seed": 0}
    (distances,) = stored.figures("frechet_distances", **setting)
    try:
        again = experiments.measure("dcgan_ingredients", **setting, epochs=1)
    except FileNotFoundError as error:
        pytest.skip(f"the full data set is not at hand: {error}")
    assert again["frechet_distances"] == [pytest.approx(distances[0], rel=0.5)]


def kinds(module: nn.Module) -> list[str]:
    return [type(m).__name__ for m in module.modules() if not any(m.children())]


def test_the_recipe_is_the_dcgan() -> None:
    torch.manual_seed(0)
    variant = Variant("nothing", width=4)
    torch.manual_seed(0)
    model = DCGAN(width=4)
    assert kinds(variant) == kinds(model)
    for name, value in variant.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])
    assert [p.betas for p in variant.players()] == [p.betas for p in model.players()]


def test_one_ingredient_is_left_out_and_no_other() -> None:
    recipe = kinds(DCGAN(width=4))
    assert {left_out: kinds(Variant(left_out, width=4)) for left_out in LEFT_OUT} == {
        "nothing": recipe,
        "batch norm": [k.replace("BatchNorm2d", "Affine") for k in recipe],
        "leaky ReLU": [k.replace("LeakyReLU", "ReLU") for k in recipe],
        "momentum": recipe,
        "initialization": recipe,
    }
    for left_out in LEFT_OUT:
        model = Variant(left_out, width=4)
        beta1 = 0.9 if left_out == "momentum" else 0.5
        assert [player.betas for player in model.players()] == [(beta1, 0.999)] * 2
        last = model.discriminator.layers[-1]
        assert isinstance(last, nn.Linear)
        plain = 1 / math.sqrt(3 * last.in_features)  # of U(-1/sqrt(n), 1/sqrt(n))
        expected = plain if left_out == "initialization" else 0.02
        assert last.weight.std().item() == pytest.approx(expected, rel=0.25)
        assert model.sample(2).shape == (2, 1, 28, 28)


def test_gain_and_bias_outlive_the_normalization() -> None:
    norm = nn.BatchNorm2d(3)
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    x = torch.randn(4, 3, 5, 5)
    mean, scale = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0).add(norm.eps).sqrt()
    normalized = (x - mean[:, None, None]) / scale[:, None, None]
    torch.testing.assert_close(Affine(norm)(normalized), norm(x))
