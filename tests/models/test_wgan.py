"""The stabilized GANs: losses, penalties and bounds against their definition, and their moves."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from companion import train
from companion.models import GAN, LSGAN, R1GAN, WGAN, WGANGP, HingeGAN
from companion.models.gan import discriminator_loss, generator_loss
from companion.models.wgan import (
    critic_generator_loss,
    critic_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    least_squares_discriminator_loss,
    least_squares_generator_loss,
    r1_penalty,
)

METHODS = [LSGAN, WGAN, WGANGP, HingeGAN, R1GAN]


def images(n: int, *shape: int) -> Tensor:
    return torch.rand(n, *(shape or (1, 28, 28)), generator=torch.Generator().manual_seed(5))


def build(method: type[GAN], shape: tuple[int, int, int] = (1, 28, 28)) -> GAN:
    return method(latent_dim=3, hidden_size=16, image_shape=shape)


class LinearCritic(nn.Module):
    """The slope is `norm` everywhere."""

    def __init__(self, norm: float, pixels: int = 784) -> None:
        super().__init__()
        weight = torch.randn(pixels, dtype=torch.float64)
        self.weight = nn.Parameter(norm * weight / weight.norm())

    def forward(self, x: Tensor) -> Tensor:
        return x.double().flatten(1) @ self.weight


class Bowl(nn.Module):
    """Half the squared norm: the slope at x is the norm of x."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * 0.5 * x.flatten(1).square().sum(dim=1)


# --- losses ----------------------------------------------------------------------------------

scores = st.lists(st.floats(-30, 30), min_size=1, max_size=6)


@given(real=scores, fake=scores)
def test_losses_are_their_formulas(real: list[float], fake: list[float]) -> None:
    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    r, f = (torch.tensor(v, dtype=torch.float64) for v in (real, fake))
    assert critic_loss(r, f).item() == pytest.approx(mean(fake) - mean(real))
    assert critic_generator_loss(f).item() == pytest.approx(-mean(fake))
    expected = mean([max(0, 1 - x) for x in real]) + mean([max(0, 1 + x) for x in fake])
    assert hinge_discriminator_loss(r, f).item() == pytest.approx(expected)
    expected = 0.5 * mean([(x - 1) ** 2 for x in real]) + 0.5 * mean([x**2 for x in fake])
    assert least_squares_discriminator_loss(r, f).item() == pytest.approx(expected)
    expected = 0.5 * mean([(x - 1) ** 2 for x in fake])
    assert least_squares_generator_loss(f).item() == pytest.approx(expected)


def test_losses_at_their_fixed_points() -> None:
    """A perfect answer costs nothing; one that cannot tell costs what the formula says."""
    one, zero = torch.ones(4), torch.zeros(4)
    assert least_squares_discriminator_loss(one, zero) == 0
    assert least_squares_generator_loss(one) == 0
    assert least_squares_discriminator_loss(one / 2, one / 2) == 0.25
    assert hinge_discriminator_loss(one, -one) == 0
    assert hinge_discriminator_loss(5 * one, -3 * one) == 0
    assert hinge_discriminator_loss(zero, zero) == 2
    assert critic_loss(one, one) == 0


# --- penalties -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 16, 64])
def test_a_linear_critic_of_unit_norm_has_no_penalty_at_any_batch_size(n: int) -> None:
    """Fault G7: a norm over the whole batch would give 0, 9 and 49 here."""
    penalty = gradient_penalty(LinearCritic(1.0), images(n), images(2 * n)[n:])
    assert penalty.item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n", [1, 16, 64])
@pytest.mark.parametrize("norm", [0.5, 3.0])
def test_the_penalty_is_the_squared_excess_at_any_batch_size(n: int, norm: float) -> None:
    critic = LinearCritic(norm)
    real, fake = images(n), images(2 * n)[n:]
    assert gradient_penalty(critic, real, fake).item() == pytest.approx((norm - 1) ** 2)
    assert r1_penalty(critic, real).item() == pytest.approx(norm**2)


def test_the_penalty_is_taken_on_the_segments_between_real_and_fake() -> None:
    """Fault G7: one uniform eps for each image, and no draw outside [0, 1]."""
    seen: list[Tensor] = []
    critic = LinearCritic(1.0)
    critic.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    real, fake = torch.ones(4000, 1, 28, 28), torch.zeros(4000, 1, 28, 28)
    gradient_penalty(critic, real, fake)
    (between,) = seen
    assert torch.equal(between, between[:, :, :1, :1].expand_as(between))  # one eps per image
    eps = between[:, 0, 0, 0].double()
    assert len(eps.unique()) > 3900
    assert eps.min() >= 0
    assert eps.max() <= 1
    # Uniform, by the largest distance from its distribution function (Kolmogorov).
    steps = torch.arange(1, 4001, dtype=torch.float64) / 4000
    assert (eps.sort().values - steps).abs().max() < 0.035


def test_each_image_has_its_own_norm() -> None:
    real = torch.stack([torch.full((1, 28, 28), level) for level in (0.0, 0.5, 1.0)]).double()
    norms = real.flatten(1).norm(dim=1)
    expected = (norms - 1).square().mean()
    torch.testing.assert_close(gradient_penalty(Bowl(), real, real), expected)
    torch.testing.assert_close(r1_penalty(Bowl(), real), norms.square().mean())


def test_the_penalties_send_their_gradient_to_the_critic_alone() -> None:
    real, fake = images(4).requires_grad_(), images(4).requires_grad_()
    for penalize in (
        lambda critic: gradient_penalty(critic, real, fake),
        lambda critic: r1_penalty(critic, real),
    ):
        critic = Bowl()
        penalize(critic).backward()
        assert critic.scale.grad is not None
        assert critic.scale.grad.item() > 0
        assert real.grad is None
        assert fake.grad is None


def test_a_flat_critic_has_a_finite_gradient() -> None:
    critic = LinearCritic(0.0)
    penalty = gradient_penalty(critic, images(4), images(4))
    penalty.backward()
    assert penalty.item() == 1
    assert critic.weight.grad is not None
    assert critic.weight.grad.isfinite().all()


# --- models ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_the_discriminator_mixes_no_images_of_a_batch(method: type[GAN]) -> None:
    """No batch norm, which a penalty per image could not bear."""
    model = build(method)
    model.eval()  # spectral norm takes a step of its iteration at each pass in training
    x = images(6)
    one_by_one = torch.cat([model.discriminate(image[None]) for image in x])
    torch.testing.assert_close(model.discriminate(x), one_by_one)


@pytest.mark.parametrize(
    ("model", "d_expected", "g_expected"),
    [
        (LSGAN, least_squares_discriminator_loss, least_squares_generator_loss),
        (WGAN, critic_loss, critic_generator_loss),
        (HingeGAN, hinge_discriminator_loss, critic_generator_loss),
        (R1GAN, discriminator_loss, generator_loss),
        (WGANGP, critic_loss, critic_generator_loss),
    ],
)
def test_the_models_play_the_losses_of_the_module(
    model: type[GAN], d_expected: Callable[..., Tensor], g_expected: Callable[..., Tensor]
) -> None:
    game, x = build(model).eval(), images(8)
    if isinstance(game, WGAN):
        game.discriminator_loss(x)  # the weights are clipped from here on
    torch.manual_seed(1)
    loss = game.discriminator_loss(x)
    if isinstance(loss, dict):  # the penalty beside it
        weight = 10 if isinstance(game, WGANGP) else 5
        penalty = loss["gradient penalty" if isinstance(game, WGANGP) else "r1 penalty"]
        assert penalty > 0
        loss = loss["loss"] - weight * penalty
    torch.manual_seed(1)
    fake = game.generate(torch.randn(8, 3))
    expected = d_expected(game.discriminate(x), game.discriminate(fake))
    torch.testing.assert_close(loss, expected)
    torch.manual_seed(1)
    torch.testing.assert_close(game.generator_loss(x), g_expected(game.discriminate(fake)))


def test_the_recorded_distance_is_the_critic_s_estimate() -> None:
    model, x = WGANGP(latent_dim=3, hidden_size=4), images(8)
    torch.manual_seed(2)
    losses = model.discriminator_loss(x)
    expected = losses["loss"] - 10 * losses["gradient penalty"]
    torch.testing.assert_close(-losses["distance"], expected)


def test_the_clipped_critic_stays_in_its_box() -> None:
    model = WGAN(clip=0.03, latent_dim=3, hidden_size=4)
    generator = copy.deepcopy(model.generator.state_dict())
    model.discriminator_loss(images(4))
    largest = max(weight.abs().max().item() for weight in model.discriminator.parameters())
    assert largest == pytest.approx(0.03)
    for name, weight in model.generator.state_dict().items():
        assert torch.equal(weight, generator[name])
    train(model, images(40), epochs=2, batch_size=4, progress=False, device="cpu")
    for weight in model.discriminator.parameters():
        assert weight.abs().max() <= 0.03


def test_spectral_norm_makes_every_layer_and_the_whole_a_contraction() -> None:
    torch.manual_seed(0)
    model = HingeGAN(latent_dim=3, hidden_size=32)
    train(model, images(64), epochs=3, batch_size=8, progress=False, device="cpu")
    for _ in range(30):  # let the power iteration settle on the last weights
        model.train().discriminate(images(2))
    model.eval()
    layers = [m for m in model.discriminator.modules() if isinstance(m, nn.Linear)]
    assert len(layers) == 3
    for layer in layers:
        assert torch.linalg.matrix_norm(layer.weight, ord=2).item() == pytest.approx(1, abs=0.02)
    x, y = images(64), images(128)[64:]
    rise = (model.discriminate(x) - model.discriminate(y)).abs()
    assert (rise <= (x - y).flatten(1).norm(dim=1) * 1.1).all()


def test_the_critics_move_five_times_as_often() -> None:
    for method, every in ((WGAN, 5), (WGANGP, 5), (HingeGAN, 5), (LSGAN, 1), (R1GAN, 1), (GAN, 1)):
        discriminator, generator = build(method).players()
        assert (discriminator.every, generator.every) == (1, every)
        assert discriminator.betas == generator.betas == method.betas
        assert discriminator.learning_rate == generator.learning_rate == method.learning_rate


def test_step_sizes_are_the_papers() -> None:
    assert (WGAN.learning_rate, WGAN.betas) == (5e-5, (0.0, 0.99))
    assert (WGANGP.learning_rate, WGANGP.betas) == (1e-4, (0.0, 0.9))
    assert (HingeGAN.learning_rate, HingeGAN.betas) == (2e-4, (0.0, 0.9))
    assert (R1GAN.learning_rate, R1GAN.betas) == (1e-4, (0.0, 0.99))


@pytest.mark.parametrize(
    ("method", "name"), [(WGAN, "clip"), (WGANGP, "penalty"), (R1GAN, "gamma")]
)
@pytest.mark.parametrize("value", [0, -1, float("nan")])
def test_senseless_factors_are_refused(method: type[GAN], name: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{name} must be positive, got"):
        method(**{name: value})


@pytest.mark.parametrize("method", METHODS)
def test_wrong_images_are_refused(method: type[GAN]) -> None:
    shape = [1, 8, 8]
    model = method(latent_dim=3, hidden_size=4, image_shape=shape)  # type: ignore[arg-type]
    assert shape == [1, 8, 8]
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 8, 8\)"):
        model.discriminator_loss(torch.zeros(2, 1, 28, 28))
