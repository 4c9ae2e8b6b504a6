"""The likelihood of 8-bit pixels against sums over all levels and plain differences."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from companion.likelihoods import (
    bernoulli_log_prob,
    binarize,
    bits_per_dimension,
    check_binary,
    discretized_mixture_log_prob,
    discretized_mixture_mean,
    discretized_mixture_sample,
    spread_components,
    to_levels,
)

LEVELS = torch.arange(256, dtype=torch.float64) / 255


def mixture(logits: list[float], means: list[float], log_scales: list[float]) -> Tensor:
    """Parameters of one gray pixel, shape (1, 3K, 1, 1)."""
    return torch.tensor(logits + means + log_scales, dtype=torch.float64).view(1, -1, 1, 1)


def log_masses(parameters: Tensor) -> Tensor:
    """Log-mass of each of the 256 levels of one gray pixel."""
    images = LEVELS.view(256, 1, 1, 1)
    return discretized_mixture_log_prob(parameters.expand(256, -1, 1, 1), images).flatten()


numbers = st.floats(-20, 20)


@given(
    components=st.integers(1, 4).flatmap(
        lambda k: st.tuples(*[st.lists(numbers, min_size=k, max_size=k)] * 3)
    )
)
def test_masses_of_all_levels_sum_to_one(
    components: tuple[list[float], list[float], list[float]],
) -> None:
    total = log_masses(mixture(*components)).exp().sum()
    assert total.item() == pytest.approx(1.0, abs=1e-9)


def test_masses_equal_differences_of_the_distribution_function() -> None:
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(3, generator=rng, dtype=torch.float64)
    means = torch.rand(3, generator=rng, dtype=torch.float64)
    log_scales = -3 + torch.randn(3, generator=rng, dtype=torch.float64)
    edges = LEVELS[:-1] + 0.5 / 255  # between level k and k + 1
    cdf = torch.sigmoid((edges - means[:, None]) / log_scales.exp()[:, None])
    cdf = torch.cat([torch.zeros(3, 1), cdf, torch.ones(3, 1)], dim=1)
    expected = (logits.softmax(0)[:, None] * cdf.diff(dim=1)).sum(dim=0)
    parameters = mixture(logits.tolist(), means.tolist(), log_scales.tolist())
    torch.testing.assert_close(log_masses(parameters).exp(), expected, rtol=0, atol=1e-13)


def test_channels_and_components_are_not_mixed_up() -> None:
    """Each channel of each image has the mass that it would have on its own."""
    rng = torch.Generator().manual_seed(0)
    parameters = torch.randn(2, 3 * 2 * 3, 4, 5, generator=rng, dtype=torch.float64)
    images = LEVELS[torch.randint(256, (2, 3, 4, 5), generator=rng)]
    together = discretized_mixture_log_prob(parameters, images)
    parts = parameters.view(2, 3, 2, 3, 4, 5)  # kind, component, channel
    for channel in range(3):
        alone = discretized_mixture_log_prob(
            parts[:, :, :, channel].reshape(2, 6, 4, 5), images[:, channel : channel + 1]
        )
        torch.testing.assert_close(together[:, channel : channel + 1], alone)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_at_extreme_parameters(dtype: torch.dtype) -> None:
    means = (-1e4, -3.0, 0.0, 0.5, 1.0, 1e4)
    for mean, log_scale in itertools.product(means, (-50.0, 0.0, 50.0)):
        parameters = mixture([0.0, 300.0], [mean, mean], [log_scale, log_scale]).to(dtype)
        parameters.requires_grad_()
        images = torch.tensor([0.0, 0.5, 1.0], dtype=dtype).mul(255).round().div(255)
        log_prob = discretized_mixture_log_prob(
            parameters.expand(3, -1, 1, 1), images.view(3, 1, 1, 1)
        )
        log_prob.sum().backward()
        assert log_prob.isfinite().all(), (mean, log_scale)
        assert (log_prob <= 1e-6).all()
        assert parameters.grad is not None
        assert parameters.grad.isfinite().all(), (mean, log_scale)


def test_float32_agrees_with_float64() -> None:
    rng = torch.Generator().manual_seed(0)
    parameters = torch.randn(8, 9, 6, 6, generator=rng, dtype=torch.float64)
    parameters[:, 6:] -= 4
    images = LEVELS[torch.randint(256, (8, 1, 6, 6), generator=rng)]
    exact = discretized_mixture_log_prob(parameters, images)
    single = discretized_mixture_log_prob(parameters.float(), images.float())
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-3)


def test_samples_follow_the_masses() -> None:
    """Pearson's chi-square of 200,000 draws over the levels, far below its 1e-6 quantile."""
    parameters = mixture([0.0, 1.0, -1.0], [0.1, 0.6, 1.05], [-3.0, -4.0, -3.5])
    n = 200_000
    rng = torch.Generator().manual_seed(0)
    images = discretized_mixture_sample(parameters.expand(1, -1, 1, n), rng=rng)
    counts = torch.bincount((images * 255).round().long().flatten(), minlength=256).double()
    expected = n * log_masses(parameters).exp()
    rare = expected < 20
    observed = torch.cat([counts[~rare], counts[rare].sum().view(1)])
    expected = torch.cat([expected[~rare], expected[rare].sum().view(1)])
    chi_square = ((observed - expected) ** 2 / expected).sum()
    freedom = len(observed) - 1
    assert chi_square < freedom + 5 * math.sqrt(2 * freedom)


def test_low_temperature_draws_the_mean_of_the_likeliest_component() -> None:
    parameters = mixture([0.0, 2.0], [0.2, 0.6], [-2.0, -2.0]).expand(1, -1, 8, 8)
    rng = torch.Generator().manual_seed(0)
    images = discretized_mixture_sample(parameters, rng=rng, temperature=1e-3)
    torch.testing.assert_close(images, to_levels(torch.full_like(images, 0.6)))
    with pytest.raises(ValueError, match="temperature must be positive, got 0"):
        discretized_mixture_sample(parameters, temperature=0)


def test_mean_is_the_expectation_where_no_mass_is_clipped() -> None:
    parameters = mixture([0.0, 1.0], [0.4, 0.6], [-5.0, -4.5])
    expected = (log_masses(parameters).exp() * LEVELS).sum()
    mean = discretized_mixture_mean(parameters)
    assert mean.shape == (1, 1, 1, 1)
    assert mean.item() == pytest.approx(expected.item(), abs=1e-4)
    outside = discretized_mixture_mean(mixture([0.0], [3.0], [0.0]))
    assert outside.item() == 1.0


def test_samples_are_levels_and_take_the_generator() -> None:
    parameters = torch.randn(2, 18, 3, 3)
    before = torch.get_rng_state()
    first = discretized_mixture_sample(parameters, channels=3, rng=torch.Generator().manual_seed(1))
    second = discretized_mixture_sample(
        parameters, channels=3, rng=torch.Generator().manual_seed(1)
    )
    assert first.shape == (2, 3, 3, 3)
    assert torch.equal(first, second)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, to_levels(first))


def test_bits_per_dimension() -> None:
    """A uniform choice among 256 levels costs eight bits."""
    uniform = torch.tensor([-784 * math.log(256)], dtype=torch.float64)
    assert bits_per_dimension(uniform, 784).item() == pytest.approx(8.0)
    with pytest.raises(
        ValueError, match="dimensions must be at least 1, got 0; give the number of pixel values"
    ):
        bits_per_dimension(uniform, 0)


def test_parameters_that_do_not_fit_are_refused() -> None:
    images = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match=r"parameters must have shape \(N, 3K \* 1, H, W\)"):
        discretized_mixture_log_prob(torch.zeros(1, 4, 2, 2), images)
    with pytest.raises(ValueError, match="both need the same N, H and W"):
        discretized_mixture_log_prob(torch.zeros(1, 3, 2, 3), images)
    with pytest.raises(ValueError, match="both need the same N, H and W"):
        discretized_mixture_log_prob(torch.zeros(3, 3, 2, 2), images)


# ---- Black-and-white pixels ----------------------------------------------------------------------


def test_bernoulli_masses_sum_to_one_and_equal_torch_distributions() -> None:
    logits = torch.randn(4, 5, 1, 2, 3, dtype=torch.float64)  # four times five images
    images = binarize(torch.full((5, 1, 2, 3), 0.5, dtype=torch.float64))
    log_prob = bernoulli_log_prob(logits, images)
    expected = torch.distributions.Bernoulli(logits=logits).log_prob(images)
    torch.testing.assert_close(log_prob, expected, rtol=1e-12, atol=1e-14)
    total = (
        bernoulli_log_prob(logits, 0 * images).exp()
        + bernoulli_log_prob(logits, 0 * images + 1).exp()
    )
    torch.testing.assert_close(total, torch.ones_like(total))


def test_bernoulli_is_finite_at_extreme_logits_and_no_likelihood_of_gray() -> None:
    logits = torch.tensor([-1e4, 1e4], requires_grad=True)
    log_prob = bernoulli_log_prob(logits, torch.tensor([1.0, 0.0]))
    assert log_prob.tolist() == [-1e4, -1e4]
    log_prob.sum().backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    levels = LEVELS  # at logit 0 each of the 256 levels gets 1/2: together far more than one
    assert bernoulli_log_prob(torch.zeros(256).double(), levels).exp().sum().item() == 128


def test_binarize_draws_each_pixel_with_its_gray_value() -> None:
    gray = torch.tensor([0.0, 0.25, 0.9, 1.0]).view(1, 4, 1, 1).expand(50_000, 4, 1, 1)
    rng = torch.Generator().manual_seed(0)
    before = torch.get_rng_state()
    images = binarize(gray, rng=rng)
    check_binary(images)
    shares = images.mean(dim=0).flatten()
    assert shares[0] == 0
    assert shares[3] == 1
    assert shares[1].item() == pytest.approx(0.25, abs=0.01)
    assert shares[2].item() == pytest.approx(0.9, abs=0.01)
    assert torch.equal(images, binarize(gray, rng=torch.Generator().manual_seed(0)))
    assert not torch.equal(images, binarize(gray, rng=rng))
    assert torch.equal(torch.get_rng_state(), before)
    assert images.dtype == gray.dtype
    assert torch.equal(binarize(images), images)  # black and white already


def test_gray_and_ill_ranged_images_are_refused() -> None:
    check_binary(torch.tensor([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"every pixel 0 or 1\), got gray values, .*binarize"):
        check_binary(torch.tensor([0.0, 0.5]))
    with pytest.raises(TypeError, match=r"floats in \[0, 1\], got uint8 up to 255; use .*to_float"):
        binarize(torch.tensor([0, 255], dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"got values from -1 to 1; use \(images \+ 1\) / 2"):
        binarize(torch.tensor([-1.0, 1.0]))
    with pytest.raises(ValueError, match="got NaN"):
        binarize(torch.tensor([0.0, math.nan]))


def test_extreme_scales_leave_value_and_gradient_finite() -> None:
    parameters = torch.tensor([0.0, 0.5, 50.0]).view(1, 3, 1, 1).requires_grad_()
    log_prob = discretized_mixture_log_prob(parameters, torch.full((1, 1, 1, 1), 0.2))
    log_prob.sum().backward()
    assert log_prob.isfinite().all()
    assert parameters.grad is not None
    assert parameters.grad.isfinite().all()


def test_a_hair_outside_the_range_is_no_mistake() -> None:
    assert binarize(torch.tensor([-1e-4, 1 + 1e-4])).tolist() == [0, 1]


def test_values_are_not_read_where_that_would_wait_for_the_device() -> None:
    gray = torch.empty(2, 1, 4, 4, device="meta")  # reading it would raise
    assert binarize(gray).shape == gray.shape
    check_binary(gray)


@pytest.mark.parametrize("channels", [1, 3])
def test_components_are_spread_over_the_gray_range(channels: int) -> None:
    bias = torch.arange(3.0 * 5 * channels)
    first = bias[: 5 * channels].clone()
    spread_components(bias, channels)
    logits, means, log_scales = bias.view(3, 5, channels)
    assert torch.equal(logits.flatten(), first)
    torch.testing.assert_close(means, torch.linspace(0, 0.8, 5)[:, None].expand(5, channels))
    assert (log_scales == -2).all()
