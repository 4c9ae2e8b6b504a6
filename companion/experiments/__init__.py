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

import importlib
import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from companion import checks, machine
from companion.experiments._sheets import decode_sheet, encode_sheet
from companion.files import write_file
from companion.progress import progress_bar

__all__ = [
    "Result",
    "decode_sheet",
    "encode_sheet",
    "load",
    "measure",
    "missing",
    "names",
    "result_file",
    "run",
]

MODULES = FOLDER = Path(__file__).parent  # of the experiments, and of their results
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


def names() -> tuple[str, ...]:
    """The names of all experiments."""
    return tuple(sorted(path.stem for path in MODULES.glob("[a-z]*.py")))


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


def missing(name: str, path: str | Path | None = None) -> list[dict[str, Any]]:
    """The settings that `run` would measure: those that the file does not have yet.

    Raises:
        ValueError: if there is no such experiment, or its file is damaged.
    """
    module, path = _module(name), result_file(name, path)
    known = [point["setting"] for point in _read(path).points] if path.exists() else []
    return [setting for setting in module.SETTINGS if setting not in known]


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
    settings = missing(name, path)
    result = Result(
        name=name,
        command=f"companion experiment {name}",
        data=getattr(module, "DATA", DATA),
        machine=machine.describe("cuda" if torch.cuda.is_available() else "cpu"),
        points=_read(path).points if path.exists() else [],
    )
    if settings:
        _write(path, result)  # a place that cannot be written is found out before any work
    for setting in progress_bar(settings, desc=name, unit="setting", disable=not progress):
        start = time.perf_counter()
        figures = module.measure(**setting)
        minutes = round((time.perf_counter() - start) / 60, 1)
        result.points.append({"setting": setting, "figures": figures, "minutes": minutes})
        result.points.sort(key=lambda point: module.SETTINGS.index(point["setting"]))
        _write(path, result)
    return result


def _module(name: str) -> ModuleType:
    if name not in names():
        raise ValueError(
            f"unknown experiment {name!r}, expected one of {', '.join(names())}; "
            f"{checks.suggestion(name, names())}"
        )
    return importlib.import_module(f"companion.experiments.{name}")


def _write(path: Path, result: Result) -> None:
    write_file(path, (json.dumps(asdict(result), indent=1) + "\n").encode())


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
