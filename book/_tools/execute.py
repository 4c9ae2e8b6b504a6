"""Run notebooks top to bottom in a clean kernel and store what they print.

    python -m book._tools.execute                          every notebook of _toc.yml
    python -m book._tools.execute book/gan/dcgan.ipynb     one of them

A notebook is written whole or, if a cell fails or warns, not at all. What would differ from run
to run or from machine to machine is not stored: times, versions, the editor's metadata; the ids
of cells follow from their text. The seconds that each notebook took go to
`book/reference/times.json`, from which the site makes its table; with those of all notebooks goes
the calibration by which `companion doctor` compares machines.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

from book._tools import ROOT, gate, name_of, notebooks
from book._tools.cells import ANSI
from companion.cli.calibration import REFERENCE, calibrate
from companion.files import write_file
from companion.machine import processor

TIMES = ROOT / "book" / "reference" / "times.json"
NUMBERS = {1: "one", 2: "two", 4: "four", 6: "six", 8: "eight", 12: "twelve"}


class NotebookError(Exception):
    """A notebook could not be executed; its file is as it was."""


def execute(path: Path, *, timeout: float = 600.0) -> float:
    """Run the notebook at `path`, store its outputs in place, and return the seconds it took.

    Args:
        path: an `.ipynb` file.
        timeout: seconds that one cell may take.

    Raises:
        NotebookError: a cell failed, took too long or wrote what cannot be stored. The message
            names the cell; the file is untouched.
    """
    notebook = nbformat.read(path, as_version=4)
    clean(notebook)
    codes = sum(cell.cell_type == "code" for cell in notebook.cells)
    with tqdm(total=codes, desc=name_of(path), unit="cell", file=sys.stderr) as bar:
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": str(path.parent)}},
            on_cell_executed=lambda **_: bar.update(),
        )
        start = time.perf_counter()
        try:
            client.execute()
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise NotebookError(_failure(path, notebook, error)) from error
        seconds = time.perf_counter() - start
    tidy(notebook)
    if faults := [*gate.execution(notebook), *gate.outputs(notebook)]:
        raise NotebookError(f"{path}: " + "; ".join(faults) + "; nothing was written")
    write_file(path, (nbformat.writes(notebook, version=nbformat.NO_CONVERT) + "\n").encode())
    return seconds


def clean(notebook: NotebookNode) -> None:
    """Remove what an earlier run, or an editor, left in the notebook."""
    notebook.metadata = NotebookNode(kernelspec=gate.KERNELSPEC, language_info=gate.LANGUAGE)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    # An empty code cell would never get an execution count.
    notebook.cells = [cell for cell in notebook.cells if cell.source.strip()]
    used: set[str] = set()
    for cell in notebook.cells:
        cell.source = cell.source.strip("\n")
        cell.metadata = NotebookNode(
            {key: cell.metadata[key] for key in ("tags", "mystnb") if cell.metadata.get(key)}
        )
        if folded := gate.folded(cell):
            cell.metadata["jupyter"] = NotebookNode(folded)
        cell.pop("attachments", None)
        cell.id = _id(cell, used)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None


def tidy(notebook: NotebookNode) -> None:
    """Store outputs in the form that every run gives."""
    notebook.metadata = NotebookNode(kernelspec=gate.KERNELSPEC, language_info=gate.LANGUAGE)
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        # A progress bar empties its display when it closes.
        cell.outputs = [o for o in cell.outputs if o.output_type != "display_data" or o.data]
        for output in cell.outputs:
            if "metadata" in output:
                output.metadata = NotebookNode(
                    {key: output.metadata[key] for key in output.metadata if key == "image/png"}
                )
            if "image/png" in output.get("data", {}):
                output.data["image/png"] = output.data["image/png"].replace("\n", "")
            if output.output_type == "error":  # one that the cell is tagged to raise
                output.traceback = [ANSI.sub("", line) for line in output.traceback]


def machine() -> str:
    """The kind of machine, without its name: "two-core x86-64 CPU, AMD EPYC"."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    kind = platform.machine().replace("x86_64", "x86-64").replace("AMD64", "x86-64")
    text = f"{NUMBERS.get(cores or 1, cores)}-core {kind} CPU"
    if model := processor():
        text += f", {model}"
    if threads := os.environ.get("OMP_NUM_THREADS"):
        text += ", one thread" if threads == "1" else f", {threads} threads"
    return text


def record(times: dict[str, float], path: Path = TIMES) -> None:
    """Put measured seconds into the table; those of another machine keep that machine's name."""
    table: dict[str, Any] = {"machine": machine(), "notebooks": {}}
    if path.exists():
        old = json.loads(path.read_text(encoding="utf-8"))
        for name, row in old["notebooks"].items():
            row = {"seconds": row["seconds"], "machine": row.get("machine", old["machine"])}
            if row["machine"] == table["machine"]:
                del row["machine"]
            table["notebooks"][name] = row
    for name, seconds in times.items():
        table["notebooks"][name] = {"seconds": round(seconds, 1)}
    table["notebooks"] = dict(sorted(table["notebooks"].items()))
    write_file(path, (json.dumps(table, indent=1, ensure_ascii=False) + "\n").encode())


def _id(cell: NotebookNode, used: set[str]) -> str:
    """An id that follows from the cell's text, so that the same notebook has the same ids."""
    digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:8]
    name, copy = digest, 1
    while name in used:
        copy += 1
        name = f"{digest}-{copy}"
    used.add(name)
    return name


def _failure(path: Path, notebook: NotebookNode, error: Exception) -> str:
    """Which cell stopped the run, why, and its text."""
    done = [i for i, c in enumerate(notebook.cells) if c.get("execution_count") or c.get("outputs")]
    at = done[-1] if done else 0
    if isinstance(error, CellExecutionError):
        why = f"{error.ename}: {error.evalue}"
        trace = ANSI.sub("", error.traceback)
    else:
        why, trace = f"{type(error).__name__}: {error}", ""
        waiting = [i for i, c in enumerate(notebook.cells) if i > at and c.cell_type == "code"]
        at = waiting[0] if waiting else at
    return (
        f"{path}: cell {at} failed with {why}\n"
        f"--- the cell\n{notebook.cells[at].source}\n{trace}\nnothing was written"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m book._tools.execute", description=__doc__.split("\n")[0]
    )
    parser.add_argument("notebook", nargs="*", type=Path, help="default: all of _toc.yml")
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds a cell may take")
    options = parser.parse_args(arguments)
    paths: list[Path] = options.notebook or notebooks()
    if missing := [str(path) for path in paths if path.suffix != ".ipynb" or not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")
    failed = 0
    for path in paths:
        try:
            seconds = execute(path, timeout=options.timeout)
        except NotebookError as error:
            failed += 1
            print(f"\n{error}\n", file=sys.stderr)
            continue
        if path.resolve().is_relative_to(ROOT / "book"):
            record({name_of(path): seconds})
        print(f"{name_of(path)}: {seconds:.1f} s, stored", file=sys.stderr)
    if not options.notebook and not failed:
        facts = {"machine": machine(), "seconds": round(calibrate(), 3)}
        write_file(REFERENCE, (json.dumps(facts) + "\n").encode())
    if failed:
        print(f"{failed} of {len(paths)} notebooks failed and are as they were", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
