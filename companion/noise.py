"""Random numbers for models and data: drawn where the generator lives, used where they are needed.

A generator on the CPU gives the same numbers to a model on every device. Without one, torch's
default generator of the device draws.
"""

import torch
from torch import Tensor

from companion import checks


def normal(*shape: int, like: Tensor, rng: torch.Generator | None = None) -> Tensor:
    r"""Independent :math:`N(0, 1)` on the device and in the type of ``like``.

    Raises:
        TypeError: ``rng`` is no generator of torch.
    """
    where = _where(like, rng)
    return torch.randn(*shape, generator=rng, device=where, dtype=like.dtype).to(like.device)


def uniform(*shape: int, like: Tensor, rng: torch.Generator | None = None) -> Tensor:
    r"""Independent :math:`U[0, 1)`; arguments and errors as for :func:`normal`."""
    where = _where(like, rng)
    return torch.rand(*shape, generator=rng, device=where, dtype=like.dtype).to(like.device)


def integers(high: int, *shape: int, like: Tensor, rng: torch.Generator | None = None) -> Tensor:
    """Independent ``int64`` from 0 to ``high - 1``; arguments and errors as for :func:`normal`."""
    where = _where(like, rng)
    return torch.randint(high, shape, generator=rng, device=where).to(like.device)


def choice(shares: Tensor, *, rng: torch.Generator | None = None) -> Tensor:
    """One index from each row of ``(N, K)`` probabilities: ``int64`` of shape ``(N,)``."""
    where = _where(shares, rng)
    return torch.multinomial(shares.to(where), 1, generator=rng)[:, 0].to(shares.device)


def home(rng: torch.Generator | None) -> torch.device:
    """Where data is made that has no other place: the generator's device, or the CPU without one.

    Raises:
        TypeError: ``rng`` is no generator of torch.
    """
    checks.generator(rng)
    return rng.device if rng is not None else torch.device("cpu")


def _where(like: Tensor, rng: torch.Generator | None) -> torch.device:
    checks.generator(rng)
    return rng.device if rng is not None else like.device
