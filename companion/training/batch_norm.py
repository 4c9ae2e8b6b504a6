"""Batch norm over several processes: the statistics of the whole batch, not of each one's share."""

import contextlib
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm


@contextlib.contextmanager
def whole_batches(model: nn.Module) -> Iterator[None]:
    """Inside, every batch norm of the model that learns sees the shares of all processes.

    ``torch.nn.SyncBatchNorm`` does so on GPUs only, and needs other modules in their place.
    """
    layers = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    for layer in layers:
        layer.forward = partial(_forward, layer)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _forward(layer: _BatchNorm, x: Tensor) -> Tensor:
    r"""Mean and variance over all processes; equal shares are taken for granted.

    .. math:: y = \gamma\,\frac{x - \mu}{\sqrt{\sigma^2 + \epsilon}} + \beta
    """
    if not layer.training:
        return type(layer).forward(layer, x)
    world_size = distributed.get_world_size()
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    mean = all_reduce(values.mean(axes)) / world_size
    centered = values - mean.view(shape)
    variance = all_reduce(centered.square().mean(axes)) / world_size
    if layer.track_running_stats and layer.running_mean is not None:
        count = world_size * x.numel() / x.shape[1]
        with torch.no_grad():
            assert layer.num_batches_tracked is not None
            assert layer.running_var is not None
            layer.num_batches_tracked.add_(1)
            rate = layer.momentum
            if rate is None:  # a plain average over all batches
                rate = 1 / float(layer.num_batches_tracked)
            layer.running_mean.lerp_(mean.to(layer.running_mean.dtype), rate)
            unbiased = variance * count / (count - 1)
            layer.running_var.lerp_(unbiased.to(layer.running_var.dtype), rate)
    y = centered * torch.rsqrt(variance + layer.eps).view(shape)
    if layer.affine:
        y = y * layer.weight.view(shape) + layer.bias.view(shape)
    return y.to(x.dtype)
