"""What several commands take and say."""

from pathlib import Path
from typing import Annotated

import typer

import companion

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No bar, and nothing said but errors.")]
Source = Annotated[
    str, typer.Argument(metavar="NAME|RUN_DIR", help="A name of the zoo, or a run's folder.")
]


def listed(pattern: str) -> str:
    """The names of files of the package: they are listed in folders, and nowhere else."""
    names = sorted(path.stem for path in Path(companion.__file__).parent.glob(pattern))
    return f"{', '.join(names[:-1])} or {names[-1]}"


def say(text: str, quiet: bool) -> None:
    """Something on stderr, unless silence is wanted."""
    if not quiet:
        typer.echo(text, err=True)
