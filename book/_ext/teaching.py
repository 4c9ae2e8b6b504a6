"""What the page for instructors collects from the chapters while the site is built.

- ``{learning-goals}`` lists the goals of every chapter, from the box that each has.
- ``{class-times}`` is a table: minutes to read, seconds to run, and which sections train.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from book._ext.book_site import GeneratedMarkdown, table
from book._ext.reading import minutes
from book._tools import ROOT, name_of, notebooks
from book._tools.cells import parse
from companion.cli.calibration import REFERENCE

TIMES = ROOT / "book" / "reference" / "times.json"
TRAINERS = {"train", "fit_features"}  # functions of companion
BOX = re.compile(r":::\{admonition\} Goals\n:name: (goals-[\w-]+)\n(.*?)^:::$", re.S | re.M)
GOAL = re.compile(r"^- \*\*G(\d+)\*\* (.*?)[;.]$", re.M)


def goals(path: Path) -> tuple[str, list[str]] | None:
    """Label and goals of a chapter's box; None if it has none.

    Raises:
        ExtensionError: the goals are not numbered G1, G2, ...
    """
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown" and (box := BOX.search(cell.source)):
            found = GOAL.findall(box[2])
            if [int(number) for number, _ in found] != list(range(1, len(found) + 1)) or not found:
                raise ExtensionError(
                    f"{name_of(path)}: the goals must be '- **G1** ...;' and so on, numbered in "
                    "order; mend the box"
                )
            return box[1], [text for _, text in found]
    return None


def trains(path: Path) -> Iterator[str]:
    """The sections whose cells train a model, by themselves or by a function of the chapter."""
    section = "the opening"
    seen = set()
    trainers = set(TRAINERS)
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "markdown":
            headings = re.findall(r"^## +(.+)$", cell.source, re.M)
            section = headings[-1].strip() if headings else section
        elif cell.cell_type == "code":
            for statement in parse(cell.source).body:
                if not _called(statement) & trainers:
                    continue
                if isinstance(statement, ast.FunctionDef | ast.ClassDef):
                    trainers.add(statement.name)
                elif section not in seen:
                    seen.add(section)
                    yield section


def _called(statement: ast.stmt) -> set[str]:
    """The last names of what a statement calls; `model.train()` trains nothing."""
    calls = [node.func for node in ast.walk(statement) if isinstance(node, ast.Call)]
    names = {getattr(call, "id", "") for call in calls}
    return names | {getattr(call, "attr", "") for call in calls} - {"train"}


class LearningGoals(GeneratedMarkdown):
    """Each chapter with its goals; the numbers are those of its box."""

    def markdown(self) -> str:
        lines = []
        for path in notebooks():
            self.env.note_dependency(str(path))
            if box := goals(path):
                label, texts = box
                lines += [f"{{doc}}`/book/{name_of(path)}` ({{ref}}`goals <{label}>`)", ""]
                lines += [f"- **G{i}** {text}" for i, text in enumerate(texts, start=1)]
                lines += [""]
        return "\n".join(lines)


class ClassTimes(GeneratedMarkdown):
    """The chapters in the book's order, with their times; the six longest are marked."""

    def markdown(self) -> str:
        times = self.read_json(TIMES)
        measured = {name: float(row["seconds"]) for name, row in times["notebooks"].items()}
        longest = sorted(measured, key=lambda name: measured[name])[-6:]
        rows, ahead = [], []
        for path in notebooks():
            self.env.note_dependency(str(path))
            name = name_of(path)
            seconds = measured.get(name)
            shown = "–" if seconds is None else f"{seconds:.0f}"
            shown = f"**{shown}**" if name in longest else shown
            rows.append([f"{{doc}}`/book/{name}`", str(minutes(path)), shown])
            if name in longest and (sections := ", ".join(f"*{s}*" for s in trains(path))):
                ahead.append(f"- {{doc}}`/book/{name}`: {sections}")
        self.env.note_dependency(str(REFERENCE))
        quick = json.loads(REFERENCE.read_text("utf-8"))
        return "\n".join(
            [
                table(["chapter", "minutes to read", "seconds to run"], rows),
                f"Measured on: {times['machine']}. The steps by which `companion doctor` compares "
                f"machines take {quick['seconds']:.2f} s there.",
                "",
                "Of the longest, these sections train; start their cells ahead:",
                "",
                *ahead,
            ]
        )


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("learning-goals", LearningGoals)
    app.add_directive("class-times", ClassTimes)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
