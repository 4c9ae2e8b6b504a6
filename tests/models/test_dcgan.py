"""The DCGAN: shapes, ranges, and whose weights each player moves; its losses are the GAN's."""

import math

import pytest
import torch
from torch import Tensor, nn

from companion.models import DCGAN


def images(n: int, *shape: int) -> Tensor:
    return torch.rand(n, *(shape or (1, 28, 28)), generator=torch.Generator().manual_seed(5))


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
