"""The questions of a homework as Markdown for the site: no solution, no check."""

from companion.homework.build.links import roles
from companion.homework.build.source import read


def page(homework: str, variant: int = 0, *, folder: str = "homework") -> str:
    """The questions as a page of the book, in MyST Markdown.

    Links to the book become roles; given code stands open, and of an asked function its first
    lines are shown, without the solution.

    Args:
        homework: its short name.
        variant: its number.
        folder: of the page, seen from the folder of the book.

    Raises:
        ValueError: there is no such homework.
    """
    return (
        "\n\n".join(
            roles(cell.text, folder)
            if cell.kind == "markdown"
            else f"```python\n{cell.starter}\n```"
            for cell in read(homework, variant)
            if not cell.answer
        )
        + "\n"
    )
