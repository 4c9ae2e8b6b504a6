"""Run each notebook once before a class and report: `python -m book._tools.preflight [...]`.

Nothing of the book is written. Each notebook runs in a fresh kernel, and what it prints is compared
with what is stored, as the tests do.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

from book._tools import name_of, notebooks
from book._tools.execute import TIMES
from book._tools.verify import Verdict, verify


def reason(verdict: Verdict) -> str:
    """Of pytest's report, the cell that failed and the last line of its error."""
    cells = re.findall(r"^FAILED (?:\S*::)?(.*)$", verdict.report, re.M)
    errors = re.findall(r"^E? *(\w+(?:Error|Exception|Interrupt)\b.*)$", verdict.report, re.M)
    first = cells[0] if cells else "pytest could not run it"
    return f"{first}; {errors[0]}" if errors else first


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m book._tools.preflight", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("notebook", nargs="*", type=Path, help="default: all of _toc.yml")
    paths: list[Path] = parser.parse_args(arguments).notebook or notebooks()
    if missing := [str(path) for path in paths if path.suffix != ".ipynb" or not path.is_file()]:
        parser.error(f"no such notebook: {', '.join(missing)}")
    book = json.loads(TIMES.read_text("utf-8"))["notebooks"]
    failed: list[str] = []
    total = stored = 0.0
    for number, path in enumerate(paths, start=1):
        name = name_of(path)
        seconds = book.get(name, {}).get("seconds")
        hint = f" (the book: {seconds:.0f} s)" if seconds else ""
        print(f"[{number}/{len(paths)}] {name}{hint} ... ", end="", flush=True)
        verdict = verify(path.resolve())
        print(f"{'runs' if verdict.passed else 'FAILS'}, {verdict.seconds:.0f} s", flush=True)
        if not verdict.passed:
            failed.append(f"{name}: {reason(verdict)}")
        elif seconds:
            total, stored = total + verdict.seconds, stored + seconds
    print()
    if stored:
        print(f"This machine takes {total / stored:.1f} times the book's times.")
    for line in failed:
        print(line)
    if failed:
        print(
            f"{len(failed)} of {len(paths)} notebooks fail; run 'companion doctor', and for all "
            "of an error 'python -m book._tools.verify NOTEBOOK'."
        )
        return 1
    print(f"All {len(paths)} notebooks run.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
