"""Tensors in files that are whole or not there at all, and that prove to be undamaged."""

import contextlib
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


class CheckpointError(RuntimeError):
    """A file of tensors cannot be written, or is missing, damaged or made for something else."""


def save_tensors(
    path: str | Path, tensors: Mapping[str, Tensor], notes: Mapping[str, Any] | None = None
) -> None:
    """Write tensors and notes into one safetensors file, atomically and with a checksum.

    The bytes go to a temporary file beside the target, which takes the target's name only once
    they are safely on the disk. Whatever happens before leaves an earlier file as it was.

    Args:
        path: the file to write; its folder is made if it is missing.
        tensors: any tensors by name, on any device.
        notes: anything that JSON can hold.

    Raises:
        CheckpointError: if the file cannot be written (full disk, no permission).
    """
    write_file(path, pack(tensors, notes))


def pack(tensors: Mapping[str, Tensor], notes: Mapping[str, Any] | None = None) -> bytes:
    """The bytes of the file that :func:`save_tensors` writes."""
    # Copies, because the format refuses tensors that share memory, such as tied weights.
    stored = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    text = json.dumps(notes or {})
    metadata = {"notes": text, "sha256": _checksum(stored, text)}
    return safetensors.torch.save(stored, metadata)


def write_file(path: str | Path, data: bytes) -> None:
    """Write a whole file or none; errors as for :func:`write_files`."""
    write_files({path: data})


def write_files(contents: Mapping[str | Path, bytes]) -> None:
    """Write whole files that belong together, all of them or none.

    Temporary files take the names once every one of them is safely on the disk.

    Raises:
        CheckpointError: if one cannot be written (full disk, no permission); earlier files of
            these names are untouched.
    """
    # One name each, so that what a killed process leaves behind is overwritten by the next.
    targets = {Path(path): Path(path).with_name(f".{Path(path).name}.part") for path in contents}
    path = next(iter(targets))
    try:
        for (path, temporary), data in zip(targets.items(), contents.values(), strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for path, temporary in targets.items():
            os.replace(temporary, path)
    except OSError as error:
        for temporary in targets.values():
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise CheckpointError(
            f"could not save {path}: {error.strerror or error}; an earlier file of that name is "
            "untouched; free some space or choose another folder, then run again"
        ) from error


def save_images(path: str | Path, images: Tensor, columns: int = 8) -> None:
    """Write images side by side into one PNG, whole or not at all.

    Args:
        path: the file to write.
        images: floats in [0, 1] of shape ``(N, C, H, W)``, gray or color.
        columns: images in a row.

    Raises:
        CheckpointError: if it cannot be written (full disk, no permission).
    """
    from torchvision.utils import save_image

    buffer = io.BytesIO()
    save_image(images, buffer, format="png", nrow=columns)
    write_file(path, buffer.getvalue())


def save_model(path: str | Path, model: nn.Module) -> None:
    """Write the weights of any model into one safetensors file, whole or not at all.

    >>> save_model("mine.safetensors", model)
    >>> model = load_model("mine.safetensors", MyModel(width=32))

    Raises:
        TypeError: if there is no model, as with the two arguments exchanged.
        CheckpointError: if it cannot be written; an earlier file of that name is untouched.
    """
    _check_model("save_model", model)
    save_tensors(path, model.state_dict(), {"model": type(model).__name__})


def load_model(path: str | Path, model: Model) -> Model:
    """Read weights into a model that was built as the saved one was, and return it.

    Args:
        path: a file of :func:`save_model`; the checkpoint of a run, of which the averaged weights
            are taken if there are any; or any other safetensors file with the weights' names.
        model: changed in place, all of it or nothing.

    Raises:
        TypeError: if there is no model, as with a class in place of one.
        CheckpointError: if the file is missing or damaged, or its weights do not fit the model.
    """
    _check_model("load_model", model)
    tensors, metadata = _read(Path(path))
    if "sha256" in metadata:
        _verify(Path(path), tensors, metadata)
    for prefix in ("average.", "model."):  # of the checkpoint of a run
        if "settings" in _notes(metadata) and any(name.startswith(prefix) for name in tensors):
            tensors = {k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)}
            break
    own = model.state_dict()
    differences = [
        _difference("lacks", [name for name in own if name not in tensors]),
        _difference("has besides", [name for name in tensors if name not in own]),
        *(
            f"{name} has shape {tuple(tensors[name].shape)}, expected {tuple(own[name].shape)}"
            for name in own
            if name in tensors and tensors[name].shape != own[name].shape
        ),
    ]
    found = [difference for difference in differences if difference]
    if found:
        more = f" and {len(found) - 2} more" if len(found) > 2 else ""
        raise CheckpointError(
            f"{path} does not fit this {type(model).__name__}: {', '.join(found[:2])}{more}; "
            "build the model with the arguments with which the saved one was built"
        )
    model.load_state_dict(tensors)
    return model


def load_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file written by :func:`save_tensors`; nothing in it is ever unpickled.

    Returns:
        The tensors by name, on the CPU, and the notes.

    Raises:
        CheckpointError: if the file is missing, truncated, or its content does not have the
            checksum that was stored with it.
    """
    path = Path(path)
    tensors, metadata = _read(path)
    _verify(path, tensors, metadata)
    return tensors, _notes(metadata)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of any safetensors file."""
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}; check the path, or train first")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            # Copies: views of a file that is mapped would change, or crash, with the file.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(
            f"{path} is damaged or no safetensors file ({error}); "
            "delete it and train again, or take an earlier copy"
        ) from error


def _verify(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    if "sha256" not in metadata:
        raise CheckpointError(
            f"{path} is damaged or was not written by companion: it has no checksum; "
            "choose another file or folder, or delete it and train again"
        )
    if metadata["sha256"] != _checksum(tensors, metadata.get("notes", "")):
        raise CheckpointError(
            f"{path} does not have the content that was saved: its checksum differs; "
            "delete it and train again, or take an earlier copy"
        )


def _notes(metadata: Mapping[str, str]) -> dict[str, Any]:
    return json.loads(metadata["notes"]) if "sha256" in metadata else {}


def _difference(verb: str, names: Sequence[str]) -> str:
    """ "it lacks a.weight and 3 more", or nothing."""
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"it {verb} {names[0]}{more}" if names else ""


def _checksum(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_model(function: str, model: object) -> None:
    if not isinstance(model, nn.Module):
        given = f"the class {model.__name__}" if isinstance(model, type) else type(model).__name__
        raise TypeError(
            f"{function} takes the file's name and then a model, got {given}; "
            f"use {function}('mine.safetensors', model)"
        )
