"""What several models share."""

import pytest
import torch
from torch import nn

from companion.layers import evaluating, model_input, reference, standard_normal


def test_evaluating_gives_each_submodule_its_mode_back() -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Sequential(nn.Dropout()))
    model[1].eval()
    with evaluating(model):
        assert not any(module.training for module in model.modules())
        assert not model(torch.ones(3, 2)).requires_grad
    assert [module.training for module in model.modules()] == [True, True, False, False]


def test_evaluating_gives_the_mode_back_after_an_error() -> None:
    model = nn.Dropout()
    with pytest.raises(RuntimeError), evaluating(model):
        raise RuntimeError
    assert model.training
    assert torch.is_grad_enabled()


def test_standard_normal_takes_type_and_generator() -> None:
    model = nn.Linear(1, 1).double()
    before = torch.get_rng_state()
    z = standard_normal(model, 40_000, 2, rng=torch.Generator().manual_seed(0))
    assert torch.equal(torch.get_rng_state(), before)
    assert z.dtype == torch.float64
    assert z.shape == (40_000, 2)
    torch.testing.assert_close(z.mean(0), torch.zeros(2).double(), rtol=0, atol=0.03)
    torch.testing.assert_close(torch.cov(z.T), torch.eye(2).double(), rtol=0, atol=0.04)
    standard_normal(model, 1)
    assert not torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("n", [-3, "16", 2.5, (4, 1), True])
def test_how_many_must_be_a_whole_number(n: object) -> None:
    with pytest.raises((TypeError, ValueError), match="n must be .*at least 0, got"):
        standard_normal(nn.Linear(1, 1), n, 2)  # type: ignore[arg-type]
    assert standard_normal(nn.Linear(1, 1), 0, 2).shape == (0, 2)


def test_a_model_of_buffers_has_a_device_and_type_and_one_of_neither_says_so() -> None:
    frozen = nn.BatchNorm1d(2, affine=False).double()
    assert reference(frozen).dtype == torch.float64
    assert standard_normal(frozen, 3, 2).dtype == torch.float64
    with pytest.raises(TypeError, match=r"must have a parameter .* got Flatten without one; leave"):
        reference(nn.Flatten())


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_images_come_in_the_type_of_the_model(dtype: torch.dtype) -> None:
    images = torch.rand(2, 1, 4, 4).to(dtype)
    assert model_input(nn.Linear(1, 1), images, (1, 4, 4)).dtype == torch.float32
    assert model_input(nn.Linear(1, 1).double(), images).dtype == torch.float64
    with pytest.raises(ValueError, match=r"shape \(N, 3, 4, 4\), got \(2, 1, 4, 4\)"):
        model_input(nn.Linear(1, 1), images, (3, 4, 4))
