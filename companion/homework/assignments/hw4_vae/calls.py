"""How answers of homework 4 are called whose gradients are judged."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.homework.running import UnusableError, gives, tensor

Answer = Callable[..., Any]


@gives("the result", "the gradient in mu", "the gradient in logvar")
def of_code(answer: Answer, mu: Tensor, logvar: Tensor, *noise: Tensor) -> Any:
    """A function of the encoder's two outputs, and the gradients of its sum in both."""
    given = [x.detach().requires_grad_() for x in (mu, logvar)]
    return _with_gradients(answer(*given, *noise), given)


@gives("the loss", "the gradient in the logits", "the gradient in mu", "the gradient in logvar")
def of_loss(answer: Answer, logits: Tensor, images: Tensor, mu: Tensor, logvar: Tensor) -> Any:
    """The loss, and its gradients in what the decoder and the encoder give."""
    logits, mu, logvar = given = [x.detach().requires_grad_() for x in (logits, mu, logvar)]
    return _with_gradients(answer(logits, images, mu, logvar), given)


def _with_gradients(result: Any, given: list[Tensor]) -> Any:
    if not isinstance(result, Tensor):
        return tensor(result)
    if not result.requires_grad:
        raise UnusableError(
            "returns a tensor without a gradient, so nothing could be trained with it; leave out "
            "detach(), item(), numpy() and torch.no_grad()"
        )
    gradients = torch.autograd.grad(result.sum(), given, allow_unused=True)
    zeros = [torch.zeros_like(x) for x in given]
    return result, *(z if g is None else g for z, g in zip(zeros, gradients, strict=True))
