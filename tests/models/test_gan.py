"""The multilayer GAN: losses against their definition, shapes, and whose weights move."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from companion import train
from companion.models import GAN
from companion.models.gan import discriminator_loss, generator_loss, saturating_generator_loss


def images(n: int, *shape: int) -> Tensor:
    return torch.rand(n, *(shape or (1, 28, 28)), generator=torch.Generator().manual_seed(5))


logits = st.lists(st.floats(-30, 30), min_size=1, max_size=6).map(
    lambda values: torch.tensor(values, dtype=torch.float64)
)


@given(real=logits, fake=logits)
def test_losses_are_log_probabilities_of_the_right_answer(real: Tensor, fake: Tensor) -> None:
    """Fault G1: real wants -log sigma(D), fake -log(1 - sigma(D)), G wants -log sigma(D)."""
    d_expected = -torch.sigmoid(real).log().mean() - torch.sigmoid(-fake).log().mean()
    torch.testing.assert_close(discriminator_loss(real, fake), d_expected)
    torch.testing.assert_close(generator_loss(fake), -torch.sigmoid(fake).log().mean())
    torch.testing.assert_close(saturating_generator_loss(fake), torch.sigmoid(-fake).log().mean())


@given(real=logits, fake=logits)
def test_the_minimax_game_is_one_value_with_two_signs(real: Tensor, fake: Tensor) -> None:
    """Fault G2: D lowers -V, G lowers what V has of it; the parts about G are opposite."""
    about_fakes = discriminator_loss(real, fake) - nn.functional.softplus(-real).mean()
    torch.testing.assert_close(about_fakes, -saturating_generator_loss(fake))


def test_losses_equal_binary_cross_entropy() -> None:
    real, fake = torch.randn(50), torch.randn(50)
    bce = nn.functional.binary_cross_entropy_with_logits
    expected = bce(real, torch.ones(50)) + bce(fake, torch.zeros(50))
    torch.testing.assert_close(discriminator_loss(real, fake), expected)
    torch.testing.assert_close(generator_loss(fake), bce(fake, torch.ones(50)))
    torch.testing.assert_close(saturating_generator_loss(fake), -bce(fake, torch.zeros(50)))


def test_losses_of_a_discriminator_that_cannot_tell() -> None:
    """Faults G4 and G6: the equilibrium is 2 log 2 and log 2, not zero."""
    zeros = torch.zeros(8, dtype=torch.float64)
    assert discriminator_loss(zeros, zeros).item() == pytest.approx(2 * math.log(2), abs=1e-15)
    assert generator_loss(zeros).item() == pytest.approx(math.log(2), abs=1e-15)
    assert saturating_generator_loss(zeros).item() == pytest.approx(-math.log(2), abs=1e-15)


def test_losses_stay_finite_and_descend_the_right_way() -> None:
    """Fault G11: the discriminator's loss falls with the real logit and grows with the fake one."""
    far = torch.tensor([1e4])
    assert discriminator_loss(far, -far).item() == 0
    assert discriminator_loss(-far, far).item() == 2e4
    assert saturating_generator_loss(far).item() == -1e4
    real, fake = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    discriminator_loss(real, fake).backward()
    assert real.grad is not None
    assert fake.grad is not None
    assert (real.grad.item(), fake.grad.item()) == (-0.5, 0.5)


@pytest.mark.parametrize("logit", [-20.0, 0.0, 20.0])
def test_slopes_of_the_generator_losses(logit: float) -> None:
    """sigma - 1 without saturation, -sigma with it: none where D is sure of the fake."""
    d = torch.sigmoid(torch.tensor(logit, dtype=torch.float64)).item()
    for loss, slope in ((generator_loss, d - 1), (saturating_generator_loss, -d)):
        fake = torch.tensor([logit], dtype=torch.float64, requires_grad=True)
        loss(fake).backward()
        assert fake.grad is not None
        assert fake.grad.item() == pytest.approx(slope, abs=1e-12)


def test_loss_does_not_depend_on_the_batch_size() -> None:
    one, many = torch.tensor([0.3]), torch.full((64,), 0.3)
    assert discriminator_loss(one, one).item() == pytest.approx(
        discriminator_loss(many, many).item()
    )
    for loss in (generator_loss, saturating_generator_loss):
        assert loss(one).item() == pytest.approx(loss(many).item())


def test_the_model_plays_the_losses_of_the_module() -> None:
    model, x = GAN(latent_dim=3, hidden_size=4), images(8)
    torch.manual_seed(1)
    loss = model.discriminator_loss(x)
    torch.manual_seed(1)
    fake = model.generate(torch.randn(8, 3))
    expected = discriminator_loss(model.discriminate(x), model.discriminate(fake))
    torch.testing.assert_close(loss, expected)
    for saturating, function in ((False, generator_loss), (True, saturating_generator_loss)):
        model.saturating = saturating
        torch.manual_seed(1)
        torch.testing.assert_close(model.generator_loss(x), function(model.discriminate(fake)))


def test_one_pass_for_real_and_fake_is_two_passes() -> None:
    model = GAN(latent_dim=3, hidden_size=4)
    real, fake = images(4), images(8)[4:]
    together = model.logits(real, fake)
    torch.testing.assert_close(together[0], model.discriminate(real))
    torch.testing.assert_close(together[1], model.discriminate(fake))


def test_discriminator_loss_sends_no_gradient_to_the_generator() -> None:
    model = GAN(latent_dim=3, hidden_size=4)
    model.discriminator_loss(images(4)).backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert all(p.grad is not None for p in model.discriminator.parameters())


@pytest.mark.parametrize("saturating", [False, True])
def test_the_players_move_the_fake_logits_opposite_ways(saturating: bool) -> None:
    """Fault G1: D's steps lower D(G(z)), G's steps raise it, with either loss."""
    model = GAN(latent_dim=3, hidden_size=16, saturating=saturating)
    z, real = torch.randn(64, 3), torch.zeros(64, 1, 28, 28)

    def judged() -> float:
        with torch.no_grad():
            return model.discriminate(model.generate(z)).mean().item()

    for player, way in zip(model.players(), (-1, 1), strict=True):
        before = judged()
        optimizer = torch.optim.Adam(player.module.parameters(), lr=0.01)
        for _ in range(20):
            model.zero_grad()
            loss = player.loss(real)
            assert isinstance(loss, Tensor)
            loss.backward()
            optimizer.step()
        assert way * (judged() - before) > 0.5


def test_a_point_mass_is_learned() -> None:
    """The game is won: fakes come close to the one real point."""
    points = torch.full((512, 2, 1, 1), 0.7)
    model = GAN(latent_dim=2, hidden_size=16, image_shape=(2, 1, 1))
    untrained = (model.sample(200) - 0.7).abs().mean().item()
    train(model, points, epochs=40, batch_size=64, progress=False, device="cpu")
    assert (model.sample(200) - 0.7).abs().mean().item() < untrained / 2


def test_wrong_noise_and_images_are_refused() -> None:
    model = GAN(latent_dim=3, hidden_size=4)
    with pytest.raises(ValueError, match=r"z must have shape \(N, 3\), got \(5, 2\)"):
        model.generate(torch.zeros(5, 2))
    for judge in (model.discriminate, model.discriminator_loss):
        with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 28, 28\)"):
            judge(torch.zeros(2, 1, 32, 32))
        with pytest.raises(ValueError, match=r"use \(images \+ 1\) / 2"):
            judge(2 * images(2) - 1)
    with pytest.raises(ValueError, match="image_shape must be"):
        GAN(image_shape=(1, 0, 28))


def test_a_game_that_breaks_down_stops_and_says_where() -> None:
    model = GAN(latent_dim=3, hidden_size=4)
    with torch.no_grad():
        model.generator.layers[0].weight.fill_(torch.nan)  # type: ignore[union-attr]
    with pytest.raises(FloatingPointError, match="'discriminator' is NaN or infinite at step 1"):
        train(model, images(8), epochs=1, batch_size=4, progress=False, device="cpu")
