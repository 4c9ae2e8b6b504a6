"""`evaluate`: each figure by a model whose score is known beforehand."""

import math

import pytest
import torch
from torch import Tensor, nn

from companion.data import LabeledImages, fashion_mnist, to_float
from companion.likelihoods import binarize
from companion.metrics import evaluation
from companion.metrics.evaluation import evaluate, references, report


@pytest.fixture(autouse=True)
def _sample_in_place_of_the_full_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample that ships with the package serves as the full set: no download here."""

    def sample(split: str = "train", full: bool = False) -> LabeledImages:
        return fashion_mnist(split)

    monkeypatch.setattr(evaluation, "fashion_mnist", sample)
    references.cache_clear()


class Known(nn.Module):
    """Counts its calls, and has a weight, a buffer and dropout like any model."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.calls = 0


class Uniform(Known):
    """Gives all 256 levels the same probability."""

    def log_prob_bound(self, images: Tensor) -> Tensor:
        assert not self.training
        torch.rand(1)  # a bound may draw
        return torch.full((len(images),), -784 * math.log(256))


class Memory(Known):
    """Draws the test images themselves, or only one of them over and over."""

    def __init__(self, collapsed: bool = False) -> None:
        super().__init__()
        self.images = to_float(fashion_mnist("test").images)
        self.collapsed = collapsed

    def sample(self, n: int, *, rng: torch.Generator | None = None, mean: bool = False) -> Tensor:
        assert rng is not None
        first = self.calls % len(self.images)
        self.calls += n
        if self.collapsed:
            return self.images[3::10][:1].expand(n, -1, -1, -1).contiguous()
        images = self.images[first : first + n]
        return 1 - images if mean else images


class Coin(Memory):
    """Tosses a coin for each black-and-white pixel; the more samples, the luckier."""

    binary = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def log_prob_bound(self, images: Tensor, k: int = 7) -> Tensor:
        self.seen.append(images)
        return torch.full((len(images),), -784 * math.log(2) + math.log(k))

    def sample(self, n: int, *, rng: torch.Generator | None = None, mean: bool = False) -> Tensor:
        images = super().sample(n, rng=rng)
        return images if mean else binarize(images, rng=rng)


class Oracle(Known):
    """Knows each third label."""

    def forward(self, images: Tensor) -> Tensor:
        labels = fashion_mnist("test").labels[self.calls : self.calls + len(images)].clone()
        third = torch.arange(self.calls, self.calls + len(images)) % 3 == 0
        self.calls += len(images)
        labels[~third] = (labels[~third] + 1) % 10
        return nn.functional.one_hot(labels, 10).float()


def test_uniform_pixels_score_8_bits() -> None:
    assert evaluate(Uniform()) == {"bits_per_dimension": pytest.approx(8)}


@pytest.mark.slow
def test_the_test_images_themselves_are_at_distance_0() -> None:
    figures = evaluate(Memory())
    assert figures["frechet_distance"] == pytest.approx(0, abs=1e-4)
    assert figures["frechet_distance_of_means"] > 10  # the negatives
    assert figures["class_shares"] == pytest.approx([0.1] * 10, abs=0.02)


@pytest.mark.slow
def test_a_collapsed_generator_is_seen() -> None:
    figures = evaluate(Memory(collapsed=True), images=1000)
    assert figures["frechet_distance"] > 20
    assert max(figures["class_shares"]) == 1


@pytest.mark.slow
def test_a_binary_model_is_measured_in_nats_on_black_and_white_images() -> None:
    model = Coin()
    figures = evaluate(model, images=1000)
    assert "bits_per_dimension" not in figures
    assert figures["negative_bound"] == pytest.approx(784 * math.log(2) - math.log(7))
    assert figures["negative_log_likelihood"] == pytest.approx(784 * math.log(2) - math.log(1000))
    first, again = torch.cat(model.seen[:2]), torch.cat(model.seen[2:])
    assert torch.equal(first, again)  # both figures are those of the same images
    assert ((first == 0) | (first == 1)).all()
    assert first.mean().item() == pytest.approx(model.images[:1000].mean().item(), abs=0.002)
    # Draws are compared with black-and-white images, means with gray ones, whose classes count.
    assert figures["frechet_distance"] < 1
    assert figures["frechet_distance_of_means"] < 1
    assert figures["class_shares"] == pytest.approx([0.1] * 10, abs=0.02)
    evaluate(other := Coin(), images=1000, seed=1)
    assert not torch.equal(first, torch.cat(other.seen[:2]))


def test_accuracy_counts_right_answers() -> None:
    assert evaluate(Oracle()) == {"accuracy": pytest.approx(667 / 2000)}
    assert evaluate(Oracle(), images=30) == {"accuracy": pytest.approx(10 / 30)}


@pytest.mark.parametrize("training", [True, False])
def test_mode_and_random_state_are_left_alone(training: bool) -> None:
    model = Uniform().train(training)
    state = torch.get_rng_state()
    evaluate(model, images=20)
    assert model.training is training
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.slow
def test_references_and_report() -> None:
    floors = references(700)
    assert 0 < floors["frechet_distance"] < 3
    assert 0 < floors["frechet_distance_binary"] < 3
    assert 3.5 < floors["webp_sheets"] < floors["webp"] < 5
    assert 3.5 < floors["png_sheets"] < floors["png"] < 5
    figures = {"bits_per_dimension": 3.333333, "frechet_distance": 7.0, "class_shares": [0.1] * 10}
    table = "\n".join(report(figures, floors))
    assert "3.333" in table
    assert "Liu et al. 2022" in table
    assert "share of Ankle boot" in table
    assert f"{floors['png']:.3f}" in table
    assert report({"accuracy": 0.93125}, {}) == ["accuracy  0.9313"]
    figures = {"negative_bound": 240.0, "negative_log_likelihood": 238.5, "frechet_distance": 7.0}
    table = report(figures, floors)
    assert table[0] == "negative bound           240.00  nats per black-and-white test image"
    assert table[1].endswith("nats, estimated with 1,000 importance samples")
    assert f"{floors['frechet_distance_binary']:.3f} for black-and-white training" in table[2]
