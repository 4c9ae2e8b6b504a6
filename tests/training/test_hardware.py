"""Devices and precisions by name."""

import pytest
import torch

from companion.training import pick_device, pick_precision
from companion.training.hardware import autocast, join_processes, visiting

CPU = torch.device("cpu")


def test_auto_takes_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device() == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("auto") == pick_device("cuda") == torch.device("cuda", 1)
    assert pick_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(ValueError, match="device 'cuda:2' was asked for but torch finds none here"):
        pick_device("cuda:2")


def test_auto_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device() == pick_device(CPU) == CPU
    for name in ("cuda", "mps"):
        with pytest.raises(ValueError, match=f"device '{name}' was asked for .* use device='auto'"):
            pick_device(name)


def test_unknown_device() -> None:
    with pytest.raises(ValueError, match="device must be 'auto', 'cpu', .*, got 'tpu9'"):
        pick_device("tpu9")


def test_precisions() -> None:
    assert pick_precision("auto", CPU) is None
    assert pick_precision("float32", CPU) is None
    assert pick_precision("bf16", CPU) is torch.bfloat16
    assert pick_precision("fp16", torch.device("cuda")) is torch.float16
    with pytest.raises(ValueError, match="precision 'fp16' needs a GPU"):
        pick_precision("fp16", CPU)
    with pytest.raises(ValueError, match="precision must be one of .*, got 'float8'"):
        pick_precision("float8", CPU)


def test_autocast_computes_in_the_precision() -> None:
    a = torch.ones(2, 2)
    with autocast(CPU, torch.bfloat16):
        assert (a @ a).dtype == torch.bfloat16
    with autocast(CPU, None):
        assert (a @ a).dtype == torch.float32


def test_one_process_has_nobody_to_join() -> None:
    assert join_processes(CPU) == (0, 1)


def test_a_world_size_alone_makes_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some schedulers set it for their own purposes."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert join_processes(CPU) == (0, 1)


def test_convolutions_are_channels_last_for_a_while() -> None:
    conv, flat = torch.nn.Conv2d(3, 4, 3), torch.nn.Conv3d(3, 4, 3)
    theirs = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    model = torch.nn.ModuleList([conv, flat, theirs])
    x = torch.rand(2, 3, 5, 5)
    expected = conv(x)
    with visiting(model, CPU):
        assert conv.weight.is_contiguous(memory_format=torch.channels_last)
        assert flat.weight.is_contiguous()
        torch.testing.assert_close(conv(x), expected)
    assert conv.weight.is_contiguous()
    assert theirs.weight.is_contiguous(memory_format=torch.channels_last), "as it came"
