"""The references of homework 1, 2, 3 and 5, against companion and against other integrals.

With the book's numbers a question asks for what companion computes, or for what an identity says.
"""

import re

import numpy as np
import pytest
import torch
from torch import Tensor

from companion import likelihoods, metrics
from companion.homework import assignments
from companion.homework.assignments.hw1_images import questions as hw1
from companion.homework.assignments.hw2_distances import questions as hw2
from companion.homework.assignments.hw3_elbo import questions as hw3
from companion.homework.assignments.hw5_iwae_vq import questions as hw5
from companion.homework.build import links
from companion.homework.question import Inputs, Question
from companion.models.iwae import effective_sample_size, importance_bound
from companion.models.quantizer import VectorQuantizer


def draw(question: Question, seed: int = 0) -> Inputs:
    return question.inputs(torch.Generator().manual_seed(seed))


def test_bits_per_dimension_of_a_density_on_256_levels() -> None:
    question = hw1._bits_per_dimension(256)
    log_density, channels, height, width = draw(question)
    d = channels * height * width
    masses = log_density - d * np.log(256)
    expected = likelihoods.bits_per_dimension(masses, d)
    torch.testing.assert_close(question.reference(log_density, channels, height, width), expected)


@pytest.mark.parametrize("levels", [2, 32, 256])
def test_dequantized_images_return_to_their_levels(levels: int) -> None:
    question = hw1._dequantize(levels)
    images, noise = draw(question)
    values = question.reference(images, noise)
    assert ((values >= 0) & (values < 1)).all()
    assert torch.equal((values * levels).floor().long(), images.long() * levels // 256)


def test_log_mass_is_that_of_one_component() -> None:
    question = hw1._log_mass(256)
    level, mean, log_scale = draw(question)
    parameters = torch.stack([torch.zeros_like(mean), mean, log_scale])[:, :, None]
    expected = likelihoods.discretized_mixture_log_prob(
        parameters.movedim(0, 1), (level / 255)[:, None, None].double()
    )
    torch.testing.assert_close(
        question.reference(level, mean, log_scale), expected[:, 0, 0], rtol=1e-5, atol=1e-5
    )


def test_masses_add_up_to_one() -> None:
    reference = hw1._log_mass(32).reference
    mean = torch.full((32,), 0.1, dtype=torch.float64)
    masses = reference(torch.arange(32), mean, torch.full_like(mean, -2)).exp()
    assert masses.sum().item() == pytest.approx(1, abs=1e-6)


def test_a_histogram_of_equal_counts_costs_the_logarithm_of_the_levels() -> None:
    every_level = torch.arange(32).view(2, 1, 4, 4)
    cost = hw1._histogram_bits(32, 1).reference(every_level, every_level)
    assert cost.item() == pytest.approx(5)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (hw2._kl_divergence(0.0), metrics.kl_divergence),
        (hw2._js_divergence(0.5), metrics.js_divergence),
        (hw2._transport_work(1.0), metrics.wasserstein_distance),
    ],
    ids=["kl", "js", "work"],
)
def test_distances_with_the_numbers_of_the_book(question: Question, expected) -> None:
    p, q, x = draw(question)
    torch.testing.assert_close(question.reference(p, q, x), expected(p, q, x), rtol=1e-6, atol=1e-8)


def test_a_shift_uphill_costs_its_price() -> None:
    x = torch.linspace(-5, 5, 501, dtype=torch.float64)
    bells = torch.exp(-((x - torch.tensor([[0.0], [1.0]])) ** 2) * 2)
    bells = bells / bells.sum(1, keepdim=True) / 0.02
    work = hw2._transport_work(3.0).reference
    assert work(bells[:1], bells[1:], x).item() == pytest.approx(3, abs=1e-6)
    assert work(bells[1:], bells[:1], x).item() == pytest.approx(1, abs=1e-6)


def test_bound_and_gap_add_up_to_the_evidence() -> None:
    """The gap once more as an integral of its own; the references only subtract."""
    model = hw3._Model(bend=1.7, noise=0.3)
    x, mu, logvar, z = draw(hw3._gap(model))
    q = torch.distributions.Normal(mu[:, None], torch.exp(logvar[:, None] / 2)).log_prob(z)
    posterior = model.likelihood(x[:, None], z) + hw3.PRIOR.log_prob(z) - model.evidence(x)[:, None]
    expected = torch.trapezoid(q.exp() * (q - posterior), z, dim=1)
    torch.testing.assert_close(hw3._gap(model).reference(x, mu, logvar, z), expected)


def test_the_reconstruction_is_an_expectation() -> None:
    model = hw3._Model(bend=1.7, noise=0.3)
    x, mu, logvar, _ = draw(hw3._elbo(model))
    nodes, weights = _hermite()
    z = mu + torch.exp(logvar / 2) * nodes
    expected = (weights * model.likelihood(x, z)).sum(0)
    torch.testing.assert_close(model.reconstruction(x, mu, logvar), expected)


@pytest.mark.parametrize("estimator", [lambda m: hw3._score(m, -2.0), hw3._pathwise])
def test_both_estimators_have_the_right_mean(estimator) -> None:
    model = hw3._Model(bend=1.7, noise=0.3)
    question = estimator(model)
    x, mu, logvar, _ = draw(question)
    nodes, weights = _hermite()
    mean = (weights * question.reference(x, mu, logvar, nodes.expand(-1, len(x)))).sum(0)
    free = logvar.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model.reconstruction(x, mu, free).sum(), free)
    torch.testing.assert_close(mean, expected)


def _hermite() -> tuple[Tensor, Tensor]:
    """Nodes and weights for means under N(0, 1), shape (100, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    return torch.tensor(nodes)[:, None], torch.tensor(weights / weights.sum())[:, None]


def test_importance_bound_under_the_standard_prior() -> None:
    question = hw5._importance_bound(0.0)
    like, z, mu, logvar = (t.double() for t in draw(question))
    noise = (z - mu[:, None]) / torch.exp(logvar[:, None] / 2)
    ratio = 0.5 * (noise**2 + logvar[:, None] - z**2).sum(2)  # eq-iwae-ratio
    expected = importance_bound((like + ratio).T)
    torch.testing.assert_close(question.reference(like, z, mu, logvar), expected)


def test_effective_sample_size_without_a_cap() -> None:
    question = hw5._effective_sample_size(float("inf"))
    (log_weights,) = draw(question)
    torch.testing.assert_close(
        question.reference(log_weights), effective_sample_size(log_weights.double().T)
    )


def test_quantizer_hands_on_the_whole_gradient() -> None:
    question = hw5._straight_through(1.0)
    vectors, codebook, pull = draw(question)
    quantizer = VectorQuantizer(*codebook.shape, moving_average=False)
    quantizer.codebook.data.copy_(codebook)
    free = vectors.clone().requires_grad_()
    entries = quantizer(free.movedim(2, 1)[..., None]).vectors[..., 0].movedim(1, 2)
    (gradient,) = torch.autograd.grad((entries * pull).sum(), free)
    expected = (entries.detach(), gradient, torch.zeros_like(codebook))
    for got, right in zip(question.reference(vectors, codebook, pull), expected, strict=True):
        torch.testing.assert_close(got.float(), right)


def test_codebook_loss_and_its_gradients() -> None:
    """Each gradient against that of the squared distance, which moves one side at a time."""
    question = hw5._codebook_loss(0.25)
    vectors, entries = (t.double() for t in draw(question))
    value, to_vectors, to_entries = question.reference(vectors, entries)
    apart = torch.nn.functional.mse_loss(vectors, entries, reduction="sum") / len(vectors)
    torch.testing.assert_close(value, 1.25 * apart)
    free = vectors.clone().requires_grad_()
    slope = torch.autograd.grad((free - entries).square().sum() / len(vectors), free)[0]
    torch.testing.assert_close(to_vectors, 0.25 * slope)
    torch.testing.assert_close(to_entries, -slope)


@pytest.mark.parametrize("homework", ["hw1", "hw2", "hw3", "hw5"])
def test_the_text_gives_the_points_of_the_questions(homework: str) -> None:
    text = (assignments.folder(homework) / "source.py").read_text("utf-8")
    questions = assignments.questions(homework)
    parts = re.split(r"^# ## Question ", text, flags=re.MULTILINE)[1:]
    named = [int(re.search(r"\((\d+) points", part)[1]) for part in parts]
    assert named[:-1] == [question.points for question in questions.values()]
    assert [re.search(r"question=(\w+)", part)[1] for part in parts[:-1]] == list(questions)
    assert sum(named) == int(re.search(r"\*Points:\*\s+(?:# )?(\d+)", text)[1])
    rubric = (assignments.folder(homework) / "manual.md").read_text("utf-8")
    points = [int(n) for n in re.findall(r"^\| (\d+) \|", rubric, flags=re.MULTILINE)]
    assert sum(points) == named[-1]


def test_a_bracket_before_a_link_stays() -> None:
    text = "values in $[0, 1)$, [defined here](start/data#eq-data-bpd)"
    assert links.addresses(text).startswith("values in $[0, 1)$, [defined here](https://")
    assert links.roles(text, "homework").startswith("values in $[0, 1)$, defined here")
