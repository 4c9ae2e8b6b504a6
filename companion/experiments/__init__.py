"""Long runs whose results the book shows beside its live ones: `companion experiment NAME`.

An experiment is a module of this folder with a list ``SETTINGS`` and a function
``measure(**setting)`` that trains a model with that setting and returns what it measured on the
official test set, or on the data that its ``DATA`` names. The results lie beside the module as
JSON, with command, machine and time.

    >>> from companion import experiments
    >>> stored = experiments.load("rate_distortion")
    >>> stored.figures("rate")                           # one number for each setting
    >>> experiments.measure("rate_distortion", beta=1.0) # one setting anew, some minutes
"""

import base64
import importlib
import io
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from companion import machine, training
from companion.data import check_images, to_float, to_uint8
from companion.files import write_file
from companion.progress import progress_bar

FOLDER = Path(__file__).parent
NAMES = (
    "codebook_use",
    "dcgan_ingredients",
    "draw_bound",
    "gan_losses",
    "importance_samples",
    "infogan_codes",
    "memory_tasks",
    "rate_distortion",
    "ring_modes",
    "row_cells",
)
DATA = "Fashion-MNIST, all 60,000 training images, measured on the 10,000 test images"


@dataclass
class Result:
    """What an experiment measured.

    Each of `points` is a dict of the ``setting``, the ``figures`` that `measure` returned for it,
    and the ``minutes`` that it took.
    """

    name: str
    command: str
    data: str
    machine: str
    points: list[dict[str, Any]] = field(default_factory=list)

    def settings(self, name: str) -> list[Any]:
        """The values of one part of the settings, in their stored order, without repetitions."""
        return list(dict.fromkeys(point["setting"][name] for point in self.points))

    def figures(self, name: str, **setting: Any) -> list[Any]:
        """One figure of all points that have the given setting, in their stored order."""
        return [
            point["figures"][name]
            for point in self.points
            if setting.items() <= point["setting"].items()
        ]


def load(name: str) -> Result:
    """The stored result of an experiment.

    Raises:
        ValueError: if there is no such experiment, or its file is damaged.
        FileNotFoundError: if it has not been run.
    """
    return _read(result_file(name))


def result_file(name: str, path: str | Path | None = None) -> Path:
    """Where an experiment's results lie: `path`, or beside its module if none is given.

    Raises:
        ValueError: if there is no such experiment.
    """
    _module(name)
    return Path(path) if path else FOLDER / f"{name}.json"


def measure(name: str, **setting: Any) -> dict[str, Any]:
    """Train and measure one setting of an experiment anew; returns its figures.

    Raises:
        ValueError: if there is no such experiment.
        FileNotFoundError: if the full data set is not at hand.
    """
    return _module(name).measure(**setting)


def train(model: nn.Module, *data: Tensor, **options: Any) -> None:
    """:func:`companion.training.train` without a bar; a run that was stopped is no result.

    Raises:
        KeyboardInterrupt: if Ctrl-C stopped the training.
    """
    if training.train(model, *data, progress=False, **options).interrupted:
        raise KeyboardInterrupt


def run(name: str, path: str | Path | None = None, *, progress: bool = True) -> Result:
    """Measure every setting of an experiment that its file does not have yet.

    The file is written anew after each setting, so a run that was stopped goes on where it was.

    Args:
        name: of the experiment.
        path: the file of its results; the one that `load` reads if it is not given.
        progress: show a bar on stderr.

    Raises:
        ValueError: if there is no such experiment, or its file is damaged.
        FileNotFoundError: if the full data set is not at hand.
        CheckpointError: if the file could not be written.
        KeyboardInterrupt: if Ctrl-C stopped it; the setting under way is measured anew next time.
    """
    module, path = _module(name), result_file(name, path)
    result = Result(
        name=name,
        command=f"companion experiment {name}",
        data=getattr(module, "DATA", DATA),
        machine=machine.describe("cuda" if torch.cuda.is_available() else "cpu"),
        points=_read(path).points if path.exists() else [],
    )
    known = [point["setting"] for point in result.points]
    missing = [setting for setting in module.SETTINGS if setting not in known]
    for setting in progress_bar(missing, desc=name, unit="setting", disable=not progress):
        start = time.perf_counter()
        figures = module.measure(**setting)
        minutes = round((time.perf_counter() - start) / 60, 1)
        result.points.append({"setting": setting, "figures": figures, "minutes": minutes})
        result.points.sort(key=lambda point: module.SETTINGS.index(point["setting"]))
        write_file(path, (json.dumps(asdict(result), indent=1) + "\n").encode())
    return result


def encode_sheet(images: Tensor) -> str:
    """Some gray images as one text, to be stored among the figures of an experiment.

    Args:
        images: floats in [0, 1] of shape ``(N, 1, H, H)``; 20 or so, not thousands.

    Returns:
        A PNG of the images one below the other, in base64; :func:`decode_sheet` gives them back.

    Raises:
        TypeError, ValueError: if the images are not floats in [0, 1], not gray, or not square.
    """
    from PIL import Image

    check_images(images)
    _, channels, height, width = images.shape
    if channels != 1 or height != width:
        raise ValueError(
            f"a sheet holds square gray images (N, 1, H, H), got {tuple(images.shape)}; "
            "use images.mean(1, keepdim=True) on color ones, or crop them"
        )
    file = io.BytesIO()
    Image.fromarray(to_uint8(images).cpu().view(-1, width).numpy()).save(
        file, format="PNG", optimize=True
    )
    return base64.b64encode(file.getvalue()).decode()


def decode_sheet(text: str) -> Tensor:
    """The images ``(N, 1, H, H)`` of :func:`encode_sheet`, rounded to the 256 gray levels.

    Raises:
        ValueError: if the text is no such sheet.
    """
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(base64.b64decode(text, validate=True))) as image:
            pixels = torch.from_numpy(np.array(image))
        return to_float(pixels).view(-1, 1, pixels.shape[1], pixels.shape[1])
    except (ValueError, TypeError, IndexError, RuntimeError, UnidentifiedImageError) as error:
        raise ValueError(
            f"this is no stored sheet ({error}); take it from the figures of an experiment, as in "
            'experiments.load("gan_losses").figures("sheet")[0]'
        ) from None


def _module(name: str) -> ModuleType:
    if name not in NAMES:
        raise ValueError(f"unknown experiment {name!r}, expected one of {', '.join(NAMES)}")
    return importlib.import_module(f"companion.experiments.{name}")


def _read(path: Path) -> Result:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing; make it by `companion experiment {path.stem}` (an hour or so), "
            "or restore it"
        )
    try:
        return Result(**json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{path} holds no results ({error}); restore it, or delete it and run "
            f"`companion experiment {path.stem}`"
        ) from None
