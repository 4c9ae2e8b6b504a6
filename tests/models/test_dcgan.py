"""The DCGAN: shapes, ranges, and whose weights each player moves; its losses are the GAN's."""

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from companion import train
from companion.models import DCGAN


def images(n: int, *shape: int) -> Tensor:
    return torch.rand(n, *(shape or (1, 28, 28)), generator=torch.Generator().manual_seed(5))


@settings(max_examples=12)
@given(
    size=st.tuples(st.sampled_from([28, 32, 64]), st.sampled_from([28, 32, 64])),
    channels=st.sampled_from([1, 3]),
    n=st.integers(2, 4),
)
def test_shape_in_is_shape_out(size: tuple[int, int], channels: int, n: int) -> None:
    shape = (channels, *size)
    model = DCGAN(latent_dim=3, width=4, image_shape=shape)
    drawn = model.sample(n)
    assert drawn.shape == (n, *shape)
    assert drawn.min() >= 0
    assert drawn.max() <= 1
    assert model.discriminate(drawn).shape == (n,)
    assert model.discriminator_loss(drawn).shape == model.generator_loss(drawn).shape == ()


def test_sides_at_each_layer_are_those_stated() -> None:
    """Fault G9: 4 -> 7 -> 14 -> 28 and back, by (H - 1) s - 2 p + k."""
    model = DCGAN(latent_dim=3, width=4)
    sides: list[int] = []
    hooks = [
        module.register_forward_hook(lambda *args: sides.append(args[2].shape[-1]))
        for module in model.modules()
        if isinstance(module, nn.Unflatten | nn.Conv2d | nn.ConvTranspose2d)
    ]
    model.discriminate(model.sample(2))
    for hook in hooks:
        hook.remove()
    assert sides == [4, 7, 14, 28, 14, 7, 4]


def test_ranges_match_on_both_sides_of_the_discriminator() -> None:
    """Fault G10: real and generated images reach the discriminator in the same range."""
    model = DCGAN(latent_dim=3, width=4)
    seen: list[Tensor] = []
    model.discriminator.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    black_and_white = (images(8) > 0.5).float()
    model.discriminator_loss(black_and_white)
    real, fake = seen
    assert (real.min(), real.max()) == (-1, 1)
    assert fake.min() >= -1
    assert fake.min() < 0 < fake.max()
    assert fake.max() <= 1
    assert not fake.requires_grad


def test_weights_start_as_the_paper_has_them() -> None:
    model = DCGAN(latent_dim=64, width=32)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            count = module.weight.numel()
            assert module.weight.std().item() == pytest.approx(0.02, rel=4 / math.sqrt(count)), name
            assert abs(module.weight.mean()) < 5 * 0.02 / math.sqrt(count), name
            assert module.bias is None or not module.bias.any()
        elif isinstance(module, nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.02)
            assert module.weight.std().item() == pytest.approx(0.02, abs=0.01)
            assert not module.bias.any()


def test_batch_norm_normalizes_to_unit_scale() -> None:
    """The fault of eps = 0.8: a small input would come out far below unit scale."""
    norms = [m for m in DCGAN(width=4).modules() if isinstance(m, nn.BatchNorm2d)]
    assert len(norms) == 5
    for norm in norms:
        assert norm.eps == 1e-5
        nn.init.ones_(norm.weight)
        out = norm(0.1 * torch.randn(64, norm.num_features, 7, 7))
        assert out.std().item() == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("mover", "other"), [(0, 1), (1, 0)])
def test_a_move_leaves_weights_and_gradients_of_the_other_side_alone(
    mover: int, other: int
) -> None:
    """Fault G8, through the moves that `train` makes."""
    model = DCGAN(latent_dim=3, width=4)
    players = model.players()
    model.players = lambda: [players[mover]]  # type: ignore[method-assign]
    for parameter in players[other].module.parameters():
        parameter.grad = torch.full_like(parameter, 7.0)
    before = copy.deepcopy(model.state_dict())
    train(model, images(8), epochs=1, batch_size=4, progress=False, device="cpu")
    for parameter in players[other].module.parameters():
        assert parameter.requires_grad
        assert parameter.grad is not None
        assert (parameter.grad == 7).all()
    name = players[other].name
    for key, _ in model.named_parameters():
        moved = not torch.equal(model.state_dict()[key], before[key])
        assert moved == (not key.startswith(name)), key


def test_discriminator_loss_sends_no_gradient_to_the_generator() -> None:
    model = DCGAN(latent_dim=3, width=4)
    model.discriminator_loss(images(4)).backward()
    assert all(p.grad is None for p in model.generator.parameters())
    assert all(p.grad is not None for p in model.discriminator.parameters())


def test_players_are_the_paper_s() -> None:
    discriminator, generator = DCGAN(width=4).players()
    assert (discriminator.name, generator.name) == ("discriminator", "generator")
    assert discriminator.betas == generator.betas == (0.5, 0.999)
    assert discriminator.learning_rate == generator.learning_rate == 2e-4


def test_sample_leaves_model_and_random_state_as_they_were() -> None:
    model = DCGAN(latent_dim=3, width=4)
    model.discriminator.eval()
    modes = [module.training for module in model.modules()]
    state = copy.deepcopy(model.state_dict())
    before = torch.get_rng_state()
    first = model.sample(4, rng=torch.Generator().manual_seed(1))
    assert torch.equal(first, model.sample(4, rng=torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), before)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_constructor_leaves_its_argument_alone() -> None:
    shape = [3, 32, 64]
    DCGAN(latent_dim=3, width=4, image_shape=shape)  # type: ignore[arg-type]
    assert shape == [3, 32, 64]


def test_wrong_noise_and_images_are_refused() -> None:
    model = DCGAN(latent_dim=3, width=4)
    with pytest.raises(ValueError, match=r"z must have shape \(N, 3\), got \(5, 2\)"):
        model.generate(torch.zeros(5, 2))
    with pytest.raises(ValueError, match=r"images must have shape \(N, 1, 28, 28\)"):
        model.discriminate(torch.zeros(2, 1, 32, 32))
    with pytest.raises(ValueError, match=r"use \(images \+ 1\) / 2"):
        model.discriminate(2 * images(2) - 1)
    with pytest.raises(ValueError, match="multiples of 4"):
        DCGAN(image_shape=(1, 30, 30))
