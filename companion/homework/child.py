"""The child process of the grader: executes a submission's definitions and runs its answers.

It gets inputs and gives outputs, both as safetensors. Neither references nor wrong answers are in
its copy of the package, and the functions that are asked for have no body there.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from companion.files import load_tensors, save_tensors
from companion.homework.guard import RefusedAccessError, find_module, guard
from companion.homework.running import Failure, run
from companion.homework.submission import definitions, left_out

GRACE = 5  # seconds of computing for the definitions
# What an answer has no need of; the names are those of Python's audit events.
REFUSED_EVENTS = (
    "ctypes.",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.posix_spawn",
    "os.spawn",
    "os.startfile",
    "os.system",
    "pty.",
    "socket.",
    "subprocess.",
    "urllib.",
    "winreg.",
)


def main(box: Path) -> None:
    """Do the job that the grader has put into a folder."""
    job = json.loads((box / "job.json").read_text("utf-8"))
    tensors, plans = load_tensors(box / "inputs.safetensors")
    calls = {q["name"]: _imported(q["call"]) for q in job["questions"]}
    missing = left_out(job["cells"])
    os.chdir(box / "work")
    with guard(job["banned"]):
        _refuse_the_rest(box, job["hidden"], {find_module(name) for name in job["banned"]})
        _limit_memory(job["memory"])
        _limit_time(GRACE + job["seconds"])
        answers, failed = definitions(job["cells"])
        (box / "results" / "failed.json").write_text(json.dumps(failed), "utf-8")
        for question in job["questions"]:
            name = question["name"]
            (box / "results" / f"{name}.started").touch()
            _limit_time(job["seconds"])
            outputs = []
            for plan in plans[name]:
                inputs = tuple(tensors[x["tensor"]] if "tensor" in x else x["number"] for x in plan)
                outputs.append(
                    _explained(run(name, answers.get(name), inputs, calls[name]), missing)
                )
            _save(box / "results" / f"{name}.safetensors", outputs)


def _imported(place: str | None) -> Callable[..., Any] | None:
    if place is None:
        return None
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def _explained(output: Any, missing: set[str]) -> Any:
    """A name that the grader did not make is no fault of the student's; say what to do."""
    for name in missing:
        if isinstance(output, Failure) and f"name '{name}' is not defined" in output.says:
            return Failure(
                f"uses {name}, which is assigned by code that the grader does not run (it runs "
                f"imports, functions, classes and constants); assign {name} inside the function"
            )
    return output


def _save(path: Path, outputs: list[Any]) -> None:
    tensors: dict[str, Tensor] = {}
    notes: list[dict[str, Any]] = []
    for i, output in enumerate(outputs):
        if isinstance(output, Failure):
            notes.append({"failure": output.says})
            continue
        parts = output if isinstance(output, tuple) else (output,)
        tensors |= {f"{i}.{j}": part for j, part in enumerate(parts)}
        notes.append({"tensors": len(parts), "tuple": isinstance(output, tuple)})
    save_tensors(path, tensors, {"outputs": notes})


def _limit_memory(more: int) -> None:
    """At most so many bytes more than now: torch alone maps some gigabytes."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + more
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _limit_time(seconds: int) -> None:
    """At most so many seconds of computing from now on; the system then ends the process."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = resource.getrusage(resource.RUSAGE_SELF)
        until = int(used.ru_utime + used.ru_stime) + 1 + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))


def _refuse_the_rest(box: Path, hidden: str, modules: set[str]) -> None:
    """From now on no files but Python's own and those of the box, no network, no processes."""
    own = [str(box), sys.prefix, sys.base_prefix, *filter(None, sys.path), os.devnull, "/proc/self"]
    readable = [os.path.realpath(place) for place in own]
    files = [getattr(sys.modules[name], "__file__", None) for name in modules]
    closed = [os.path.realpath(hidden), *(os.path.realpath(file) for file in files if file)]
    caches = [getattr(sys.modules[name], "__cached__", None) for name in modules]
    closed += [os.path.realpath(file) for file in caches if file]
    writable = os.path.realpath(box)

    def inside(path: str, places: list[str]) -> bool:
        return any(path == place or path.startswith(place + os.sep) for place in places)

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event == "open" and isinstance(details[0], str | bytes | os.PathLike):
            path = os.path.realpath(os.fsdecode(details[0]))
            writes = isinstance(details[2], int) and details[2] & (os.O_WRONLY | os.O_RDWR)
            if inside(path, closed) or not inside(path, [writable] if writes else readable):
                raise RefusedAccessError(
                    f"opens the file {Path(path).name}, and a graded answer gets no files; compute "
                    "with the arguments only"
                )
        elif event.startswith(REFUSED_EVENTS):
            raise RefusedAccessError(
                f"asks the system for something that a graded answer does not get ({event}); "
                "compute with the arguments only"
            )

    sys.addaudithook(hook)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
