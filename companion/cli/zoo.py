"""companion zoo list | show | verify | add"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Trained weights and their cards.", no_args_is_help=True)


@app.command("list")
def zoo_list() -> None:
    """List the trained models."""
    from companion import zoo

    typer.echo(repr(zoo.list()))


@app.command("show")
def zoo_show(name: Annotated[str, typer.Argument(help="A name of the zoo.")]) -> None:
    """Show the card of a model."""
    from companion import zoo

    typer.echo(str(zoo.card(name)))


@app.command("verify")
def zoo_verify() -> None:
    """Check that all weights are undamaged and load."""
    from companion import zoo

    for name in zoo.names():
        zoo.load(name)
        typer.echo(f"{name}: sound")


@app.command("add", epilog="Example: **companion zoo add runs/vae**")
def zoo_add(
    run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace the weights that the zoo has.")
    ] = False,
) -> None:
    """Measure a finished run and take its weights into the zoo."""
    from companion import zoo
    from companion.evaluation import QUICK_IMAGES, evaluate

    model, card = zoo.read_run(run_dir)
    if card.name in zoo.names() and not force:
        raise ValueError(
            f"the zoo has trained weights of {card.name} already, made by "
            f"`{zoo.card(card.name).command}`; use --force to replace them"
        )
    metrics = evaluate(model, progress=True)
    quick = evaluate(model, images=QUICK_IMAGES)
    typer.echo(str(zoo.add(run_dir, metrics, QUICK_IMAGES, quick)))
