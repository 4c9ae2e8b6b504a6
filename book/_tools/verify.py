"""Run notebooks again and compare with what is stored: `python -m book._tools.verify [...]`.

This is strict nbval in a process of its own. Only the numbers that `expect` prints after its
sign for "approximately" are left out (`sanitize.cfg`), and the claims behind them are not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from book._tools import ROOT, name_of, notebooks

SANITIZE = Path(__file__).with_name("sanitize.cfg")


@dataclass(frozen=True)
class Verdict:
    passed: bool
    report: str  # what pytest printed
    seconds: float  # on the clock
    cpu_seconds: float  # of the processor, kernels included; a busy machine does not change it


def verify(*paths: Path, threads: int = 1) -> Verdict:
    """Strict nbval on the notebooks, each in a fresh kernel with so many threads."""
    # A notebook must not see how the tests around it were started.
    hidden = ("MPLBACKEND", "PYTEST_", "COV_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    environment |= {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    command = [
        *(sys.executable, "-m", "pytest", "--nbval", "--nbval-current-env"),
        *("--nbval-sanitize-with", str(SANITIZE), "--nbval-cell-timeout", "3600"),
        *("-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts=", "--color=no", "-q"),
        *map(str, paths),
    ]
    start, before = time.perf_counter(), os.times()
    run = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    after = os.times()
    used = after.children_user + after.children_system
    used -= before.children_user + before.children_system
    return Verdict(run.returncode == 0, run.stdout, time.perf_counter() - start, used)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m book._tools.verify", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("notebook", nargs="*", type=Path, help="default: all of _toc.yml")
    parser.add_argument("--threads", type=int, default=1, help="OMP_NUM_THREADS of the kernels")
    options = parser.parse_args(arguments)
    failed = 0
    for path in options.notebook or notebooks():
        verdict = verify(path.resolve(), threads=options.threads)
        failed += not verdict.passed
        if not verdict.passed:
            print(verdict.report)
        word = "verified" if verdict.passed else "differs from what is stored"
        print(f"{name_of(path)}: {word}, {verdict.seconds:.1f} s ({verdict.cpu_seconds:.1f} s CPU)")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
