"""Files of tensors: whole, proved undamaged, or not there at all."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from companion.files import (
    CheckpointError,
    load_model,
    load_tensors,
    save_model,
    save_tensors,
    write_file,
)

TENSORS: dict[str, Tensor] = {
    "float": torch.randn(2, 3),
    "scalar": torch.tensor(1.5, dtype=torch.float64),
    "bytes": torch.arange(5, dtype=torch.uint8),
    "half": torch.ones(2, dtype=torch.bfloat16),
    "flags": torch.tensor([True, False]),
    "channels last": torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
    "nothing": torch.empty(0, 3),
}


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.safetensors"
    save_tensors(path, TENSORS, {"step": 7, "names": ["a", "b"]})
    tensors, notes = load_tensors(path)
    assert notes == {"step": 7, "names": ["a", "b"]}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_tensors_that_share_memory_are_saved(tmp_path: Path) -> None:
    tied = torch.randn(3)
    save_tensors(tmp_path / "tied", {"a": tied, "b": tied, "part": tied[1:]})
    tensors, notes = load_tensors(tmp_path / "tied")
    assert torch.equal(tensors["a"], tensors["b"])
    assert notes == {}


def test_every_flipped_byte_and_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save_tensors(path, {"a": torch.arange(4.0)}, {"step": 1})
    whole = path.read_bytes()
    for position in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="train again"):
            load_tensors(path)
    for length in (0, 4, 20, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="is damaged or no safetensors file"):
            load_tensors(path)


def test_a_file_without_checksum_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    safetensors.torch.save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not written by companion: .*; choose another"):
        load_tensors(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no file .*; check the path"):
        load_tensors(tmp_path / "nowhere")


def test_a_full_disk_leaves_the_earlier_file(tmp_path: Path, full_disk: Path) -> None:
    """The system itself says that no space is left for the temporary file."""
    path = tmp_path / "file"
    save_tensors(path, {"a": torch.zeros(2)})
    (tmp_path / ".file.part").symlink_to(full_disk)
    with pytest.raises(CheckpointError, match="No space left on device; an earlier file .* free"):
        save_tensors(path, {"a": torch.ones(2)})
    assert torch.equal(load_tensors(path)[0]["a"], torch.zeros(2))
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="could not save .* choose another folder"):
        save_tensors(tmp_path / "file" / "checkpoint", TENSORS)


def test_any_bytes_are_written_whole_in_a_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "file.json"
    write_file(str(path), b"{}\n")
    assert path.read_bytes() == b"{}\n"
    write_file(path, b"")
    assert path.read_bytes() == b""
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_what_a_killed_process_left_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".file.part").write_bytes(b"half of a long")
    write_file(tmp_path / "file", b"whole")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"whole"}


def test_bytes_that_do_not_fit_leave_the_earlier_file(tmp_path: Path, full_disk: Path) -> None:
    path = tmp_path / "file"
    write_file(path, b"earlier")
    (tmp_path / ".file.part").symlink_to(full_disk)
    with pytest.raises(CheckpointError, match="could not save .*file: No space left on device"):
        write_file(path, b"later")
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {"file": b"earlier"}


# ---- A model of one's own ------------------------------------------------------------------------


class Own(nn.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.first = nn.Linear(2, width)
        self.norm = nn.BatchNorm1d(width)


def test_one_line_saves_a_model_and_one_line_loads_it(tmp_path: Path) -> None:
    model = Own()
    save_model(tmp_path / "new" / "own.safetensors", model)
    read = load_model(tmp_path / "new" / "own.safetensors", Own())
    assert read.state_dict().keys() == model.state_dict().keys()
    for key, value in model.state_dict().items():
        assert torch.equal(read.state_dict()[key], value), key


def test_weights_written_by_others_are_read(tmp_path: Path) -> None:
    model = Own()
    safetensors.torch.save_file(model.state_dict(), tmp_path / "plain.safetensors")
    read = load_model(tmp_path / "plain.safetensors", Own())
    assert torch.equal(read.first.weight, model.first.weight)
    with pytest.raises(CheckpointError):  # which has no checksum
        load_tensors(tmp_path / "plain.safetensors")


def test_weights_that_do_not_fit_are_named_and_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_model(path, Own())
    other = Own(width=4)
    before = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_model(path, other)
    sentence = str(caught.value)
    assert "first.weight has shape (3, 2), expected (4, 2)" in sentence
    assert sentence.endswith(
        "build the model with the arguments with which the saved one was built"
    )
    assert all(torch.equal(other.state_dict()[key], value) for key, value in before.items())
    with pytest.raises(CheckpointError, match="it lacks weight and 1 more, it has besides first"):
        load_model(path, nn.Linear(2, 3))


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    save_model(path, Own())
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match="checksum differs"):
        load_model(path, Own())
    with pytest.raises(CheckpointError, match="there is no file"):
        load_model(tmp_path / "none", Own())
