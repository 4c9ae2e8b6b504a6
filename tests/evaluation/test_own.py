"""Pictures of your own: features trained on them, and what `evaluate` measures with these."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from companion import models, train
from companion.data import fashion_mnist, moving_fashion, to_float
from companion.evaluation import evaluate, fit_features
from companion.likelihoods import bits_per_dimension
from companion.metrics import copy_last_frame, frame_errors, frechet_distance

GRAY, LABELS = fashion_mnist()
TINTS = torch.rand(len(GRAY), 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 0.7 + 0.3
COLOR = (F.pad(to_float(GRAY), (2, 2, 2, 2)) * TINTS * 255).round().to(torch.uint8)
TRAIN, TEST, OTHERS = COLOR[:500], COLOR[500:750], COLOR[750:1000]
SHAPE = (3, 32, 32)


def fit(images: Tensor = TRAIN, labels: Tensor | None = None, **options: Any) -> Any:
    settings = {"num_features": 16, "steps": 8, "device": "cpu", "progress": False}
    return fit_features(images, labels, **settings | options)


class Draws(nn.Module):
    """Draws what it was given, and knows one likelihood."""

    tasks = ("images",)
    image_shape = SHAPE

    def __init__(self, pictures: Tensor) -> None:
        super().__init__()
        self.pictures, self.scale = pictures, nn.Parameter(torch.ones(()))

    def sample(self, n: int, *, rng: torch.Generator | None = None) -> Tensor:
        return to_float(self.pictures[:n])


@pytest.mark.slow
@pytest.mark.parametrize("labels", [LABELS[:500], None], ids=["labels", "turned"])
def test_the_distance_orders_what_eyes_order(labels: Tensor | None) -> None:
    features = fit(TRAIN, labels, steps=150)
    test, others = to_float(TEST), to_float(OTHERS)
    noise = torch.rand(250, *SHAPE, generator=torch.Generator().manual_seed(1))
    cases = {
        "real": others,
        "gray": others.mean(1, keepdim=True).expand(-1, 3, -1, -1),
        "upside down": others.flip(2),
        "blurred": F.avg_pool2d(others, 5, 1, 2),
        "noise": noise,
    }
    distance = {k: frechet_distance(features(test), features(x)) for k, x in cases.items()}
    for wrong in ("gray", "upside down", "blurred"):
        assert 2 * distance["real"] < distance[wrong] < distance["noise"], distance


def test_features_are_of_the_given_width_and_alike_for_a_seed() -> None:
    state = torch.random.get_rng_state()
    first, again, other = fit(), fit(), fit(seed=1)
    assert torch.equal(torch.random.get_rng_state(), state)
    x = to_float(TEST)
    assert first(x).shape == (250, 16 + 6)
    assert first(x).dtype == torch.float32
    assert torch.equal(first(x), again(x))
    assert not torch.equal(first(x), other(x))
    assert not first(x.requires_grad_()).requires_grad
    torch.testing.assert_close(first(x)[:3], first(x[:3]))


def test_two_pictures_and_gray_ones_will_do() -> None:
    assert fit(GRAY[:2])(to_float(GRAY[:3])).shape == (3, 18)
    assert fit(to_float(GRAY[:4]), steps=1)(to_float(GRAY[:3])).shape == (3, 18)
    oblong = torch.rand(4, 3, 16, 24, generator=torch.Generator().manual_seed(0))
    assert fit(oblong, torch.tensor([0, 1, 1, 0]))(oblong).shape == (4, 22)


def test_evaluate_measures_samples_in_features_of_your_own() -> None:
    features = fit()
    figures = evaluate(Draws(TEST), images=TEST, features=features)
    assert figures == {"frechet_distance": pytest.approx(0, abs=1e-6)}  # no shares of garments
    others = evaluate(Draws(OTHERS), images=to_float(TEST), features=features)
    expected = frechet_distance(features(to_float(OTHERS)), features(to_float(TEST)))
    assert others == {"frechet_distance": pytest.approx(expected)}


def test_evaluate_measures_the_likelihood_of_your_own_images() -> None:
    torch.manual_seed(0)
    model = models.VAE(latent_dim=2, width=4, image_shape=SHAPE)
    figures = evaluate(model, images=TEST[:100], features=fit(), seed=3)
    assert set(figures) == {"bits_per_dimension", "frechet_distance", "frechet_distance_of_means"}
    torch.manual_seed(3)
    bound = model.log_prob_bound(to_float(TEST[:100])).double().mean()
    expected = bits_per_dimension(bound, 3 * 32 * 32).item()
    assert figures["bits_per_dimension"] == pytest.approx(expected, rel=1e-6)


def test_evaluate_measures_your_own_classes_and_videos() -> None:
    torch.manual_seed(0)
    classifier = models.Classifier(width=4, num_classes=2, image_shape=SHAPE)
    labels = torch.arange(100) % 2
    accuracy = evaluate(classifier, images=TEST[:100], labels=labels)["accuracy"]
    right = (classifier.eval()(to_float(TEST[:100])).argmax(1) == labels).double().mean().item()
    assert accuracy == pytest.approx(right)

    rng = torch.Generator().manual_seed(0)
    videos = moving_fashion(to_float(GRAY[:6]), frames=8, rng=rng)
    model = models.ConvLSTM(hidden_size=4, layers=1, frames_in=5, frames_out=3)
    figures = evaluate(model, images=videos)
    copies = frame_errors(copy_last_frame(videos[:, :5], 3), videos[:, 5:]).mean().item()
    assert figures["frame_errors_copying"] == pytest.approx(copies)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_a_classifier_of_your_own_shape_learns(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    images = torch.rand(64, 2, 8, 16, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(64) % 3
    images[:, 0] *= (labels[:, None, None] + 1) / 3
    images = (images * 255).to(dtype) if dtype == torch.uint8 else images
    model = models.Classifier(width=4, num_classes=3, image_shape=(2, 8, 16), num_features=5)
    train(model, images, labels, epochs=60, batch_size=32, device="cpu", progress=False)
    assert evaluate(model, images=images, labels=labels)["accuracy"] > 0.9


SEQUENCES = torch.rand(2, 8, 1, 32, 32, generator=torch.Generator().manual_seed(0))
MISTAKES: dict[str, tuple[Any, type[Exception], str]] = {
    "a model of another shape": (
        lambda: evaluate(Draws(TEST)),
        ValueError,
        r"have shape \(1, 28, 28\), got a model of \(3, 32, 32\); give test images of your own",
    ),
    "no features": (
        lambda: evaluate(Draws(TEST), images=TEST),
        ValueError,
        "are measured in features of your own; use features=companion.evaluation.fit_features",
    ),
    "no labels": (
        lambda: evaluate(models.Classifier(width=4), images=GRAY[:9]),
        ValueError,
        "Classifier is measured by its classes; give the test images' labels, labels=",
    ),
    "images of another shape": (
        lambda: evaluate(Draws(TEST), images=GRAY[:9], features=len),
        ValueError,
        r"images must have shape \(N, 3, 32, 32\), got \(9, 1, 28, 28\)",
    ),
    "too few images": (
        lambda: evaluate(Draws(TEST), images=TEST[:20], features=fit()),
        ValueError,
        "has 20 samples of 22 dimensions",
    ),
    "videos of another length": (
        lambda: evaluate(models.ConvLSTM(hidden_size=4), images=SEQUENCES),
        ValueError,
        r"sequences must have 10 \+ 10 frames, got 8; build the model for theirs: frames_in",
    ),
    "one class": (
        lambda: fit(TRAIN[:8], torch.zeros(8, dtype=torch.int64)),
        ValueError,
        "at least two classes, got one, which .*; leave them out, and the pictures are turned",
    ),
    "labels of another type": (
        lambda: fit(TRAIN[:8], torch.rand(8)),
        TypeError,
        "labels must be an int64 tensor, got float32; use",
    ),
    "fewer labels": (
        lambda: fit(TRAIN[:8], LABELS[:4]),
        ValueError,
        "as many as the images, 8, got 4; give",
    ),
    "no squares": (
        lambda: fit(TRAIN[:8, :, :16]),
        ValueError,
        r"without labels the images must be squares, got \(8, 3, 16, 32\); give labels, or crop",
    ),
    "one picture": (lambda: fit(TRAIN[0]), ValueError, r"use images\[:, None\]|images\[None\]"),
    "tiny pictures": (
        lambda: fit(TRAIN[:8, :, :4, :4]),
        ValueError,
        r"sides of at least 8, which are halved three times, got \(3, 4, 4\); pad or enlarge",
    ),
    "a list": (lambda: fit([1, 2]), TypeError, "images must be a torch.Tensor of floats"),  # type: ignore[arg-type]
    "no steps": (lambda: fit(TRAIN[:8], steps=0), ValueError, "steps must be at least 1, got 0"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_sentence(name: str) -> None:
    call, kind, words = MISTAKES[name]
    with pytest.raises(kind, match=words):
        call()
