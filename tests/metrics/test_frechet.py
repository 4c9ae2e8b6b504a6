"""The Fréchet distance against closed forms, SciPy, torchmetrics and its own symmetries."""

import math

import pytest
import scipy.linalg  # type: ignore[import-untyped]
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from companion.data import fashion_mnist, to_float
from companion.evaluation import image_features
from companion.metrics import frechet_distance


def with_moments(mean: Tensor, covariance: Tensor, n: int = 1000, seed: int = 0) -> Tensor:
    """Samples whose empirical mean and covariance are exactly the given ones."""
    x = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(seed)).double()
    x = x - x.mean(0)
    root = torch.linalg.cholesky(torch.cov(x.T).view(covariance.shape))
    white = torch.linalg.solve_triangular(root, x.T, upper=False)
    return (torch.linalg.cholesky(covariance) @ white).T + mean


def random_covariance(dims: int, seed: int) -> Tensor:
    a = torch.randn(dims, dims, generator=torch.Generator().manual_seed(seed)).double()
    return a @ a.T / dims + 0.1 * torch.eye(dims)


def test_closed_form_in_one_dimension() -> None:
    a = with_moments(torch.tensor([1.0]), torch.tensor([[4.0]]).double())
    b = with_moments(torch.tensor([-2.0]), torch.tensor([[9.0]]).double(), seed=1)
    assert frechet_distance(a, b) == pytest.approx(3**2 + (3 - 2) ** 2)


@pytest.mark.parametrize("seed", range(5))
def test_closed_form_of_two_by_two_covariances(seed: int) -> None:
    # Cayley-Hamilton: Tr M^(1/2) = sqrt(Tr M + 2 sqrt(det M)) for a 2x2 matrix M.
    cov_a, cov_b = random_covariance(2, seed), random_covariance(2, 100 + seed)
    product = cov_a @ cov_b
    root = math.sqrt(product.trace() + 2 * math.sqrt(product.det()))
    expected = 1 + 4 + cov_a.trace() + cov_b.trace() - 2 * root
    a = with_moments(torch.tensor([1.0, 0.0]), cov_a)
    b = with_moments(torch.tensor([0.0, 2.0]), cov_b, n=777, seed=1)
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-9)


@pytest.mark.parametrize("dims", [3, 16, 64])
def test_against_scipys_matrix_square_root(dims: int) -> None:
    cov_a, cov_b = random_covariance(dims, 1), random_covariance(dims, 2)
    mean_a, mean_b = torch.randn(2, dims, generator=torch.Generator().manual_seed(3)).double()
    root = scipy.linalg.sqrtm((cov_a @ cov_b).numpy())
    expected = (mean_a - mean_b).square().sum() + (cov_a + cov_b).trace() - 2 * root.real.trace()
    a, b = with_moments(mean_a, cov_a), with_moments(mean_b, cov_b, seed=4)
    assert frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-8)


@given(st.integers(0, 1000), st.integers(1, 6), st.floats(-5, 5))
@settings(max_examples=25, deadline=None)
def test_symmetries(seed: int, dims: int, offset: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    a = torch.randn(80, dims, generator=rng)
    b = torch.randn(90, dims, generator=rng) * 2 + 1
    distance = frechet_distance(a, b)
    assert distance >= 0
    assert frechet_distance(b, a) == pytest.approx(distance, rel=1e-6, abs=1e-9)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    # Moving one set away from itself costs the squared way, and nothing else.
    assert frechet_distance(a.double(), a.double() + offset) == pytest.approx(
        dims * offset**2, rel=1e-6, abs=1e-9
    )
    rotation, _ = torch.linalg.qr(torch.randn(dims, dims, generator=rng).double())
    assert frechet_distance(a @ rotation.float(), b @ rotation.float()) == pytest.approx(
        distance, rel=1e-4, abs=1e-6
    )


@pytest.mark.parametrize("dims", [1, 16, 64])
def test_against_torchmetrics_on_the_same_features(dims: int) -> None:
    rng = torch.Generator().manual_seed(dims)
    mix = torch.randn(dims, dims, generator=rng)
    a = torch.randn(2000, dims, generator=rng) @ mix + 1
    b = (torch.randn(1500, dims, generator=rng).relu() + 0.2) @ mix
    network = nn.Identity()
    network.num_features = dims
    theirs = FrechetInceptionDistance(feature=network)
    for features, real in ((a, True), (b, False)):
        for batch in features.double().split(500):
            theirs.update(batch, real=real)
    assert frechet_distance(a, b) == pytest.approx(theirs.compute().item(), rel=1e-4, abs=1e-4)


def test_against_torchmetrics_on_features_of_images() -> None:
    real = image_features(to_float(fashion_mnist("test").images))
    fake = image_features(to_float(fashion_mnist("train").images[:2000]))
    network = nn.Identity()
    network.num_features = real.shape[1]
    theirs = FrechetInceptionDistance(feature=network)
    theirs.update(real.double(), real=True)
    theirs.update(fake.double(), real=False)
    assert frechet_distance(real, fake) == pytest.approx(theirs.compute().item(), abs=1e-4)


def test_features_that_never_vary_do_no_harm() -> None:
    a = torch.randn(200, 4, generator=torch.Generator().manual_seed(0))
    a[:, 2] = 1.0
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert math.isfinite(frechet_distance(a, a * 0))


def test_float32_features_are_computed_in_float64() -> None:
    a = torch.randn(500, 8, generator=torch.Generator().manual_seed(0)) + 1000
    b = a * 1.001
    assert frechet_distance(a, b) == frechet_distance(a.double(), b.double())


def test_few_samples_bias_upward_and_warn() -> None:
    rng = torch.Generator().manual_seed(0)
    many_a, many_b = torch.randn(2, 5000, 8, generator=rng)
    few_a, few_b = torch.randn(2, 20, 8, generator=rng)
    with pytest.warns(UserWarning, match="only 20 samples of 8 dimensions"):
        few = frechet_distance(few_a, few_b)
    assert few > 10 * frechet_distance(many_a, many_b)
