"""The importance-weighted bound against distributions, numerical integration and known weights."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Bernoulli, Independent, Normal

from companion.likelihoods import bernoulli_log_prob, binarize
from companion.models import iwae
from companion.models.iwae import IWAE, effective_sample_size, importance_bound
from companion.models.vae import gaussian_kl


def pixels(n: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Black-and-white images."""
    rng = torch.Generator().manual_seed(5)
    return (torch.rand(n, *shape, generator=rng) < 0.4).to(dtype)


def toy(latent_dim: int = 1, dtype: torch.dtype = torch.float64) -> IWAE:
    """4x4 pixels, and a posterior that is neither the prior nor far from it."""
    torch.manual_seed(3)
    model = IWAE(k=4, latent_dim=latent_dim, hidden_size=8, image_shape=(1, 4, 4)).to(dtype)
    with torch.no_grad():
        model.encoder[-1].weight *= 3
        model.decoder[0].weight *= 3
        model.decoder[2].weight *= 2
    return model


def exact_log_p(model: IWAE, image: Tensor) -> Tensor:
    """log p(x) of one image: its integral over the line of codes."""
    z = torch.linspace(-12, 12, 8001, dtype=torch.float64)
    log_likelihood = bernoulli_log_prob(model.decode(z[:, None]), image).sum(dim=(1, 2, 3))
    return torch.logsumexp(log_likelihood + Normal(0, 1).log_prob(z), 0) + (z[1] - z[0]).log()


def count_codes(model: IWAE) -> list[int]:
    """A list that grows by the number of codes at each call of the decoder."""
    counts: list[int] = []
    model.decoder.register_forward_hook(lambda _module, args, _result: counts.append(len(args[0])))
    return counts


# ---- The bound -----------------------------------------------------------------------------------


@torch.no_grad()
def test_log_weights_equal_those_of_torch_distributions() -> None:
    model, images = toy(latent_dim=3), pixels(5, 1, 4, 4, dtype=torch.float64)
    torch.manual_seed(1)
    log_weights = model.log_weights(images, 6)
    torch.manual_seed(1)
    mu, logvar = model.encode(images)
    q = Independent(Normal(mu, torch.exp(0.5 * logvar)), 1)
    z = q.mean + q.stddev * torch.randn(6, 5, 3, dtype=torch.float64)
    likelihood = Independent(Bernoulli(logits=model.decoder(z.view(30, 3)).view(6, 5, 1, 4, 4)), 3)
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    expected = likelihood.log_prob(images) + prior.log_prob(z) - q.log_prob(z)
    assert log_weights.shape == (6, 5)
    torch.testing.assert_close(log_weights, expected, rtol=1e-12, atol=1e-12)


def test_the_bound_is_the_logarithm_of_the_mean_weight() -> None:
    weights = torch.tensor([[1.0, 2.0], [3.0, 2.0]], dtype=torch.float64)
    expected = torch.tensor([2.0, 2.0], dtype=torch.float64).log()
    torch.testing.assert_close(importance_bound(weights.log()), expected)
    # Where no weight fits into a float, its logarithm does.
    torch.testing.assert_close(importance_bound(weights.log() - 5000), expected - 5000)


@torch.no_grad()
def test_one_sample_gives_the_elbo() -> None:
    """With k = 1 the mean over many draws is E log p(x|z) - KL, by the closed form of the KL."""
    model, image = toy(latent_dim=2), pixels(1, 1, 4, 4, dtype=torch.float64)
    torch.manual_seed(1)
    bounds = model.log_prob_bound(image.expand(100_000, -1, -1, -1), k=1)
    mu, logvar = model.encode(image)
    z = Normal(mu, torch.exp(0.5 * logvar)).sample((100_000,))[:, 0]
    reconstruction = bernoulli_log_prob(model.decode(z), image).sum(dim=(1, 2, 3))
    elbo = reconstruction.mean() - gaussian_kl(mu, logvar).squeeze()
    error = (bounds.std() + reconstruction.std()) / math.sqrt(100_000)
    assert abs(bounds.mean() - elbo) < 5 * error


@torch.no_grad()
def test_the_bound_rises_with_k_to_log_p_by_quadrature() -> None:
    model, image = toy(), pixels(1, 1, 4, 4, dtype=torch.float64)
    log_p = exact_log_p(model, image)
    torch.manual_seed(1)
    means, errors = [], []
    for k in (1, 2, 5, 20):
        bounds = model.log_prob_bound(image.expand(4000, -1, -1, -1), k=k)
        means.append(bounds.mean())
        errors.append(bounds.std() / math.sqrt(4000))
    assert log_p - means[0] > 0.1, "a toy whose first bound is tight would show nothing"
    for lower, higher, error in zip(means, means[1:], errors[1:], strict=False):
        assert higher > lower - 3 * error
    for mean, error in zip(means, errors, strict=True):
        assert mean < log_p + 3 * error
    assert means[1] > means[0] + 5 * errors[1]
    estimate = model.log_prob_bound(image, k=400_000)
    assert estimate.item() == pytest.approx(log_p.item(), abs=0.01)


@given(st.lists(st.floats(-300, 300), min_size=1, max_size=9))
def test_effective_sample_size_lies_between_1_and_k(logs: list[float]) -> None:
    log_weights = torch.tensor(logs, dtype=torch.float64)[:, None]
    size = effective_sample_size(log_weights).item()
    assert 1 - 1e-9 <= size <= len(logs) + 1e-9
    weights = (log_weights - log_weights.max()).exp()
    assert size == pytest.approx((weights.sum() ** 2 / (weights**2).sum()).item())


def test_effective_sample_size_of_known_weights() -> None:
    equal = torch.full((50, 2), -7000.0)
    torch.testing.assert_close(
        effective_sample_size(equal), torch.full((2,), 50.0), rtol=1e-3, atol=0
    )
    one = torch.full((50, 1), -1000.0)
    one[7] = 0
    assert effective_sample_size(one).item() == pytest.approx(1)
    three = torch.tensor([[0.0], [0.0], [0.0], [-200.0]])
    assert effective_sample_size(three).item() == pytest.approx(3)


# ---- The number of samples that was asked for ----------------------------------------------------


@pytest.mark.parametrize(("n", "k"), [(1, 1), (3, 7), (2, 1000)])
@pytest.mark.parametrize("chunk", [16, 500, 2**21])
def test_as_many_codes_are_decoded_as_samples_are_asked_for(
    n: int, k: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fault: a likelihood estimate that ignores the number of samples."""
    monkeypatch.setattr(iwae, "CHUNK", chunk)
    model = toy(dtype=torch.float32)
    counts = count_codes(model)
    model.log_prob_bound(pixels(n, 1, 4, 4), k=k)
    assert sum(counts) == n * k
    assert max(counts) <= max(n, chunk / 16)  # what is decoded at once, one sample at the least


def test_the_loss_decodes_k_codes_an_image_and_log_prob_bound_by_default() -> None:
    model = toy(dtype=torch.float32)
    counts = count_codes(model)
    model.loss(pixels(3, 1, 4, 4))
    model.log_prob_bound(pixels(3, 1, 4, 4))
    assert counts == [3 * 4, 3 * 4]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The noise of chunks is drawn in the order of one go (in whole blocks of 16 numbers)."""
    model, images = toy(latent_dim=2), pixels(8, 1, 4, 4, dtype=torch.float64)
    bounds = []
    for chunk in (1, 5 * 8 * 16, 2**21):
        monkeypatch.setattr(iwae, "CHUNK", chunk)
        torch.manual_seed(1)
        bounds.append(model.log_prob_bound(images, k=12))
    torch.testing.assert_close(bounds[0], bounds[2], rtol=1e-12, atol=0)
    torch.testing.assert_close(bounds[1], bounds[2], rtol=1e-12, atol=0)
    torch.manual_seed(1)
    with torch.no_grad():
        whole = importance_bound(model.log_weights(images, 12))
    torch.testing.assert_close(bounds[2], whole, rtol=1e-12, atol=0)


# ---- The model -----------------------------------------------------------------------------------


def test_loss_is_the_negative_bound_of_binarized_images() -> None:
    model = toy(latent_dim=3)
    gray = torch.rand(6, 1, 4, 4, dtype=torch.float64)
    torch.manual_seed(1)
    loss = model.loss(gray)
    torch.manual_seed(1)
    expected = -importance_bound(model.log_weights(binarize(gray), 4)).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    (player,) = model.players()
    assert set(player.module.parameters()) == set(model.parameters())
    result = player.loss(gray)
    assert isinstance(result, Tensor)
    result.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_loss_per_image_does_not_depend_on_the_batch() -> None:
    model = toy()
    with torch.no_grad():  # no noise: sigma = exp(-30)
        model.encoder[-1].weight[1] = 0
        model.encoder[-1].bias[1] = -60
        model.encoder[-1].weight[0] = 0
        model.decoder[0].weight[:] = 0  # nor does the code matter
    one = pixels(1, 1, 4, 4, dtype=torch.float64)
    torch.manual_seed(1)
    losses = [model.loss(one.expand(n, -1, -1, -1)).item() for n in (1000, 4000)]
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_the_default_is_the_network_of_784_400_20() -> None:
    sizes = [tuple(parameter.shape) for parameter in IWAE().parameters() if parameter.ndim == 2]
    assert sizes == [(400, 784), (40, 400), (400, 20), (784, 400)]
    assert IWAE.binary


def test_mistakes_are_refused() -> None:
    model = IWAE(k=2, latent_dim=2, hidden_size=4)
    gray = torch.full((2, 1, 28, 28), 0.5)
    levels = torch.full((2, 1, 28, 28), 255, dtype=torch.uint8)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        IWAE(k=0)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        model.log_prob_bound(gray.round(), k=0)
    with pytest.raises(ValueError, match=r"got gray values, .*binarize\(images\)"):
        model.log_prob_bound(gray)
    with pytest.raises(ValueError, match=r"got gray values, .*binarize\(images\)"):
        model.log_weights(gray, 3)
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 28, 28\)"):
        model.log_prob_bound(torch.zeros(2, 3, 28, 28))
    with pytest.raises(TypeError, match="got uint8"):
        model.log_prob_bound(levels)
    with pytest.raises(TypeError, match=r"floats in \[0, 1\], got uint8 up to 255"):
        model.loss(levels)
    with pytest.raises(ValueError, match=r"floats in \[0, 1\], got values from 127.5 to 127.5"):
        model.loss(255 * gray)
    with pytest.raises(ValueError, match=r"z must have shape \(N, 2\), got \(5, 3\)"):
        model.decode(torch.zeros(5, 3))
