"""Training throughput against other ways of doing the same work: python -m benchmarks.throughput

Two ways are timed in turn, round after round, on one thread. What counts is the median of the
rounds' ratios: the two of a round stand side by side in time, so that what slows the machine down
for longer cancels. Rounds are added until the median is known to a standard error of 0.01, or the
most rounds are done. On a CPU it is the processor time that counts, so that waiting for other
programs does not. Prints a table and writes ``benchmarks/results.json``. Takes half an hour.
"""

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from statistics import NormalDist
from typing import Any

import torch

from benchmarks import ways
from benchmarks.comparisons import Comparison, cpu_comparisons, gpu_comparisons
from benchmarks.ways import Run
from companion.data import LabeledImages, fashion_mnist
from companion.files import write_file
from companion.machine import processor

RESULTS = Path(__file__).with_name("results.json")
ERROR = 0.01  # the standard error to which a ratio is measured
IMPORT_BAR = 0.3  # seconds that `import companion` may take on top of `import torch`


def seconds(run: Run, gpu: bool) -> float:
    """Processor time on a CPU; time on the clock, until the last kernel is done, on a GPU."""
    if not gpu:
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def measure(comparison: Comparison, rounds: int, most: int, gpu: bool = False) -> dict[str, Any]:
    """The median ratio; each round times both ways, in an order that changes."""
    comparison.ours()  # warm up: memory, kernels, compilation
    comparison.other()
    times: list[tuple[float, float]] = []
    ratio, error = 0.0, math.inf
    while len(times) < rounds or (error > ERROR and len(times) < most):
        if len(times) % 2:
            other, ours = seconds(comparison.other, gpu), seconds(comparison.ours, gpu)
        else:
            ours, other = seconds(comparison.ours, gpu), seconds(comparison.other, gpu)
        times.append((ours, other))
        ratio, error = median([other / ours for ours, other in times])
    ours, other = (statistics.median(way) for way in zip(*times, strict=True))
    return {
        "comparison": comparison.name,
        "images_per_second": round(comparison.images / ours),
        "other_images_per_second": round(comparison.images / other),
        "ratio": round(ratio, 3),
        "error": round(error, 3),
        "rounds": len(times),
        "bar": comparison.bar,
        "holds": None if comparison.bar is None else ratio >= comparison.bar,
    }


def median(ratios: list[float]) -> tuple[float, float]:
    """The median and its standard error, as for normal errors whose width the quartiles tell."""
    middle = statistics.median(ratios)
    if len(ratios) < 2:
        return middle, math.inf
    lower, _, upper = statistics.quantiles(ratios, n=4)
    width = (upper - lower) / (2 * NormalDist().inv_cdf(0.75))
    return middle, math.sqrt(math.pi / 2 / len(ratios)) * width


def import_seconds(rounds: int) -> dict[str, Any]:
    """What `import companion`, with all that it brings on demand, adds to `import torch`."""
    code = (
        "import time, torch; start = time.process_time(); import companion; "
        "[getattr(companion, name) for name in companion.__all__]; "
        "print(time.process_time() - start)"
    )
    command = [sys.executable, "-c", code]
    taken = [float(subprocess.check_output(command, text=True)) for _ in range(rounds)]
    middle = statistics.median(taken)
    return {"seconds": round(middle, 3), "bar": IMPORT_BAR, "holds": middle <= IMPORT_BAR}


def machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
    }


def main(
    rounds: int = 7, most: int = 40, steps: int = 20, results: Path = RESULTS
) -> list[dict[str, Any]]:
    """Measure, print and store; ``steps`` batches a round on the CPU, twenty times so on a GPU."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = fashion_mnist()
    imports = import_seconds(rounds)
    verdict = "holds" if imports["holds"] else "FAILS"
    print(f"import companion: {imports['seconds']} s, at most {IMPORT_BAR} s: {verdict}")
    print(f"{'images/s':>50} {'other':>10} {'ratio':>7} {'error':>7} {'bar':>6}")
    rows = []

    def first(count: int) -> LabeledImages:
        return LabeledImages(*(part[:count] for part in data))

    def report(comparisons: list[Comparison], gpu: bool) -> None:
        for comparison in comparisons:
            row = measure(comparison, rounds, most, gpu)
            rows.append(row)
            verdict = {None: "", True: "holds", False: "FAILS"}[row["holds"]]
            print(
                f"{row['comparison']:<40} {row['images_per_second']:>9,} "
                f"{row['other_images_per_second']:>10,} {row['ratio']:>7.3f} "
                f"{row['error']:>7.3f} "
                f"{row['bar'] or '':>6} {verdict}",
                flush=True,
            )

    report(cpu_comparisons(first(steps * ways.BATCH_SIZE)), gpu=False)
    if torch.cuda.is_available():
        batches = min(20 * steps, len(data.images) // ways.BATCH_SIZE)
        report(gpu_comparisons(first(batches * ways.BATCH_SIZE)), gpu=True)
    else:
        print("no GPU: compile + bf16 not measured")
    document = {"machine": machine(), "import": imports, "rows": rows}
    write_file(results, (json.dumps(document, indent=2) + "\n").encode())
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="at least so many of each pair")
    parser.add_argument("--most", type=int, default=40, help="at most so many")
    parser.add_argument("--steps", type=int, default=20, help="batches of 128 images a round")
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.most, arguments.steps)
