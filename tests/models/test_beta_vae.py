"""The beta-VAE's price: what it is at each step, what is free, and what the history records."""

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal, kl_divergence

from companion import train
from companion.data import to_float
from companion.models import VAE
from companion.models.beta_vae import BetaVAE
from companion.models.vae import active_units, gaussian_kl_per_dimension

LEVELS = torch.randint(256, (24, 1, 8, 8), generator=torch.Generator().manual_seed(5)).byte()
IMAGES = to_float(LEVELS)


def small(beta: float = 4.0, warm_up: int = 0, free_bits: float = 0.0) -> BetaVAE:
    torch.manual_seed(3)
    model = BetaVAE(
        beta=beta,
        warm_up=warm_up,
        free_bits=free_bits,
        latent_dim=3,
        width=4,
        image_shape=(1, 8, 8),
    )
    with torch.no_grad():
        model.encoder[-1].weight *= 3  # type: ignore[operator]  # rates that differ from zero
    return model


def loss(model: VAE, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    return model.loss(IMAGES)


def rates(model: VAE) -> Tensor:
    """By torch's own formula: nats of each dimension, averaged over the images."""
    mu, logvar = model.encode(IMAGES)
    return kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).mean(dim=0)


# The loss


def test_beta_one_is_the_vae() -> None:
    model = small(beta=1.0)
    plain = VAE(latent_dim=3, width=4, image_shape=(1, 8, 8))
    state = {name: value for name, value in model.state_dict().items() if name != "steps"}
    plain.load_state_dict(state)
    expected = loss(plain)
    for name, value in loss(model).items():
        torch.testing.assert_close(value, expected[name])


@pytest.mark.parametrize("beta", [0.0, 0.5, 1.0, 784.0])
def test_loss_is_distortion_plus_the_priced_rate(beta: float) -> None:
    terms = loss(small(beta))
    torch.testing.assert_close(terms["loss"], terms["distortion"] + beta * terms["rate"])


def test_recorded_rate_is_the_closed_form_and_not_negative() -> None:
    """Fault: a KL logged with the wrong sign, with the price in it, or scaled by the batch."""
    for model in (small(), small(beta=784.0), small(warm_up=10), small(free_bits=2.0)):
        mu, logvar = model.encode(IMAGES)
        q = Independent(Normal(mu, (0.5 * logvar).exp()), 1)
        p = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
        recorded = loss(model)["rate"]
        assert recorded > 0
        torch.testing.assert_close(recorded, kl_divergence(q, p).mean())


def test_recorded_terms_do_not_depend_on_the_batch_size() -> None:
    model = small()
    with torch.no_grad():
        model.encoder[-1].weight[3:] = 0  # type: ignore[index]
        model.encoder[-1].bias[3:] = -60  # type: ignore[index]  # no noise: sigma = exp(-30)
    one, seven = (model.loss(IMAGES[:1].expand(n, -1, -1, -1)) for n in (1, 7))
    for name, value in one.items():
        torch.testing.assert_close(value, seven[name])


# Warm-up


def test_the_price_rises_in_a_straight_line_and_stays() -> None:
    model = small(beta=6.0, warm_up=4)
    (player,) = model.players()
    assert player.after is not None
    prices = []
    for _ in range(7):
        prices.append(model.price().item())
        terms = loss(model)
        torch.testing.assert_close(terms["loss"], terms["distortion"] + prices[-1] * terms["rate"])
        player.after()
    assert prices == [0.0, 1.5, 3.0, 4.5, 6.0, 6.0, 6.0]


@pytest.mark.parametrize("training", [True, False])
def test_only_steps_of_training_raise_the_price(training: bool) -> None:
    model = small(warm_up=4).train(training)
    for _ in range(3):
        loss(model)  # of a part of a batch, or to validate
        model.elbo(IMAGES)
        model.sample(2)
    assert model.price() == 0
    assert model.steps == 0


def test_without_warm_up_the_price_is_beta_from_the_start() -> None:
    assert small(beta=6.0).price() == 6.0


def test_warm_up_goes_on_where_a_run_was_stopped(tmp_path: Path) -> None:
    options = {"batch_size": 8, "device": "cpu", "progress": False}  # 3 steps an epoch
    whole = small(warm_up=8)
    train(whole, LEVELS, epochs=4, **options)  # type: ignore[arg-type]

    train(small(warm_up=8), LEVELS, epochs=2, run_dir=tmp_path, **options)  # type: ignore[arg-type]
    resumed = small(warm_up=8)
    train(resumed, LEVELS, epochs=4, run_dir=tmp_path, **options)  # type: ignore[arg-type]

    assert resumed.steps == whole.steps == 12
    for name, value in whole.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name


def test_the_steps_are_part_of_the_state() -> None:
    model = small(beta=6.0, warm_up=4)
    for _ in range(3):
        model.count_step()
    other = small(beta=6.0, warm_up=4)
    other.load_state_dict(model.state_dict())
    assert other.price() == 4.5


# Free bits


def test_free_bits_by_hand() -> None:
    terms, expected = loss(small(beta=5.0)), rates(small())
    free = expected.median().item()  # one dimension below, one at it, one above
    priced = sum(max(free, rate) for rate in expected.tolist())
    with_free = loss(small(beta=5.0, free_bits=free))
    torch.testing.assert_close(with_free["distortion"], terms["distortion"])
    torch.testing.assert_close(with_free["rate"], terms["rate"])
    assert with_free["loss"].item() == pytest.approx(terms["distortion"].item() + 5 * priced)


def rate_gradient(free_bits: float) -> Tensor:
    """Gradient of the priced rate alone with respect to the biases of the two heads."""
    model = small(free_bits=free_bits)
    terms = loss(model)
    bias = model.encoder[-1].bias
    (gradient,) = torch.autograd.grad(terms["loss"] - terms["distortion"], bias)
    return gradient.view(2, 3)


def test_free_nats_have_no_gradient() -> None:
    ordered = rates(small()).sort()
    free = ordered.values[:2].mean().item()  # between the cheapest dimension and the next
    cheap, others = ordered.indices[0], ordered.indices[1:]
    gradient, priced = rate_gradient(free), rate_gradient(0.0)
    assert (gradient[:, cheap] == 0).all()
    assert (priced[:, cheap] != 0).all()
    torch.testing.assert_close(gradient[:, others], priced[:, others])
    assert (rate_gradient(100.0) == 0).all()


# What it shares with the VAE


@pytest.mark.parametrize("name", ["beta", "warm_up", "free_bits"])
@pytest.mark.parametrize("value", [-1, float("nan")])
def test_negative_arguments_are_refused(name: str, value: float) -> None:
    with pytest.raises((TypeError, ValueError), match=f"{name} must be .*at least 0, got {value}"):
        BetaVAE(**{name: value})


def test_wrong_images_are_refused() -> None:
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 8, 8\)"):
        small().loss(torch.zeros(2, 3, 8, 8))
    with pytest.raises(TypeError, match="got uint8"):
        small().loss(LEVELS)


def test_one_player_moves_all_parameters() -> None:
    model = small()
    (player,) = model.players()
    result = player.loss(IMAGES)
    assert isinstance(result, dict)
    result["loss"].backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


# Active units, and the rate of each dimension


def test_active_units_vary_with_the_image() -> None:
    alternating = torch.tensor([1.0, -1.0]).repeat(50)
    constant = torch.full((100,), 5.0)  # costs rate, but says nothing about the image
    mu = torch.stack([alternating, constant, 0.05 * alternating, 0.2 * alternating], dim=1)
    assert active_units(mu).tolist() == [True, False, False, True]
    assert active_units(mu, threshold=0.5).tolist() == [True, False, False, False]


def test_rates_of_the_dimensions_add_up() -> None:
    mu, logvar = torch.randn(5, 3), torch.randn(5, 3)
    expected = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(gaussian_kl_per_dimension(mu, logvar), expected)


def test_what_is_minimized_is_not_called_a_bound() -> None:
    torch.manual_seed(0)
    model = BetaVAE(beta=4, latent_dim=2, width=2, image_shape=(1, 8, 8))
    images = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    history = train(model, images, epochs=1, batch_size=8, device="cpu", progress=False)
    assert list(history.losses) == ["priced loss", "distortion", "rate"]
    (loss,), (distortion,), (rate,) = history.losses.values()
    assert loss == pytest.approx(distortion + 4 * rate)
