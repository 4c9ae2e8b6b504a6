"""Small pieces that several models share."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


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


def standard_normal(model: nn.Module, *shape: int, rng: torch.Generator | None = None) -> Tensor:
    """Draw :math:`z \\sim N(0, I)` on the device and in the type of the model's parameters.

    A CPU generator gives the same numbers for every device: they are drawn where it lives.
    """
    like = next(model.parameters())
    where = rng.device if rng is not None else like.device
    return torch.randn(*shape, generator=rng, device=where, dtype=like.dtype).to(like.device)


def check_image_shape(shape: tuple[int, int, int], multiple: int = 4) -> None:
    """Raise a ValueError unless the height and width of ``(C, H, W)`` are multiples."""
    if len(shape) != 3 or any(n < 1 for n in shape) or shape[1] % multiple or shape[2] % multiple:
        raise ValueError(
            f"image_shape must be (channels, height, width) with height and width multiples of "
            f"{multiple}, such as (1, 28, 28), got {tuple(shape)}"
        )


def check_codes(z: Tensor, latent_dim: int) -> None:
    """Raise a ValueError unless the codes have shape ``(N, latent_dim)``."""
    if z.ndim != 2 or z.shape[1] != latent_dim:
        raise ValueError(
            f"z must have shape (N, {latent_dim}), got {tuple(z.shape)}; "
            "draw it with torch.randn(n, model.latent_dim)"
        )
