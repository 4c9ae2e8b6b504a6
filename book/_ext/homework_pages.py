"""The homework on the site: its questions, without answers, and the notebook to download.

Each page ``book/homework/hw*.md`` is made from the source of the homework of its name while Sphinx
reads it; the file itself only holds the place. ``{homework-table}`` lists all of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

from book._ext.book_site import GeneratedMarkdown, table
from companion.homework import assignments
from companion.homework.build import page
from companion.homework.build.links import roles
from companion.homework.build.notebook import student
from companion.homework.build.source import read

FOLDER = "book/homework/"
NOTEBOOKS = "notebooks/homework"
FIELDS = ("Practiced", "Read first", "Time", "Points")  # of the first cell, *Practiced:* and so on


def homework_of(name: str) -> str | None:
    """``hw6`` of the page ``book/homework/hw6``; None of all other pages."""
    short = name.removeprefix(FOLDER)
    return short if name.startswith(FOLDER) and short in assignments.listed() else None


def fields(homework: str) -> dict[str, str]:
    """What the first cell of a homework says of it, with links as roles.

    Raises:
        ValueError: a field is missing.
    """
    text = " ".join(read(homework)[0].text.split())
    _, *parts = re.split(rf"\*({'|'.join(FIELDS)}):\* ", text)
    found = dict(zip(parts[::2], parts[1::2], strict=True))
    if missing := [name for name in FIELDS if name not in found]:
        raise ValueError(
            f"the first cell of {homework} has no *{missing[0]}:*, expected all of "
            f"{', '.join(FIELDS)}; add it to its source.py"
        )
    found["Points"] = found["Points"].split()[0].strip(".,")
    return {name: roles(found[name].strip(" ."), "homework") for name in FIELDS}


class HomeworkTable(GeneratedMarkdown):
    """All homeworks: what is practiced, after which chapters, minutes and points."""

    def markdown(self) -> str:
        rows = []
        for homework in assignments.listed():
            self.env.note_dependency(str(assignments.folder(homework) / "source.py"))
            said = fields(homework)
            rows.append(
                [
                    f"{{doc}}`/{FOLDER}{homework}`",
                    said["Practiced"],
                    said["Read first"],
                    said["Time"].removeprefix("about ").removesuffix(" minutes"),
                    said["Points"],
                ]
            )
        return table(["homework", "practiced", "after", "minutes", "points"], rows)


def fill(app: Sphinx, name: str, source: list[str]) -> None:
    """Put the questions in place of the file's text, with the notebook's link below the title."""
    if (homework := homework_of(name)) is None:
        return
    app.env.note_dependency(str(assignments.folder(homework) / "source.py"))
    text = page(homework)
    if app.builder is not None and app.builder.name == "html":
        title, _, rest = text.partition("\n")
        button = (
            f'<a class="sd-btn sd-btn-primary" href="../../{NOTEBOOKS}/{homework}.ipynb" download>'
            "Download the notebook</a>"
        )
        text = f"{title}\n\n{button}\n{rest}"
    source[0] = text


def write_notebooks(app: Sphinx, error: Exception | None) -> None:
    """The students' notebooks of the book's variant, beside the pages."""
    if error or app.builder.name != "html":
        return
    for homework in assignments.listed():
        path = Path(app.outdir, NOTEBOOKS, f"{homework}.ipynb")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(student(homework, 0, read(homework)), encoding="utf-8")


def lead_to_it(
    app: Sphinx, name: str, template: str, context: dict[str, Any], document: Any
) -> None:
    """The download button gives the notebook, too, and not the file that holds the place."""
    if app.builder.name != "html" or (homework := homework_of(name)) is None:
        return
    context["sourcename"] = ""
    link = {
        "type": "link",
        "icon": "fas fa-file",
        "text": ".ipynb",
        "url": context["pathto"](f"{NOTEBOOKS}/{homework}.ipynb", 1),
        "tooltip": "Download the notebook",
        "label": "download-notebook-button",
    }
    for group in context["header_buttons"]:
        if group.get("label") == "download-buttons":
            pdf = [b for b in group["buttons"] if b["label"] == "download-pdf-button"]
            group["buttons"] = [link, *pdf]


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("homework-table", HomeworkTable)
    app.connect("source-read", fill)
    app.connect("build-finished", write_notebooks)
    app.connect("html-page-context", lead_to_it, priority=900)  # after the theme's buttons
    return {"parallel_read_safe": True, "parallel_write_safe": True}
