"""The homeworks of the book: each is a folder here, and nothing else lists them."""

import importlib
from pathlib import Path

from companion import checks
from companion.homework.question import Question

FOLDER = Path(__file__).parent


def listed() -> dict[str, str]:
    """The folder of each homework by its short name: ``{"hw4": "hw4_vae", ...}``, in order."""
    folders = [path.parent.name for path in FOLDER.glob("hw*_*/questions.py")]
    return {folder.split("_")[0]: folder for folder in sorted(folders)}


def folder(homework: str) -> Path:
    """Where the files of a homework are.

    Raises:
        ValueError: there is no homework of that name.
    """
    return FOLDER / listed()[checks.one_of("homework", homework, list(listed()))]


def title(homework: str) -> str:
    """One line: what the homework is about; errors as for :func:`folder`."""
    name = f"{__name__}.{folder(homework).name}"
    return (importlib.import_module(name).__doc__ or "").strip().splitlines()[0]


def questions(homework: str, variant: int = 0) -> dict[str, Question]:
    """The questions of a homework by the name of the function that is asked for.

    Raises:
        TypeError, ValueError: there is no such homework, or the variant is no number of at least 0.
    """
    checks.integer("variant", variant, least=0, remedy="use variant=0 for the book's")
    return _module(homework).questions(variant)


def constants(homework: str, variant: int = 0) -> dict[str, float]:
    """The numbers that make a variant; errors as for :func:`questions`."""
    checks.integer("variant", variant, least=0, remedy="use variant=0 for the book's")
    return _module(homework).constants(variant)


def _module(homework: str):  # type: ignore[no-untyped-def]
    return importlib.import_module(f"{__name__}.{folder(homework).name}.questions")
