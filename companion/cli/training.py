"""companion train"""

import contextlib
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from companion.cli.own import read_own
from companion.cli.words import Device, Quiet, listed, say

EXAMPLES = (
    "Examples:\n\n"
    "- **companion train vae** reproduces the zoo's weights from the full data set\n\n"
    "- **companion train dcgan --epochs 2 --sample-data --out runs/try** is a quick look\n\n"
    "- **companion train dcgan --data photos --size 32** takes a folder of your own pictures\n\n"
    "The same command again resumes a run that was stopped."
)


def train(
    name: Annotated[str, typer.Argument(help=f"A recipe: {listed('recipes/*.toml')}.")],
    epochs: Annotated[int | None, typer.Option(help="Passes; by default the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="By default the recipe's.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(help="Of all players; by default their own.")
    ] = None,
    device: Device = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bf16 or fp16.")] = "auto",
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; by default runs/NAME.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full/--sample-data", help="All 60,000 images, or 10,000.")
    ] = True,
    data: Annotated[
        Path | None,
        typer.Option(help="Your own pictures: a folder, a .csv of levels, or an IDX file."),
    ] = None,
    size: Annotated[int, typer.Option(min=1, help="Height and width of your own pictures.")] = 32,
    channels: Annotated[int, typer.Option(help="3 for color, 1 for gray.")] = 3,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Continue a stopped run, or start anew.")
    ] = True,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write logs for TensorBoard, too.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a model by its recipe; the run's folder gets checkpoint, samples, weights and card."""
    from companion import training, zoo
    from companion.data import fashion_mnist
    from companion.training.run import CHECKPOINT

    recipe = zoo.recipe(name)
    given: dict[str, Any] = {"epochs": epochs, "seed": seed, "learning_rate": learning_rate}
    options = dict(recipe.training) | {k: v for k, v in given.items() if v is not None}
    out = out or Path("runs") / name
    # Before the data, which may have to be downloaded.
    training.pick_precision(precision, training.pick_device(device))
    own = read_own(data, size, channels, quiet) if data else None
    images, labels = (own.images, own.labels) if own else fashion_mnist("train", full=full)
    torch_seed(options["seed"])
    again = "the same command" if resume else "the same command, but --resume for --restart,"
    stopped = f"stopped; {again} resumes it from {out / CHECKPOINT}"
    model = own.build(name, recipe) if own else recipe.build()
    if own:
        options["batch_size"] = min(options.get("batch_size", 128), len(images))
    with contextlib.nullcontext() if resume else earlier_run_aside(out):
        try:
            history = training.train(
                model,
                *((images, labels) if recipe.labels and labels is not None else (images,)),
                device=device,
                precision=precision,
                compile=compile,
                run_dir=out,
                on_record=training.tensorboard(out) if tensorboard else None,
                progress=not quiet,
                **options,
            )
        except SystemExit:  # a signal other than that of Ctrl-C
            say(stopped, quiet)
            raise
    if not is_first_process():
        return
    if history.interrupted:
        say(stopped, quiet)
        raise typer.Exit(130)
    count = f"{'all' if full else 'a sample of'} {len(images):,} training images"
    facts = own.facts() if own else {"data": f"Fashion-MNIST, {count}"}
    if own:
        given |= {"data": data, "size": size, "channels": channels}
    zoo.save(
        model,
        name,
        out,
        minutes=history.seconds / 60,
        command=train_command(name, given, full or own is not None, precision),
        seed=options["seed"],
        epochs=options["epochs"],
        **facts,
    )
    if not quiet:
        typer.echo(f"saved {out / zoo.WEIGHTS} and its card, {out / zoo.CARD}")


@contextlib.contextmanager
def earlier_run_aside(folder: Path) -> Iterator[None]:
    """Files of an earlier run, out of the way of a new one; they come back if it does not begin.

    They are deleted once the new run has a checkpoint of its own: an option that is refused costs
    nothing, and what is sampled from the folder is never of the earlier run.
    """
    from companion import zoo
    from companion.training.run import CHECKPOINT, check_free

    if is_first_process():
        check_free(folder)
    moved = {
        folder / name: folder / f"before.{name}" for name in (CHECKPOINT, zoo.WEIGHTS, zoo.CARD)
    }
    for file, aside in moved.items():
        with contextlib.suppress(FileNotFoundError):  # another process of torchrun was faster
            file.replace(aside)
    try:
        yield
    finally:
        begun = (folder / CHECKPOINT).exists()
        for file, aside in moved.items():
            with contextlib.suppress(FileNotFoundError):
                aside.unlink() if begun else aside.replace(file)


def train_command(name: str, given: dict[str, Any], full: bool, precision: str = "auto") -> str:
    """The command that reproduces a run."""
    options = given | {"precision": None if precision == "auto" else precision}
    words = [
        word
        for option, value in options.items()
        if value is not None
        for word in (f"--{option.replace('_', '-')}", str(value))
    ]
    return shlex.join(["companion", "train", name, *words, *([] if full else ["--sample-data"])])


def torch_seed(seed: int) -> None:
    """Seed the initial weights; this process is ours alone."""
    import torch

    from companion import checks

    torch.manual_seed(checks.seed(seed))


def is_first_process() -> bool:
    """False in all but one process of `torchrun`."""
    from torch import distributed

    if not distributed.is_available() or not distributed.is_initialized():
        return True
    return distributed.get_rank() == 0
