"""What all tests share."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# Properties are checked without a deadline: a busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _own_random_state() -> Iterator[None]:
    """No test sees the random numbers that an earlier one has drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield
