"""Precision, recall, density and coverage against the authors' code, and by hand."""

import pytest
import torch
from prdc import compute_prdc  # type: ignore[import-untyped]
from torch import Tensor

from companion.metrics import nearest_neighbors, neighbors, prdc


def gaussian(n: int, dims: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return shift + scale * torch.randn(n, dims, generator=rng, dtype=torch.float64)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(
    ("n", "m", "dims", "shift", "scale"),
    [(300, 300, 2, 0.5, 1.0), (500, 200, 8, 0.3, 0.7), (200, 400, 64, 0.1, 1.1)],
)
def test_against_the_reference(
    n: int, m: int, dims: int, shift: float, scale: float, k: int
) -> None:
    real, fake = gaussian(n, dims, 0), gaussian(m, dims, 1, shift, scale)
    theirs = compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    assert prdc(real, fake, k)._asdict() == pytest.approx(theirs, abs=1e-12)


@pytest.mark.slow
def test_published_values_of_two_gaussian_sets() -> None:
    """Naeem et al. (2020), the example of their code: 10,000 each, 1000 dimensions, k = 5.

    Theirs is one draw: .477, .471, 1.056, .974. In ours the density moves by 0.03 from draw to
    draw, for in so many dimensions a few images lie next to very many others.
    """
    real, fake = gaussian(10_000, 1000, 0), gaussian(10_000, 1000, 1)
    ours = prdc(real, fake)
    assert ours.precision == pytest.approx(0.477, abs=0.03)
    assert ours.recall == pytest.approx(0.471, abs=0.03)
    assert ours.density == pytest.approx(1.056, abs=0.12)
    assert ours.coverage == pytest.approx(0.974, abs=0.012)


def test_by_hand_on_the_line() -> None:
    real = torch.tensor([[0.0], [1.0], [3.0], [10.0]])  # balls of radius 1, 1, 2, 7
    fake = torch.tensor([[0.5], [0.6], [4.0], [30.0]])  # balls of radius 0.1, 0.1, 3.4, 26
    ours = prdc(real, fake, k=1)
    assert ours.precision == 3 / 4  # not 30
    assert ours.density == (2 + 2 + 2 + 0) / 4
    assert ours.recall == 3 / 4  # 1 by 4, 3 and 10 by 4 and 30; 0 by none
    assert ours.coverage == 4 / 4


def test_collapse_and_memorization() -> None:
    real = gaussian(400, 4, 0)
    one = real[:1] + 1e-3 * gaussian(400, 4, 1)
    collapsed = prdc(real, one)
    assert collapsed.precision > 0.95
    assert collapsed.recall < 0.01
    assert collapsed.coverage < 0.1
    replayed = prdc(real, real.clone())
    assert replayed == (1, 1, 1, 1)
    identical = prdc(real, real[:1].repeat(400, 1))
    assert identical.recall == 0
    far = prdc(real, real + 100)
    assert far == (0, 0, 0, 0)


def test_exchanging_the_sets_exchanges_precision_and_recall() -> None:
    real, fake = gaussian(200, 5, 0), gaussian(250, 5, 1, shift=0.4)
    there, back = prdc(real, fake), prdc(fake, real)
    assert there.precision == pytest.approx(back.recall)
    assert there.recall == pytest.approx(back.precision)


def test_an_outlier_fools_precision_but_not_density() -> None:
    """Naeem et al. (2020), figure 2: one far real image has a ball that swallows many samples."""
    real = torch.cat([gaussian(200, 2, 0), torch.tensor([[12.0, 12.0]], dtype=torch.float64)])
    fake = gaussian(200, 2, 1, shift=9.0, scale=0.5)
    ours = prdc(real, fake)
    assert ours.precision > 0.95
    assert ours.density < 0.25


def test_features_far_from_zero_and_in_float32_do_no_harm() -> None:
    real, fake = gaussian(300, 4, 0), gaussian(300, 4, 1)
    assert prdc(1e6 + real, 1e6 + fake) == prdc(real, fake)
    assert prdc(real.float(), fake.float()) == pytest.approx(prdc(real, fake), abs=0.01)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = gaussian(130, 6, 0), gaussian(110, 6, 1)
    whole, nearest = prdc(real, fake), nearest_neighbors(fake, real, k=3)
    monkeypatch.setattr(neighbors, "ROWS", 17)
    assert prdc(real, fake) == whole
    again = nearest_neighbors(fake, real, k=3)
    torch.testing.assert_close(again.distances, nearest.distances)
    assert torch.equal(again.indices, nearest.indices)


def test_nearest_neighbors_against_brute_force() -> None:
    features, reference = gaussian(50, 6, 0).float(), gaussian(70, 6, 1).float()
    brute = torch.cdist(features.double(), reference.double())
    ours = nearest_neighbors(features, reference, k=4)
    expected = brute.topk(4, largest=False)
    assert ours.distances.shape == ours.indices.shape == (50, 4)
    torch.testing.assert_close(ours.distances, expected.values)
    assert torch.equal(ours.indices, expected.indices)
    copies = nearest_neighbors(reference[[5, 7]], reference)
    assert copies.indices.flatten().tolist() == [5, 7]
    assert copies.distances.max() < 1e-6
    assert nearest_neighbors(features, reference[:3], k=3).indices.shape == (50, 3)


def test_gradients_are_not_kept() -> None:
    features = gaussian(10, 3, 0).requires_grad_()
    assert not nearest_neighbors(features, gaussian(20, 3, 1)).distances.requires_grad
    prdc(features, features)


GOOD = gaussian(20, 3, 0)


@pytest.mark.parametrize("measure", [prdc, nearest_neighbors])
@pytest.mark.parametrize(
    ("bad", "k", "error", "message"),
    [
        (GOOD.numpy(), 5, TypeError, r"must be a tensor of shape \(N, D\), got ndarray"),
        (GOOD[None], 5, ValueError, r"must have shape \(N, D\), got \(1, 20, 3\); use image_feat"),
        (GOOD[:0], 5, ValueError, r"got \(0, 3\)"),
        (GOOD / 0, 5, ValueError, "must be finite, got NaN or infinity; check the images"),
        (GOOD[:, :2], 5, ValueError, "same number of dimensions, got .*; compute them with the sa"),
        (GOOD, 0, ValueError, "k must be .* got .*0"),
        (GOOD, 21, ValueError, "k must be .* got .*21"),
    ],
)
def test_bad_input(
    measure: type, bad: Tensor, k: int, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        measure(GOOD, bad, k)
