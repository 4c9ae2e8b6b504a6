"""Divergences on the line: closed forms, integration, torch and SciPy must agree."""

import math
from pathlib import Path

import pytest
import scipy.stats  # type: ignore[import-untyped]
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_kl_divergence

from companion.metrics import (
    box_js_divergence,
    divergences,
    frechet_distance,
    gaussian_kl_divergence,
    gaussian_wasserstein_distance,
    js_divergence,
    kl_divergence,
    wasserstein_distance,
)
from companion.metrics.precision import double
from companion.models.vae import gaussian_kl_per_dimension

X = torch.linspace(-20, 20, 40_001, dtype=torch.float64)
DIVERGENCES = (kl_divergence, js_divergence, wasserstein_distance)
# Narrower or farther bells would be zero, in float64, where others have mass.
means, widths = st.floats(-3, 3), st.floats(0.6, 1.5)


def number(value: float | Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64)


def gaussian(mean: float | Tensor, std: float | Tensor) -> Tensor:
    return Normal(number(mean), number(std)).log_prob(X).exp()


def box(left: float, width: float, x: Tensor) -> Tensor:
    return ((x > left) & (x < left + width)).double() / width


@given(means, widths, means, widths)
@settings(max_examples=30)
def test_formula_and_integration_agree_for_gaussians(
    a: float, s: float, b: float, t: float
) -> None:
    p, q = gaussian(a, s), gaussian(b, t)
    parameters = (number(a), number(s), number(b), number(t))
    formula = gaussian_kl_divergence(*parameters)
    assert kl_divergence(p, q, X).item() == pytest.approx(formula.item(), abs=1e-6, rel=1e-9)
    way = gaussian_wasserstein_distance(*parameters).first
    assert wasserstein_distance(p, q, X).item() == pytest.approx(way.item(), abs=1e-6)


@given(means, widths, means, widths)
def test_closed_forms_against_torch_and_the_vae(a: float, s: float, b: float, t: float) -> None:
    parameters = (number(a), number(s), number(b), number(t))
    ours = gaussian_kl_divergence(*parameters)
    theirs = torch_kl_divergence(Normal(*parameters[:2]), Normal(*parameters[2:]))
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    standard = gaussian_kl_divergence(number(a), number(s), number(0), number(1))
    vae = gaussian_kl_per_dimension(number(a), 2 * number(s).log())
    assert standard.item() == pytest.approx(vae.item(), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 0.25, 0.5, 1.0, 3.0])
def test_boxes_part_at_log_2(shift: float) -> None:
    h = 1e-3
    x = torch.arange(-2000, 6000, dtype=torch.float64) * h + h / 2  # edges on edges of cells
    p, q = box(0, 1, x), box(shift, 1, x)
    formula = box_js_divergence(number(shift))
    assert js_divergence(p, q, x).item() == pytest.approx(formula.item(), abs=1e-9)
    assert formula.item() == pytest.approx(min(shift, 1) * math.log(2))
    assert box_js_divergence(number(-2 * shift), 2).item() == pytest.approx(formula.item())
    assert wasserstein_distance(p, q, x).item() == pytest.approx(shift, abs=1e-9)
    assert kl_divergence(p, q, x).item() == (0 if shift == 0 else math.inf)


def test_a_smooth_jensen_shannon_divergence_with_a_closed_form() -> None:
    # (1 + a cos) / 2 pi and (1 - a cos) / 2 pi: log((1 + r) / 2) + 1 - r with r^2 = 1 - a^2.
    n = 4000
    x = (torch.arange(n, dtype=torch.float64) + 0.5) * (2 * math.pi / n)
    for a in (0.3, 0.9):
        p, q = ((1 + sign * a * x.cos()) / (2 * math.pi) for sign in (1, -1))
        r = math.sqrt(1 - a**2)
        expected = math.log((1 + r) / 2) + 1 - r
        assert js_divergence(p, q, x).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("divergence", DIVERGENCES)
def test_zero_only_where_equal(divergence: type) -> None:
    p, q = gaussian(0, 1), gaussian(0.1, 1)
    assert divergence(p, p, X).item() == pytest.approx(0, abs=1e-12)
    assert divergence(p, q, X).item() > 1e-4


@given(means, widths, means, widths)
@settings(max_examples=20)
def test_symmetries_and_bounds(a: float, s: float, b: float, t: float) -> None:
    p, q = gaussian(a, s), gaussian(b, t)
    for divergence in (js_divergence, wasserstein_distance):
        there, back = divergence(p, q, X), divergence(q, p, X)
        assert there.item() == pytest.approx(back.item(), abs=1e-12)
    assert -1e-12 <= js_divergence(p, q, X) <= math.log(2)
    assert kl_divergence(p, q, X) >= -1e-12
    # Jensen-Shannon is a quarter of the symmetric divergence at most (Lin 1991, theorem 3).
    both = kl_divergence(p, q, X) + kl_divergence(q, p, X)
    assert js_divergence(p, q, X) <= both / 4 + 1e-12


def test_kullback_leibler_is_not_symmetric() -> None:
    p, q = gaussian(0, 1), gaussian(0, 2)
    assert kl_divergence(q, p, X) > 1.5 * kl_divergence(p, q, X)


def test_wasserstein_against_scipy_and_against_samples() -> None:
    p = 0.3 * gaussian(-2, 0.5) + 0.7 * gaussian(1, 1)
    q = gaussian(0.5, 2)
    theirs = scipy.stats.wasserstein_distance(X.numpy(), X.numpy(), p.numpy(), q.numpy())
    assert wasserstein_distance(p, q, X).item() == pytest.approx(theirs, abs=1e-6)


def test_gaussian_wasserstein_in_its_limits() -> None:
    equal = gaussian_wasserstein_distance(number(1), number(2), number(-3), number(2))
    assert equal.first.item() == equal.second.item() == 4
    centered = gaussian_wasserstein_distance(number(0), number(1), number(0), number(3))
    assert centered.first.item() == pytest.approx(2 * math.sqrt(2 / math.pi))
    assert centered.second.item() == 2
    x = torch.randn(2000, 1, generator=torch.Generator().manual_seed(0)).double()
    x = (x - x.mean()) / x.std()
    square = frechet_distance(1 + 2 * x, -1 + 0.5 * x)
    second = gaussian_wasserstein_distance(number(1), number(2), number(-1), number(0.5)).second
    assert square == pytest.approx(second.item() ** 2)


def test_gradients_against_the_formulas() -> None:
    """Of a Gaussian's mean: (b - a) / t^2, nothing to speak of, and 1."""
    mean = number(3.0).requires_grad_()
    p, q = gaussian(0, 0.2), gaussian(mean, 0.2)
    (kl,) = torch.autograd.grad(kl_divergence(p, q, X), mean, retain_graph=True)
    (js,) = torch.autograd.grad(js_divergence(p, q, X), mean, retain_graph=True)
    (w,) = torch.autograd.grad(wasserstein_distance(p, q, X), mean)
    assert kl.item() == pytest.approx(3 / 0.2**2, rel=1e-6)
    assert abs(js.item()) < 1e-9
    assert w.item() == pytest.approx(1, abs=1e-6)


def test_gradients_hold_no_nan_where_densities_vanish() -> None:
    mean = number(0.0).requires_grad_()
    p, q = gaussian(2, 0.01), gaussian(mean, 0.01)
    assert (p == 0).any()
    assert (q == 0).any()
    for divergence in (js_divergence, wasserstein_distance):
        (slope,) = torch.autograd.grad(divergence(p, q, X), mean, retain_graph=True)
        assert math.isfinite(slope)
    assert kl_divergence(p, q, X).item() == math.inf


def test_leading_dimensions_are_kept_and_float32_is_computed_innumber() -> None:
    p = torch.stack([gaussian(a, 1) for a in (0, 1, 2)])
    q = gaussian(0, 2)
    for divergence in DIVERGENCES:
        values = divergence(p, q, X)
        assert values.shape == (3,)
        assert values.dtype == divergence(p.float(), q.float(), X.float()).dtype == torch.float64
        assert values[2].item() == pytest.approx(divergence(p[2], q, X).item())


@pytest.mark.parametrize("divergence", DIVERGENCES)
@pytest.mark.parametrize(
    ("p", "x", "error", "message"),
    [
        ([1.0], X, TypeError, "p must be a tensor of floats, got list; use torch.as_tensor"),
        (torch.ones(3).long(), X, TypeError, "got int64"),
        (gaussian(0, 1), X[None], ValueError, r"shape \(N,\) with N > 1, got \(1, 40001\)"),
        (gaussian(0, 1), X.flip(0), ValueError, "evenly spaced and rising"),
        (gaussian(0, 1), X**3, ValueError, "evenly spaced and rising, got steps from"),
        (gaussian(0, 1)[:-1], X, ValueError, r"each of the 40001 points .* got \(40000,\)"),
        (-gaussian(0, 1), X, ValueError, "nowhere negative, got values from -0.3989"),
        (gaussian(0, 1) / 0, X, ValueError, "finite"),
        (2 * gaussian(0, 1), X, ValueError, "mass 1 on the grid, got 2; widen or refine"),
        (gaussian(19, 3), X, ValueError, "mass 1 on the grid, got 0.6"),
    ],
)
def test_bad_input(
    divergence: type, p: Tensor, x: Tensor, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        divergence(p, gaussian(0, 1), x)


@pytest.mark.parametrize("shift", [0.0, 1.0, -50.0])
def test_gradients_of_the_distance_of_gaussians_are_finite_where_they_are_equally_wide(
    shift: float,
) -> None:
    mean = torch.tensor(shift, requires_grad=True)
    std = torch.tensor(2.0, requires_grad=True)
    distances = gaussian_wasserstein_distance(mean, std, torch.tensor(0.0), torch.tensor(2.0))
    assert distances.first.item() == distances.second.item() == abs(shift)
    for distance in distances:
        for gradient in torch.autograd.grad(distance, (mean, std), retain_graph=True):
            assert gradient.isfinite()


def test_fitting_one_gaussian_to_another_comes_to_rest() -> None:
    mean, std = torch.tensor(3.0, requires_grad=True), torch.tensor(2.0, requires_grad=True)
    optimizer = torch.optim.Adam([mean, std], lr=0.05)
    for _ in range(500):
        optimizer.zero_grad()
        gaussian_wasserstein_distance(
            mean, std, torch.tensor(0.0), torch.tensor(1.0)
        ).second.backward()
        optimizer.step()
    assert abs(mean.item()) < 0.2
    assert abs(std.item() - 1) < 0.2


def test_only_one_place_asks_for_float64() -> None:
    """On an MPS, which has none, a tensor must first go to the CPU."""
    folder = Path(divergences.__file__).parent
    asking = {path.name for path in folder.glob("*.py") if ".double()" in path.read_text("utf-8")}
    assert asking == {"precision.py"}
    assert double(torch.ones(2)).dtype == torch.float64
