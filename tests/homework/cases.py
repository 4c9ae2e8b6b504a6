"""Submissions that several tests grade: one answer right, one wrong, one that cheats, one missing."""

import json
from pathlib import Path

from companion.homework.build import build
from companion.homework.build.source import read

WRONG = """
def draw(mu, logvar, noise):
    return mu + TEMPERATURE * noise
"""
CHEATING = """
from companion.models.vae import gaussian_kl as mine
def rate(mu, logvar):
    return mine(mu - PRIOR_MEAN, logvar)
"""


def solutions(homework: str, variant: int = 0) -> list[str]:
    """The cells of code of a homework, with the solutions."""
    return [cell.solution for cell in read(homework, variant) if cell.kind == "code"]


def fill(notebook: Path, answers: dict[str, str], target: Path) -> None:
    """Write a notebook in which the cells of some questions hold these answers."""
    content = json.loads(notebook.read_text("utf-8"))
    for cell in content["cells"]:
        if cell["id"] in answers:
            cell["source"] = answers[cell["id"]]
        elif cell["cell_type"] == "code" and "history.plot()" in "".join(cell["source"]):
            cell["source"] = ""  # a training that no grader needs
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(content), "utf-8")


def mixed_submission(folder: Path) -> Path:
    """Homework 4 with free_bits right, draw wrong, rate cheating and negative_elbo missing."""
    build("hw4", folder / "built")
    right = {cell.question: cell.solution for cell in read("hw4")}["free_bits"]
    answers = {"free-bits": right, "draw": WRONG, "rate": CHEATING}
    target = folder / "hw4.ipynb"
    fill(folder / "built/student/hw4.ipynb", answers, target)
    return target
