"""What several models share."""

import pytest
import torch
from torch import nn

from companion.layers import check_image_shape, evaluating, standard_normal


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


@pytest.mark.parametrize("shape", [(28, 28), (1, 30, 28), (1, 28, 30), (0, 28, 28), (1, 0, 28)])
def test_image_shapes_that_do_not_halve_twice_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"multiples of 4, such as \(1, 28, 28\), got"):
        check_image_shape(shape)  # type: ignore[arg-type]
