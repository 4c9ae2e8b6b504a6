"""Training throughput against other ways of doing the same work: python -m benchmarks.throughput

Two ways are timed in turn, round after round, on one thread, and the best round of each is
compared: other programs, which share caches and cores, can only make a round longer. On a CPU it is
the processor time that counts, so that waiting for other programs does not. Prints a table and
writes ``benchmarks/results.json``. Takes a quarter of an hour.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks import ways
from benchmarks.comparisons import Comparison, cpu_comparisons, gpu_comparisons
from benchmarks.ways import Run
from companion.data import LabeledImages, fashion_mnist
from companion.files import write_file
from companion.machine import processor

RESULTS = Path(__file__).with_name("results.json")
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


def measure(comparison: Comparison, rounds: int, gpu: bool = False) -> dict[str, Any]:
    """The best of the rounds; each round times both ways, in an order that changes."""
    comparison.ours()  # warm up: memory, kernels, compilation
    comparison.other()
    times: list[tuple[float, float]] = []
    for i in range(rounds):
        if i % 2:
            other, ours = seconds(comparison.other, gpu), seconds(comparison.ours, gpu)
        else:
            ours, other = seconds(comparison.ours, gpu), seconds(comparison.other, gpu)
        times.append((ours, other))
    ours, other = (min(way) for way in zip(*times, strict=True))
    ratio = other / ours
    return {
        "comparison": comparison.name,
        "images_per_second": round(comparison.images / ours),
        "other_images_per_second": round(comparison.images / other),
        "ratio": round(ratio, 3),
        "bar": comparison.bar,
        "holds": None if comparison.bar is None else ratio >= comparison.bar,
    }


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


def main(rounds: int = 7, steps: int = 20, results: Path = RESULTS) -> list[dict[str, Any]]:
    """Measure, print and store; ``steps`` batches a round on the CPU, twenty times so on a GPU."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    data = fashion_mnist()
    imports = import_seconds(rounds)
    verdict = "holds" if imports["holds"] else "FAILS"
    print(f"import companion: {imports['seconds']} s, at most {IMPORT_BAR} s: {verdict}")
    print(f"{'images/s':>50} {'other':>10} {'ratio':>7} {'bar':>6}")
    rows = []

    def first(count: int) -> LabeledImages:
        return LabeledImages(*(part[:count] for part in data))

    def report(comparisons: list[Comparison], gpu: bool) -> None:
        for comparison in comparisons:
            row = measure(comparison, rounds, gpu)
            rows.append(row)
            verdict = {None: "", True: "holds", False: "FAILS"}[row["holds"]]
            print(
                f"{row['comparison']:<40} {row['images_per_second']:>9,} "
                f"{row['other_images_per_second']:>10,} {row['ratio']:>7.2f} "
                f"{row['bar'] or '':>6} {verdict}",
                flush=True,
            )

    report(cpu_comparisons(first(steps * ways.BATCH_SIZE)), gpu=False)
    if torch.cuda.is_available():
        batches = min(20 * steps, len(data.images) // ways.BATCH_SIZE)
        report(gpu_comparisons(first(batches * ways.BATCH_SIZE)), gpu=True)
    else:
        print("no GPU: compile + bf16 not measured")
    document = {"machine": machine(), "rounds": rounds, "import": imports, "rows": rows}
    write_file(results, (json.dumps(document, indent=2) + "\n").encode())
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="how often each pair is timed")
    parser.add_argument("--steps", type=int, default=20, help="batches of 128 images a round")
    arguments = parser.parse_args()
    main(arguments.rounds, arguments.steps)
