"""The house: who may import whom, no circle, and no file of more than 300 lines."""

import ast
import itertools
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("companion", "book/_tools", "book/_ext", "benchmarks")
LAYERS = (  # each part imports what stands in the rows above it, and beside it
    "files machine progress noise checks notebook plots metrics",
    "data likelihoods layers game",
    "models training",
    "zoo",
    "evaluation",
    "experiments homework",
    "cli companion __main__",  # the front door, which brings the parts on demand; python -m
)
LAYER = {part: number for number, parts in enumerate(LAYERS) for part in parts.split()}
APART = {"models", "training"}  # side by side, and strangers to each other
FILES = {
    path.relative_to(ROOT)
    .with_suffix("")
    .as_posix()
    .replace("/", ".")
    .removesuffix(".__init__"): path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imports(name: str) -> list[tuple[int, str]]:
    """The lines of a file that import one of ours, wherever they stand, and which."""
    found = set()
    for node in ast.walk(ast.parse(FILES[name].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{FILES[name]}:{node.lineno}: a relative import; write it out"
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            targets = [target if target in FILES else str(node.module) for target in whole]
        else:
            continue
        found |= {(node.lineno, target) for target in targets if target in FILES}
    return sorted(found)


def part(name: str) -> str:
    """Of a dotted name, what the table calls it: ``models`` of ``companion.models.vae``."""
    return name.removeprefix("companion.").split(".")[0]


def is_notebook(name: str) -> bool:
    """The source of a homework is a notebook that nobody imports; it begins as students begin."""
    return name.startswith("companion.homework.assignments.") and name.endswith(".source")


PACKAGE = [name for name in FILES if name.split(".")[0] == "companion" and not is_notebook(name)]


def test_every_part_has_its_place() -> None:
    assert {part(name) for name in PACKAGE} <= set(LAYER), "a new part needs a place in LAYERS"


def test_nobody_imports_what_stands_above() -> None:
    wrong = []
    for name in PACKAGE:
        for line, target in imports(name):
            ours, theirs = part(name), part(target)
            if LAYER.get(theirs, len(LAYERS)) > LAYER[ours] or {ours, theirs} == APART:
                wrong.append(f"{FILES[name].relative_to(ROOT)}:{line}: {ours} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_no_circle() -> None:
    graph = {name: {target for _, target in imports(name)} for name in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        circle = error.args[1][::-1]  # each imports the next
        lines = [
            f"{FILES[name].relative_to(ROOT)}:{line}: imports {target}"
            for name, following in itertools.pairwise(circle)
            for line, target in imports(name)
            if target == following
        ]
        raise AssertionError("\n".join(lines)) from None


def test_a_file_is_read_in_one_sitting() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in FILES.values()}
    long = [f"{path.relative_to(ROOT)}:301: {n} lines" for path, n in lengths.items() if n > 300]
    assert not long, "more than 300 lines; split by what it does:\n" + "\n".join(long)


def test_a_model_loads_neither_the_loop_nor_what_distributes_it() -> None:
    code = "import sys, torch; before = set(sys.modules); import companion.models.vae\n"
    code += "print(*set(sys.modules) - before)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert "companion.models.vae" in loaded
    assert not {"companion.training.loop", "torch.nn.parallel.distributed"} & loaded
