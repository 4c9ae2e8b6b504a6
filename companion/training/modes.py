"""Which modules are in training mode while a model is trained."""

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def learning(model: nn.Module) -> Iterator[None]:
    """Training mode; afterwards every module returns to the mode that it was in.

    A network whose parameters are all frozen (a text encoder, a feature network) stays in
    evaluation mode: in training mode its batch statistics would drift.
    """
    modes = [(module, module.training) for module in model.modules()]
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
