"""companion experiment"""

from pathlib import Path
from typing import Annotated

import typer

from companion.cli.words import Quiet, listed, say

EXAMPLES = (
    "Examples:\n\n"
    "- **companion experiment rate_distortion --out runs/mine.json** takes a quarter of an hour\n\n"
    "The same command again goes on with a run that was stopped."
)


def experiment(
    name: Annotated[str, typer.Argument(help=f"One of {listed('experiments/[a-z]*.py')}.")],
    out: Annotated[
        Path | None,
        typer.Option(help="File of the results; by default the one that the book shows."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Measure what the book's curves show, setting by setting; needs the full data set."""
    from companion import experiments

    file = experiments.result_file(name, out)
    complete = not experiments.missing(name, file)
    try:
        result = experiments.run(name, file, progress=not quiet)
    except KeyboardInterrupt:
        say(f"stopped; the same command goes on with the results in {file}", quiet)
        raise typer.Exit(130) from None
    said = f"{file} has the results of all {len(result.points)} settings"
    if complete:
        said += (
            ", so nothing was measured; to measure them anew, name another file: "
            f"companion experiment {name} --out runs/{name}.json"
        )
    if complete or not quiet:
        typer.echo(said)
