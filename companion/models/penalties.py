"""Penalties on the slope of a discriminator, which keep it from becoming too steep."""

import torch
from torch import Tensor, nn

from companion.models.gan import wide


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    r"""How far the critic's slope is from 1 between real and generated images.

    .. math::

        \mathbb{E}\left[(\lVert\nabla_{\hat x} D(\hat x)\rVert_2 - 1)^2\right],
        \qquad \hat x = \epsilon x + (1 - \epsilon)\,G(z), \qquad \epsilon \sim U[0, 1]

    Each image has its own :math:`\epsilon` and its own norm, over all its pixels: the penalty
    does not depend on the size of the batch.

    Args:
        critic: images to scores ``(N,)``, each image judged by itself (no batch norm, which
            would mix them).
        real, fake: images of the same shape ``(N, C, H, W)``.

    Returns:
        A scalar, differentiable in the critic's parameters.

    Source: Gulrajani et al. (2017), eq. 3 and algorithm 1.
    """
    epsilon = torch.rand(len(real), 1, 1, 1, device=real.device, dtype=real.dtype)
    norms = _slopes(critic, epsilon * real + (1 - epsilon) * fake).norm(dim=1)
    return (norms - 1).square().mean()


def r1_penalty(discriminator: nn.Module, real: Tensor) -> Tensor:
    r"""The squared slope of the discriminator at real images.

    .. math:: \mathbb{E}_x\left[\lVert\nabla_x D(x)\rVert_2^2\right]

    Args:
        discriminator: images to logits ``(N,)``, each image judged by itself.
        real: images of shape ``(N, C, H, W)``.

    Returns:
        A scalar, differentiable in the discriminator's parameters; the loss of Mescheder et al.
        has it with the factor :math:`\gamma / 2`.

    Source: Mescheder, Geiger and Nowozin (2018), eq. 9.
    """
    return _slopes(discriminator, real).square().sum(dim=1).mean()


def _slopes(discriminator: nn.Module, images: Tensor) -> Tensor:
    """The gradient of each image's logit with respect to its pixels: shape ``(N, C * H * W)``."""
    # Also where the loss is only measured, without gradients for the weights.
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        # Images do not meet inside the discriminator: the gradient of the sum holds that of each.
        total = wide(logits=discriminator(images))[0].sum()
        (gradients,) = torch.autograd.grad(total, images, create_graph=True)
    return gradients.flatten(1)
