"""How the answers of homework 5 are called whose gradients are judged."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.homework.running import UnusableError, gives, tensor


@gives("the entries", "the gradient in the vectors", "the gradient in the codebook")
def straight_through(
    answer: Callable[..., Any], vectors: Tensor, codebook: Tensor, pull: Tensor
) -> Any:
    """The entries, and the gradients of ``sum(pull * entries)`` in vectors and codebook."""
    given = [x.detach().requires_grad_() for x in (vectors, codebook)]
    entries = answer(*given)
    if not isinstance(entries, Tensor):
        return tensor(entries)
    if entries.shape != pull.shape:
        raise UnusableError(
            f"must return shape {tuple(pull.shape)}, that of the vectors, got "
            f"{tuple(entries.shape)}; look up one entry for each vector"
        )
    return entries, *_gradients((pull * entries).sum(), given)


@gives("the loss", "the gradient in the vectors", "the gradient in the entries")
def loss(answer: Callable[..., Any], vectors: Tensor, entries: Tensor) -> Any:
    """The loss, and its gradients in vectors and entries."""
    given = [x.detach().requires_grad_() for x in (vectors, entries)]
    value = answer(*given)
    if not isinstance(value, Tensor):
        return tensor(value)
    if value.shape:
        raise UnusableError(
            f"must return one number, got shape {tuple(value.shape)}; sum over an image and take "
            "the mean over the batch"
        )
    return value, *_gradients(value, given)


def _gradients(value: Tensor, given: list[Tensor]) -> list[Tensor]:
    """Zeros where no gradient arrives: that, too, can be right or wrong."""
    if not value.requires_grad:
        return [torch.zeros_like(x) for x in given]
    gradients = torch.autograd.grad(value, given, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(given, gradients, strict=True)]
