"""`evaluate`: each figure by a model whose score is known beforehand."""

import contextlib
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from companion import evaluation, zoo
from companion.data import LabeledImages, fashion_mnist, to_float
from companion.evaluation import evaluate, image_features, references, report
from companion.likelihoods import binarize
from companion.models import GAN, VAE, Classifier, RowRNN


@pytest.fixture(autouse=True)
def _sample_in_place_of_the_full_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample that ships with the package serves as the full set: no download here."""

    def sample(split: str = "train", full: bool = False) -> LabeledImages:
        return fashion_mnist(split)

    monkeypatch.setattr(evaluation, "fashion_mnist", sample)
    evaluation._references.cache_clear()


class Known(nn.Module):
    """Counts its calls, and has a weight, a buffer and dropout like any model."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.calls = 0


class Uniform(Known):
    """Gives all 256 levels the same probability."""

    tasks: tuple[str, ...] = ("likelihood",)

    def log_prob_bound(self, images: Tensor) -> Tensor:
        assert not self.training
        torch.rand(1)  # a bound may draw
        return torch.full((len(images),), -784 * math.log(256))


class Memory(Known):
    """Draws the test images themselves, or only one of them over and over."""

    tasks: tuple[str, ...] = ("images",)

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
    tasks = ("likelihood", "images")

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

    tasks = ("classes",)

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


def test_every_module_is_left_in_its_mode_even_after_an_error() -> None:
    class Broken(Uniform):
        def log_prob_bound(self, images: Tensor) -> Tensor:
            raise RuntimeError("broken")

    for model in (Uniform(), Broken()):
        model.frozen = nn.BatchNorm1d(2).eval()
        model.train()
        model.frozen.eval()
        with contextlib.suppress(RuntimeError):
            evaluate(model, images=20)
        assert model.training
        assert not model.frozen.training


def test_models_in_float64_are_measured() -> None:
    for model in (VAE(width=2), RowRNN(hidden_size=2), Classifier(width=2), GAN(hidden_size=4)):
        figures = evaluate(model.double(), images=100)
        assert all(math.isfinite(x) for x in figures.values() if isinstance(x, float))
    features = image_features(to_float(fashion_mnist("test").images[:5]).double())
    assert features.dtype == torch.float32


def test_every_model_says_what_it_is_measured_by() -> None:
    for name in zoo.names():
        card, model = zoo.card(name), zoo.load(name)
        modules = [evaluation.TASKS[task] for task in model.tasks]
        assert set(card.metrics) <= {figure for module in modules for figure in module.FIGURES}
        floors = dict.fromkeys(["frechet_distance", "frechet_distance_binary", "png", "webp"], 1.0)
        floors |= {"png_sheets": 1.0, "webp_sheets": 1.0}
        assert len(report(card.metrics, floors)) >= len(card.metrics)


def test_references_cannot_be_changed() -> None:
    references(100)["png"] = 0.0
    assert references(100)["png"] > 3


@pytest.mark.filterwarnings("error")
def test_few_images_are_spoken_of_before_any_work() -> None:
    for ask in (lambda: evaluate(Memory(), images=20), lambda: references(20)):
        with pytest.raises(ValueError, match=r"images must be at least 65, got 20; .* images=1000"):
            ask()
    with pytest.raises(UserWarning, match="100 images bias a Fréchet distance .* at least 640"):
        evaluate(Memory(), images=100)
    evaluate(Memory(), images=700)


def test_a_bias_is_warned_of_once() -> None:
    with pytest.warns(UserWarning, match="better all 10,000") as warned:
        evaluate(Memory(), images=100)
    assert len(warned) == 1
    assert warned[0].filename == __file__


@pytest.mark.parametrize(
    ("call", "error", "sentence"),
    [
        (lambda: evaluate("vae"), TypeError, "takes a model, got str; use evaluate"),  # type: ignore[arg-type]
        (lambda: evaluate(Uniform), TypeError, "takes a model, got type"),  # type: ignore[arg-type]
        (lambda: evaluate(Known()), TypeError, r"Known does not say .*tasks = \(\"images\",\)"),
        (lambda: evaluate(Uniform(), images=2.5), TypeError, "images must be a whole number"),  # type: ignore[arg-type]
        (lambda: evaluate(Uniform(), images=0), ValueError, "images must be at least 1, got 0"),
    ],
)
def test_mistakes_get_one_sentence(
    call: Callable[[], object], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_unknown_task_is_answered_by_the_known_ones() -> None:
    model = Uniform()
    model.tasks = ("Image",)
    with pytest.raises(ValueError, match="a task must be one of 'likelihood'.*mean 'images'"):
        evaluate(model)
