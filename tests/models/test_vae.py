"""The variational autoencoder against closed forms, Monte Carlo and numerical integration."""

import inspect
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.distributions import Independent, Normal, kl_divergence

from companion.likelihoods import discretized_mixture_log_prob, to_levels
from companion.models import VAE
from companion.models.vae import gaussian_kl, reparameterize


def images(n: int, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    rng = torch.Generator().manual_seed(5)
    return to_levels(torch.rand(n, *shape, generator=rng, dtype=dtype))


def random_gaussians(n: int, d: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, d, dtype=torch.float64), torch.randn(n, d, dtype=torch.float64)


def test_gaussian_kl_equals_torch_distributions() -> None:
    mu, logvar = random_gaussians(50, 4)
    q = Independent(Normal(mu, (0.5 * logvar).exp()), 1)
    p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    torch.testing.assert_close(gaussian_kl(mu, logvar), kl_divergence(q, p), rtol=1e-12, atol=0)


def test_gaussian_kl_equals_monte_carlo() -> None:
    mu, logvar = torch.tensor([[1.0, -0.5]]).double(), torch.tensor([[-1.0, 0.5]]).double()
    q = Normal(mu, (0.5 * logvar).exp())
    z = q.sample((400_000,))
    ratio = (q.log_prob(z) - Normal(0, 1).log_prob(z)).sum(dim=(1, 2))
    error = ratio.std() / math.sqrt(len(ratio))
    assert abs(ratio.mean() - gaussian_kl(mu, logvar).item()) < 5 * error


@given(st.lists(st.tuples(st.floats(-30, 30), st.floats(-20, 20)), min_size=1, max_size=5))
def test_gaussian_kl_is_never_negative(pairs: list[tuple[float, float]]) -> None:
    mu, logvar = torch.tensor(pairs, dtype=torch.float64).T[:, None]
    assert gaussian_kl(mu, logvar).item() >= -1e-15  # the rounding of exp(0) - 1


def test_gaussian_kl_is_zero_only_at_the_prior() -> None:
    zeros = torch.zeros(3, 2)
    assert torch.equal(gaussian_kl(zeros, zeros), torch.zeros(3))
    assert (gaussian_kl(zeros + 0.1, zeros) > 0).all()
    assert (gaussian_kl(zeros, zeros + 0.1) > 0).all()


def test_reparameterize_has_the_moments_and_passes_gradients() -> None:
    mu = torch.full((200_000, 1), 2.0, requires_grad=True)
    logvar = torch.full((200_000, 1), math.log(9.0), requires_grad=True)
    z = reparameterize(mu, logvar)
    assert z.mean().item() == pytest.approx(2.0, abs=0.05)
    assert z.std().item() == pytest.approx(3.0, abs=0.05)
    z.sum().backward()
    assert mu.grad is not None
    assert logvar.grad is not None
    assert torch.equal(mu.grad, torch.ones_like(mu))  # dz/dmu
    torch.testing.assert_close(logvar.grad, 0.5 * (z - mu).detach())  # dz/dlogvar = sigma eps / 2


def toy() -> VAE:
    """A latent code of one number and 4x4 pixels: all expectations are integrals over a line."""
    torch.manual_seed(3)
    model = VAE(latent_dim=1, width=4, components=2, image_shape=(1, 4, 4)).double()
    with torch.no_grad():
        model.encoder[-1].weight *= 3  # a posterior that is neither the prior nor far from it
        model.decoder[0].weight *= 3
    return model


@torch.no_grad()
def test_bound_plus_divergence_from_the_posterior_is_log_p_by_quadrature() -> None:
    model = toy()
    x = images(1, 1, 4, 4, dtype=torch.float64)
    z = torch.linspace(-14, 14, 8001, dtype=torch.float64)
    dz = z[1] - z[0]

    parameters = model.decode(z[:, None])
    log_likelihood = discretized_mixture_log_prob(parameters, x.expand(len(z), -1, -1, -1))
    log_joint = log_likelihood.sum(dim=(1, 2, 3)) + Normal(0, 1).log_prob(z)
    log_p = torch.logsumexp(log_joint, 0) + dz.log()
    log_posterior = log_joint - log_p

    mu, logvar = model.encode(x)
    log_q = Normal(mu.squeeze(), (0.5 * logvar).exp().squeeze()).log_prob(z)
    q = log_q.exp()
    expected_distortion = -(q * log_likelihood.sum(dim=(1, 2, 3))).sum() * dz
    gap = (q * (log_q - log_posterior)).sum() * dz  # KL(q(z|x) || p(z|x))
    bound = -expected_distortion - gaussian_kl(mu, logvar).squeeze()

    assert gap > 1e-3, "a toy whose bound is tight would show nothing"
    assert (bound + gap).item() == pytest.approx(log_p.item(), abs=1e-6)

    # The model's own estimate, with one draw of z for each of many copies, averages to the bound.
    distortion, rate = model.elbo(x.expand(20_000, -1, -1, -1))
    error = distortion.std() / math.sqrt(len(distortion))
    assert abs(distortion.mean() - expected_distortion) < 5 * error
    torch.testing.assert_close(rate, gaussian_kl(mu, logvar).expand(20_000))
    estimates = model.log_prob_bound(x.expand(20_000, -1, -1, -1))
    assert estimates.shape == (20_000,)
    assert estimates.mean() < log_p


def test_terms_are_summed_over_pixels_and_averaged_over_the_batch() -> None:
    """Fault V7: neither the number of pixels nor the batch size weighs the terms differently."""
    model = toy()
    with torch.no_grad():  # no noise: sigma = exp(-30)
        model.encoder[-1].bias[1] = -60
        model.encoder[-1].weight[1] = 0
    one = images(1, 1, 4, 4, dtype=torch.float64)
    losses = [model.loss(one.expand(n, -1, -1, -1)) for n in (1, 2, 7)]
    for name in ("loss", "distortion", "rate"):
        assert losses[1][name].item() == pytest.approx(losses[0][name].item(), rel=1e-9)
        assert losses[2][name].item() == pytest.approx(losses[0][name].item(), rel=1e-9)
    mu, logvar = model.encode(one)
    per_pixel = -discretized_mixture_log_prob(model.decode(mu), one)
    assert losses[0]["distortion"].item() == pytest.approx(per_pixel.sum().item(), rel=1e-9)
    assert losses[0]["rate"].item() == pytest.approx(gaussian_kl(mu, logvar).item(), rel=1e-9)
    total = losses[0]["distortion"] + losses[0]["rate"]
    assert losses[0]["loss"].item() == pytest.approx(total.item(), rel=1e-12)


def test_rate_that_is_logged_is_not_negative() -> None:
    model = VAE(latent_dim=3, width=4)
    distortion, rate = model.elbo(images(6, 1, 28, 28))
    assert (rate >= 0).all()
    assert (distortion >= 0).all()  # 8-bit pixels have probabilities, not densities
    torch.testing.assert_close(model.elbo(images(6, 1, 28, 28)).value.shape, torch.Size([6]))


def test_one_player_moves_encoder_and_decoder_together() -> None:
    model = VAE(latent_dim=2, width=4)
    (player,) = model.players()
    result = player.loss(images(4, 1, 28, 28))
    assert isinstance(result, dict)
    result["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert set(player.module.parameters()) == set(model.parameters())


def test_components_do_not_start_as_copies() -> None:
    model = VAE(latent_dim=2, width=4, components=3)
    final = model.decoder[-1]
    assert isinstance(final, nn.ConvTranspose2d)
    assert final.bias is not None
    assert len(final.bias[3:6].unique()) == 3


def test_no_fixed_image_size_hides_in_the_defaults() -> None:
    defaults = inspect.signature(VAE).parameters
    assert defaults["image_shape"].default == (1, 28, 28)
    assert VAE(width=4, image_shape=(1, 8, 12)).sample(2).shape == (2, 1, 8, 12)


def test_wrong_codes_and_images_are_refused() -> None:
    model = VAE(latent_dim=2, width=4)
    with pytest.raises(ValueError, match=r"z must have shape \(N, 2\), got \(5, 3\)"):
        model.decode(torch.zeros(5, 3))
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 28, 28\)"):
        model.loss(torch.zeros(2, 3, 28, 28))
    with pytest.raises(TypeError, match="got uint8 up to 255"):
        model.loss(torch.full((2, 1, 28, 28), 255, dtype=torch.uint8))
    with pytest.raises(ValueError, match="multiples of 4"):
        VAE(image_shape=(1, 30, 30))
