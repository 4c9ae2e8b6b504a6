"""What is given out and what grades it, built from the one source of a homework."""

from pathlib import Path

from companion import checks
from companion.files import write_files
from companion.homework import assignments
from companion.homework.build import graders
from companion.homework.build.notebook import student
from companion.homework.build.page import page
from companion.homework.build.source import read

__all__ = ["build", "page"]


def build(homework: str, out: str | Path, variant: int = 0) -> list[Path]:
    """Write all files of a homework, whole or not at all.

    ::

        OUT/student/hw4.ipynb             for students, in any way you like
        OUT/nbgrader/source/hw4/...       a course of nbgrader, with OUT/nbgrader/nbgrader_config.py
        OUT/otter/hw4/tests/...           the tests of otter
        OUT/pytest/grade_hw4.py           a grader for pytest
        OUT/classroom/hw4/...             a template repository for GitHub Classroom
        OUT/manual/hw4.md                 how a person grades the rest, if there is any

    Args:
        homework: its short name.
        out: the folder.
        variant: other constants, so that an answer of another term is wrong.

    Returns:
        The files, in order.

    Raises:
        TypeError, ValueError: there is no such homework, or the variant is no number of at least 0.
        CheckpointError: a file cannot be written.
    """
    checks.integer("variant", variant, least=0, remedy="use variant=0 for the book's")
    cells = read(homework, variant)
    notebook = student(homework, variant, cells)
    grader = graders.pytest(homework, variant)
    classroom = f"classroom/{homework}"
    contents = {
        f"student/{homework}.ipynb": notebook,
        "nbgrader/nbgrader_config.py": graders.NBGRADER_CONFIG,
        f"nbgrader/source/{homework}/{homework}.ipynb": graders.nbgrader(homework, variant, cells),
        **{
            f"otter/{homework}/tests/{name}.py": graders.otter(homework, variant, name)
            for name in assignments.questions(homework, variant)
        },
        f"pytest/grade_{homework}.py": grader,
        f"{classroom}/{homework}.ipynb": notebook,
        f"{classroom}/grade_{homework}.py": grader,
        f"{classroom}/requirements.txt": graders.REQUIREMENTS,
        f"{classroom}/.github/workflows/classroom.yml": graders.classroom(homework, variant),
    }
    manual = assignments.folder(homework) / "manual.md"
    if manual.exists():
        contents[f"manual/{homework}.md"] = manual.read_text("utf-8")
    files: dict[str | Path, bytes] = {
        Path(out, name): text.encode() for name, text in contents.items()
    }
    write_files(files)
    return [Path(file) for file in files]
