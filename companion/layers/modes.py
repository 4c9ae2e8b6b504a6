"""The mode, the device and the type of a model, and inputs that fit them."""

import contextlib
import itertools
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from companion import checks, noise
from companion.data import check_images


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; every submodule then returns to the mode it was in.

    Sampling and measuring inside leave neither gradients nor moved batch-norm statistics behind.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode


def reference(model: nn.Module) -> Tensor:
    """The model's first parameter or buffer of floats, which tells its device and type.

    Raises:
        TypeError: there is none, as in a model whose layers are all quantized.
    """
    for tensor in itertools.chain(model.parameters(), model.buffers()):
        if tensor.is_floating_point():
            return tensor
    raise TypeError(
        f"the model must have a parameter or buffer of floats, which tells its device and type, "
        f"got {type(model).__name__} without one; leave one layer of it unquantized"
    )


def standard_normal(
    model: nn.Module, n: int, *shape: int, rng: torch.Generator | None = None
) -> Tensor:
    r"""Draw n times :math:`z \sim N(0, I)` on the device and in the type of the model.

    Raises:
        TypeError, ValueError: if n is no whole number from 0 on, or ``rng`` no generator.
    """
    checks.integer("n", n, least=0)
    return noise.normal(n, *shape, like=reference(model), rng=rng)


def model_input(model: nn.Module, images: Tensor, shape: tuple[int, ...] | None = None) -> Tensor:
    """The images, checked, in the type of the model: numpy's float64 is welcome, too.

    Args:
        model: what reads them.
        images: floats in [0, 1].
        shape: ``(C, H, W)`` that the model needs; any, if None.

    Raises:
        TypeError, ValueError: see :func:`~companion.data.check_images`.
    """
    check_images(images, shape)
    return images.to(reference(model).dtype)
