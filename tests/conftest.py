"""What all tests share: none depends on another, or on how and where it was started."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

# Options for this run of pytest are not for those that its tests start.
os.environ.pop("PYTEST_ADDOPTS", None)

# Properties are checked without a deadline: a busy machine is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.fixture(autouse=True)
def _own_random_state() -> Iterator[None]:
    """No test sees the random numbers that an earlier one has drawn."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_interrupts() -> Iterator[None]:
    """Ctrl-C interrupts, here and in what the tests start.

    A shell starts what runs in the background with SIGINT ignored, and that is inherited.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def full_disk() -> Path:
    """A file for which the system itself says that no space is left."""
    path = Path("/dev/full")
    if not path.exists():
        pytest.skip("this system has no /dev/full")
    return path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With ``-n``: a file's tests stay together for their fixtures, each notebook runs for itself.

    The files with the most tests come first and the notebooks last, the longest of them first.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Spread(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file, _, test = nodeid.partition("::")
            return nodeid if test.startswith("test_the_notebook_gives") else file

    return Spread(config, log)
