"""How answers of homework 7 are called; nothing here knows a right or a wrong one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from companion.homework.running import gives

Answer = Callable[..., Any]


@gives("the loss", "the gradient in the real logits", "the gradient in the fake logits")
def loss_and_slopes(answer: Answer, real: Tensor, fake: Tensor) -> tuple[Any, Tensor, Tensor]:
    """A loss and its gradients with respect to both logits, zeros where it has none."""
    logits = [real.detach().requires_grad_(), fake.detach().requires_grad_()]
    with torch.enable_grad():
        loss = answer(*logits)
        return loss, *_slopes(loss, logits)


@gives("the penalty", "the gradient in the critic's weights")
def penalty_and_slope(
    answer: Answer, W: Tensor, b: Tensor, w: Tensor, real: Tensor, fake: Tensor, epsilon: Tensor
) -> tuple[Any, Tensor]:
    """A penalty of the critic w . tanh(W x + b), and its gradient with respect to W."""
    with torch.enable_grad():
        W = W.detach().requires_grad_()

        def critic(images: Tensor) -> Tensor:
            return torch.tanh(images.flatten(1) @ W.T + b) @ w

        penalty = answer(critic, real, fake, epsilon)
        return penalty, *_slopes(penalty, [W])


@gives(
    "the points",
    "whether all pixels of a point share an epsilon (1 is yes)",
    "whether the images of a batch have different ones (1 is yes)",
    "whether the draws of an image have different ones (1 is yes)",
    "whether all lie in [0, 1] (1 is yes)",
    "whether some lie inside, not at an end (1 is yes)",
    "whether they are spread evenly over [0, 1] (1 is yes)",
)
def what_is_between(answer: Answer, real: Tensor, fake: Tensor) -> tuple[Any, ...]:
    """Zeros of the shape of the points, and which of six things are true (1) of their epsilons.

    The points are x = epsilon real + (1 - epsilon) fake, so epsilon can be read off them:

    1. all pixels of a point have the same;
    2. the images of a batch have different ones;
    3. the draws of one image have different ones;
    4. all lie in [0, 1];
    5. some lie inside, not at an end;
    6. if all this holds: they are spread evenly, no share of them is off by more than 0.1.
    """
    points = answer(real, fake)
    if not isinstance(points, Tensor) or points.ndim != 5 or points.shape[1:] != real.shape:
        return (points * 0 if isinstance(points, Tensor) else points), *torch.zeros(6)
    epsilons = ((points - fake) / (real - fake)).flatten(2)  # (draws, N, C * H * W)
    first = epsilons[..., 0]
    ordered = first.flatten().sort().values
    true = [
        (epsilons - first[..., None]).abs().max() < 1e-3,
        (first - first[:, :1]).abs().max() > 1e-3,
        (first - first[:1]).abs().max() > 1e-3,
        ordered[0] > -1e-3 and ordered[-1] < 1 + 1e-3,
        ((first > 1e-3) & (first < 1 - 1e-3)).any(),
    ]
    even = (ordered - torch.linspace(0, 1, len(ordered))).abs().max() < 0.1
    return points * 0, *torch.tensor([float(x) for x in [*true, all(true) and even]])


def _slopes(result: Any, of: list[Tensor]) -> list[Tensor]:
    if not isinstance(result, Tensor) or result.ndim or not result.requires_grad:
        return [torch.zeros_like(x) for x in of]
    found = torch.autograd.grad(result, of, allow_unused=True)
    return [torch.zeros_like(x) if g is None else g for x, g in zip(of, found, strict=True)]
