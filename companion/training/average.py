"""The exponential moving average of a model's weights."""

import copy

import torch
from torch import Tensor, nn

STATISTICS = ("running_mean", "running_var")  # of a batch norm: estimates, as the weights are


class Average:
    r"""A copy of a model whose weights follow slowly.

    .. math:: \bar\theta_1 = \theta_1, \qquad
        \bar\theta_t = \gamma\,\bar\theta_{t-1} + (1 - \gamma)\,\theta_t

    for parameters and the running statistics of batch norm. All other buffers (counters,
    codebooks, the vectors of spectral norm) are no estimates to be averaged: they are copied.

    Args:
        model: whose weights are averaged.
        decay: :math:`\gamma`.

    Source: Polyak and Juditsky (1992), in its exponential form.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.model = copy.deepcopy(model).requires_grad_(False)
        self.started = False
        ours, theirs = list(self.model.parameters()), list(model.parameters())
        places, sources = _buffers(self.model), _buffers(model)
        estimates = [i for i, (_, name) in enumerate(places) if name in STATISTICS]
        others = [i for i in range(len(places)) if i not in set(estimates)]
        self.weights = ours, theirs
        self.averaged = [places[i] for i in estimates], [sources[i] for i in estimates]
        self.copied = [places[i] for i in others], [sources[i] for i in others]

    @torch.no_grad()
    def update(self) -> None:
        """Follow the model's present weights by one step."""
        averages, weights = (
            [*parameters, *_values(places)]
            for parameters, places in zip(self.weights, self.averaged, strict=True)
        )
        if self.started:
            torch._foreach_lerp_(averages, weights, 1 - self.decay)
        else:
            torch._foreach_copy_(averages, weights)
        self.started = True
        copies, originals = map(_values, self.copied)
        if copies:
            torch._foreach_copy_(copies, originals)

    def state_dict(self) -> dict[str, Tensor]:
        """The averaged weights by name."""
        return self.model.state_dict()

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Go on from averaged weights."""
        self.model.load_state_dict(state)
        self.started = True


def _buffers(model: nn.Module) -> list[tuple[nn.Module, str]]:
    """Where the buffers are kept: a model may exchange the tensor itself at any step."""
    return [
        (module, name)
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if buffer is not None
    ]


def _values(places: list[tuple[nn.Module, str]]) -> list[Tensor]:
    return [module._buffers[name] for module, name in places]  # type: ignore[misc]
