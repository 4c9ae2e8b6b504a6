"""The command line: companion train | sample | evaluate | experiment | doctor | zoo | homework.

Everything heavy is imported inside the commands, so that help and mistyped names answer at once.
"""

import sys
import warnings
from typing import Annotated

import typer

from companion.cli import doctor, experiments, homework, models, training, zoo

app = typer.Typer(
    help="Train, sample and measure the models of the book *Images from Noise*.",
    epilog="Example: **companion sample dcgan --n 64 --out sheet.png**",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
app.command(epilog=training.EXAMPLES)(training.train)
app.command(epilog=models.SAMPLE_EXAMPLES)(models.sample)
app.command(epilog=models.EVALUATE_EXAMPLES)(models.evaluate)
app.command(epilog=experiments.EXAMPLES)(experiments.experiment)
app.command()(doctor.doctor)
app.add_typer(zoo.app, name="zoo")
app.add_typer(homework.app, name="homework")


def _show_version(wanted: bool) -> None:
    if wanted:
        from companion import __version__

        typer.echo(f"companion {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; an error is one sentence on stderr and exit code 2 or 1."""
    warnings.formatwarning = lambda message, *place: f"companion: {message}\n"
    try:
        app()
    except (ValueError, TypeError) as error:  # what was asked for makes no sense
        sys.exit(_complain(error, 2))
    except (OSError, RuntimeError, ArithmeticError, ImportError) as error:  # it went wrong
        sys.exit(_complain(error, 1))


def _complain(error: Exception, code: int) -> int:
    print(f"companion: {error}", file=sys.stderr)
    return code
