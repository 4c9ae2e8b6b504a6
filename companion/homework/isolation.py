"""A submission is executed in a child process, with limits and without the answers.

The child has a copy of the package in which the assignments' questions are missing and the
functions that are asked for refuse. It is limited in time and memory, starts in an empty folder,
and gets neither network nor processes nor files. Linux closes network and answers by namespaces,
where a user may make them; elsewhere, and besides, an audit hook refuses. The hook is Python's, and
a program that goes on below Python can get past it. Limits of memory exist on Linux, those of
computing time on Linux and macOS; on Windows the clock alone ends an answer.
"""

import ast
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from companion.files import CheckpointError, load_tensors, save_tensors
from companion.homework.guard import find
from companion.homework.question import Inputs, Question, Result
from companion.homework.running import Failure

HERE = Path(__file__).parent
PACKAGE = HERE.parent
START = 300.0  # seconds on the clock for a child to import torch and the definitions
GIVEN = ("__init__.py", "calls.py")  # of the assignments; all else are questions and answers


@dataclass(frozen=True)
class Limits:
    """What a graded answer may use.

    Attributes:
        seconds: of computing, for each question.
        wall: seconds on the clock, for each question.
        memory: bytes beyond those of torch itself.
    """

    seconds: int = 20
    wall: float = 120.0
    memory: int = 2 * 2**30


LIMITS = Limits()


@dataclass(frozen=True)
class Executed:
    """What came of a submission: the outputs of each question, what failed, and how it was held."""

    outputs: dict[str, list[Result | Failure]]
    failed: list[str]
    isolation: str


def execute(
    cells: Sequence[str],
    questions: Mapping[str, Question],
    inputs: Mapping[str, Sequence[Inputs]],
    banned: Sequence[str],
    limits: Limits = LIMITS,
) -> Executed:
    """Run the answers of a submission on inputs, in child processes.

    One child runs them all, one after another. If it dies in one of them, that answer has failed,
    and a new child runs the answers that are left.
    """
    outputs: dict[str, list[Result | Failure]] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="homework-") as folder:
        package = Path(folder, "package")
        copy_package(package, banned)
        while left := [name for name in questions if name not in outputs]:
            box = Path(tempfile.mkdtemp(dir=folder))
            _pack(box, cells, {name: questions[name] for name in left}, inputs, banned, limits)
            ended = _run_child(box, package, left, limits)
            with contextlib.suppress(OSError, ValueError):
                failed = json.loads((box / "results/failed.json").read_text("utf-8"))
            done = {name: _unpack(box / f"results/{name}.safetensors") for name in left}
            outputs |= {name: output for name, output in done.items() if output is not None}
            if lost := [name for name in left if name not in outputs]:
                # The answer that was running has failed, or the definitions, if none was.
                died = [name for name in lost if _started(box, name)]
                outputs |= {name: [Failure(ended)] for name in died or lost}
            isolation = _read(box / "isolation") or "the process did not start"
    return Executed(outputs, [str(x) for x in failed], isolation)


def copy_package(target: Path, banned: Sequence[str]) -> None:
    """Copy the package's code, without questions and solutions; banned functions refuse there."""
    for source in PACKAGE.rglob("*.py"):
        path = source.relative_to(PACKAGE.parent)
        if not ("assignments" in path.parts and path.name not in GIVEN):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target / path)
    for dotted in banned:
        thing = find(dotted)[2]
        if thing.__module__.startswith("companion."):
            file = target / Path(sys.modules[thing.__module__].__file__ or "").relative_to(
                PACKAGE.parent
            )
            file.write_text(_emptied(file.read_text("utf-8"), thing, dotted), "utf-8")


def _emptied(code: str, thing: Any, dotted: str) -> str:
    """The code of a module in which a function, or a class's constructor, refuses."""
    path = thing.__qualname__.split(".") + ["__init__"] * isinstance(thing, type)
    tree = ast.parse(code)
    node: Any = tree
    for name in path:
        node = next(x for x in node.body if getattr(x, "name", None) == name)
    node.body = ast.parse(f"from companion.homework.guard import refuse\nrefuse({dotted!r})").body
    return ast.unparse(ast.fix_missing_locations(tree))


def _pack(
    box: Path,
    cells: Sequence[str],
    questions: Mapping[str, Question],
    inputs: Mapping[str, Sequence[Inputs]],
    banned: Sequence[str],
    limits: Limits,
) -> None:
    tensors: dict[str, Tensor] = {}
    plans: dict[str, list[list[dict[str, Any]]]] = {}
    for name in questions:
        plans[name] = []
        for i, drawn in enumerate(inputs[name]):
            plan: list[dict[str, Any]] = []
            for j, x in enumerate(drawn):
                key = f"{name}/{i}/{j}"
                if isinstance(x, Tensor):
                    tensors[key] = x
                plan.append({"tensor": key} if isinstance(x, Tensor) else {"number": x})
            plans[name].append(plan)
    save_tensors(box / "inputs.safetensors", tensors, plans)
    job = {
        "cells": list(cells),
        "questions": [
            {"name": q.name, "call": q.call and f"{q.call.__module__}:{q.call.__qualname__}"}
            for q in questions.values()
        ],
        "banned": list(banned),
        "hidden": str(PACKAGE),
        "memory": limits.memory,
        "seconds": limits.seconds,
    }
    (box / "job.json").write_text(json.dumps(job), "utf-8")
    (box / "results").mkdir()
    (box / "work").mkdir()


def _run_child(box: Path, package: Path, names: Sequence[str], limits: Limits) -> str:
    """Start the child and wait; how it ended, as what is wrong with the answer that it ran."""
    command = [sys.executable, "-B", "-m", "companion.homework.child", str(box)]
    if os.name == "posix":
        launch = [sys.executable, "-I", "-S", str(HERE / "launch.py"), str(box), str(PACKAGE)]
        command = launch + command
    else:
        (box / "isolation").write_text("refusals only: this system has no namespaces", "utf-8")
    environment = {
        key: value
        for key, value in os.environ.items()
        if key in ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    } | {
        "PYTHONPATH": str(package),
        "HOME": str(box / "work"),
        "TMPDIR": str(box / "work"),
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "MPLBACKEND": "agg",
        "MPLCONFIGDIR": str(box / "work"),
    }
    with open(box / "said", "wb") as said:
        process = subprocess.Popen(
            command,
            cwd=box / "work",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            start_new_session=True,
        )
        running, since, allowed = "", time.monotonic(), START
        try:
            while process.poll() is None:
                now = next((n for n in reversed(names) if _started(box, n)), "")
                if now != running:
                    running, since, allowed = now, time.monotonic(), limits.wall
                if time.monotonic() - since > allowed:
                    return (
                        f"did not come to its end within {allowed:g} s; look for a loop that does "
                        "not end, or for something that waits"
                    )
                time.sleep(0.02)
        finally:
            _end(process)
    code = process.returncode
    if os.name == "posix" and code == -signal.SIGXCPU:
        return (
            f"computes for more than {limits.seconds} s; look for a loop that does not end, or for "
            "one over single elements"
        )
    last = _read(box / "said").strip().splitlines()[-1:]
    return f"ended the process that ran it (code {code}{': ' if last else ''}{''.join(last)[:200]})"


def _started(box: Path, name: str) -> bool:
    return (box / f"results/{name}.started").exists()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the child and whatever it has started."""
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _unpack(path: Path) -> list[Result | Failure] | None:
    """The outputs in a file of the child, which is not to be trusted; None if there is none."""
    if not path.exists():
        return None
    try:
        tensors, notes = load_tensors(path)
        outputs: list[Result | Failure] = []
        for i, note in enumerate(notes["outputs"]):
            if "failure" in note:
                outputs.append(Failure(str(note["failure"])))
                continue
            parts = tuple(tensors[f"{i}.{j}"] for j in range(note["tensors"]))
            outputs.append(parts if note["tuple"] else parts[0])
        return outputs
    except (CheckpointError, KeyError, TypeError, IndexError, ValueError):
        return [Failure("wrote over the results of the grader; a person should look at this")]


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8", errors="replace")
    except OSError:
        return ""
