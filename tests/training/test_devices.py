"""What is asked of devices that this machine need not have: torch's answers are made up."""

from typing import Any

import pytest
import torch
from torch import distributed

from companion.training import hardware

CUDA, MPS = torch.device("cuda", 1), torch.device("mps")


@pytest.mark.parametrize(("free", "moved"), [(80, True), (79, False)])
def test_data_of_more_than_half_the_free_memory_stay(
    free: int, moved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 100))

    class Data:
        nbytes = 20

        def to(self, device: torch.device) -> str:
            return f"moved to {device}"

    data: Any = (Data(), Data())
    kept = hardware.keep_or_move(data, CUDA)
    assert kept == (("moved to cuda:1",) * 2 if moved else data)


def test_each_process_owns_its_gpu_and_leaves_the_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL gathers the random states for a checkpoint on the current device."""
    done: list[Any] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(distributed, "is_torchelastic_launched", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_device", done.append)
    monkeypatch.setattr(distributed, "init_process_group", done.append)
    monkeypatch.setattr(distributed, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(hardware.atexit, "register", done.append)
    assert hardware.join_processes(CUDA) == (1, 2)
    assert done == [CUDA, "nccl", hardware._leave_processes]


def test_the_random_state_of_mps_is_kept_and_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    state = {"now": torch.tensor([1])}
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: state["now"])
    monkeypatch.setattr(torch.mps, "set_rng_state", lambda new: state.update(now=new))
    with hardware.own_randomness(MPS):
        saved = hardware.random_state(MPS, rank=0)
        state["now"] = torch.tensor([2])
    assert state["now"].item() == 1
    state["now"] = torch.tensor([3])
    hardware.set_random_state(saved, MPS, rank=0)
    assert state["now"].item() == 1
