"""A homework runs from its first cell to its last, the given cells that train included."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from companion.homework import assignments
from companion.homework.build.source import read

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("homework", list(assignments.listed()))
def test_all_cells_run_with_the_solutions(homework: str, tmp_path: Path) -> None:
    cells = [cell.solution for cell in read(homework) if cell.kind == "code"]
    script = tmp_path / "homework.py"
    script.write_text("\n\n".join(cells), encoding="utf-8")
    environment = os.environ | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
