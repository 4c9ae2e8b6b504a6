"""What an InfoGAN's category comes to mean: the stored run, and one of its points anew."""

import math

import pytest
import torch

from companion import experiments
from companion.experiments import infogan_codes
from companion.metrics import mutual_information
from companion.models import InfoGAN


@pytest.fixture(scope="module")
def stored() -> experiments.Result:
    return experiments.load("infogan_codes")


def test_every_seed_was_measured(stored: experiments.Result) -> None:
    assert [point["setting"] for point in stored.points] == infogan_codes.SETTINGS
    assert len(stored.points) >= 5
    assert stored.command == "companion experiment infogan_codes"
    assert "60,000 training images" in stored.data
    assert stored.machine


def test_figures_are_possible_and_agree_with_each_other(stored: experiments.Result) -> None:
    for point in stored.points:
        figures = point["figures"]
        counts = torch.tensor(figures["counts"])
        assert counts.shape == (10, 10)
        assert (counts.sum(dim=0) == 1000).all()  # as many test images of each class
        assert figures["accuracy"] == pytest.approx(counts.trace().item() / 10_000)
        assert figures["accuracy"] == figures["accuracies"][-1]
        assert len(figures["accuracies"]) == infogan_codes.EPOCHS
        assert figures["class_information"] == pytest.approx(mutual_information(counts))
        assert 0 < figures["class_information"] < math.log(10)
        assert figures["category_information"] < math.log(10)
        assert figures["frechet_distance"] > 0
        assert experiments.decode_sheet(figures["sheet"]).shape == (40, 1, 28, 28)
        assert point["minutes"] > 0


def test_the_category_tells_of_the_class_without_having_seen_one(
    stored: experiments.Result,
) -> None:
    """Well above the tenth that chance would give, and not what labels would give."""
    for accuracy in stored.figures("accuracy"):
        assert 0.3 < accuracy < 0.9


def test_the_pictures_tell_their_category(stored: experiments.Result) -> None:
    """All but a few: that is what was trained, and it does not make the category the class."""
    for category in stored.figures("category_information"):
        assert category > 0.8 * math.log(10)


def test_one_point_is_measured_anew(stored: experiments.Result) -> None:
    """Its first epoch; a game magnifies rounding errors, so machines differ by more than these."""
    (accuracies,) = stored.figures("accuracies", seed=0)
    try:
        again = experiments.measure("infogan_codes", seed=0, epochs=1)
    except FileNotFoundError as error:
        pytest.skip(f"the full data set is not at hand: {error}")
    assert again["accuracies"] == [pytest.approx(accuracies[0], abs=0.2)]
    assert again["category_information"] > 1


def test_a_sheet_has_a_row_for_each_class_in_order() -> None:
    torch.manual_seed(0)
    model = InfoGAN(width=4)
    classes = torch.arange(9, -1, -1)  # category 9 is class 0
    drawn = infogan_codes.sheet(model, classes)
    assert drawn.shape == (40, 1, 28, 28)
    codes = model.draw_codes(4, rng=torch.Generator().manual_seed(0))
    model.eval()
    nine = model.generate(codes._replace(category=torch.full((4,), 9)))
    torch.testing.assert_close(drawn[:4], nine.detach())
