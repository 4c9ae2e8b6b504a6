"""The command line: companion train | sample | evaluate | experiment | zoo.

Everything heavy is imported inside the commands, so that help and mistyped names answer at once.
"""

import json
import math
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

# As in `zoo.RECIPES` and `experiments.NAMES`, whose import would bring torch along.
RECIPES = (
    "vae",
    "beta_vae",
    "iwae",
    "vq_vae",
    "gan",
    "wgan_gp",
    "dcgan",
    "infogan",
    "row_rnn",
    "pixel_rnn",
    "conv_lstm",
    "draw",
    "classifier",
)
EXPERIMENTS = (
    "rate_distortion",
    "importance_samples",
    "codebook_use",
    "dcgan_ingredients",
    "infogan_codes",
    "gan_losses",
    "ring_modes",
    "row_cells",
    "draw_bound",
    "memory_tasks",
)

app = typer.Typer(
    help="Train, sample and measure the models of the book *Images from Noise*.",
    epilog="Example: **companion sample dcgan --n 64 --out sheet.png**",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
zoo_app = typer.Typer(help="Trained weights and their cards.", no_args_is_help=True)
app.add_typer(zoo_app, name="zoo")

Source = Annotated[
    str, typer.Argument(metavar="NAME|RUN_DIR", help="A name of the zoo, or a run's folder.")
]


def _listed(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


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


@app.command(
    epilog="Examples:\n\n"
    "- **companion train vae** reproduces the zoo's weights from the full data set\n\n"
    "- **companion train dcgan --epochs 2 --sample-data --out runs/try** is a quick look\n\n"
    "The same command again resumes a run that was stopped."
)
def train(
    name: Annotated[str, typer.Argument(help=f"A recipe: {_listed(RECIPES)}.")],
    epochs: Annotated[int | None, typer.Option(help="Passes; by default the recipe's.")] = None,
    seed: Annotated[int | None, typer.Option(help="By default the recipe's.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, float32, bf16 or fp16.")] = "auto",
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; by default runs/NAME.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full/--sample-data", help="All 60,000 images, or 10,000.")
    ] = True,
    resume: Annotated[
        bool, typer.Option("--resume/--restart", help="Continue a stopped run, or start anew.")
    ] = True,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Write logs for TensorBoard, too.")
    ] = False,
) -> None:
    """Train a model by its recipe; the run's folder gets checkpoint, samples, weights and card."""
    from companion import data, training, zoo
    from companion.training.run import CHECKPOINT

    recipe = zoo.recipe(name)
    options = dict(recipe.training)
    options |= {k: v for k, v in (("epochs", epochs), ("seed", seed)) if v is not None}
    out = out or Path("runs") / name
    checkpoint = out / CHECKPOINT
    if not resume:
        checkpoint.unlink(missing_ok=True)
    elif checkpoint.exists():
        typer.echo(f"resuming {out} (--restart starts anew)", err=True)

    # Before the data, which may have to be downloaded.
    training.pick_precision(precision, training.pick_device(device))
    images, labels = data.fashion_mnist("train", full=full)
    torch_seed(options["seed"])
    model = recipe.build()
    history = training.train(
        model,
        *((images, labels) if recipe.labels else (images,)),
        device=device,
        precision=precision,
        compile=compile,
        run_dir=out,
        on_record=training.tensorboard(out) if tensorboard else None,
        **options,
    )
    if not is_first_process():
        return
    if history.interrupted:
        typer.echo(f"stopped; the same command resumes it from {checkpoint}", err=True)
        raise typer.Exit(130)
    zoo.save(
        model,
        name,
        out,
        minutes=history.seconds / 60,
        data=f"Fashion-MNIST, {'all' if full else 'a sample of'} {len(images):,} training images",
        command=train_command(name, epochs, seed, full, precision),
        seed=options["seed"],
        epochs=options["epochs"],
    )
    typer.echo(f"saved {out / zoo.WEIGHTS} and its card, {out / zoo.CARD}")


@app.command(
    epilog="Examples:\n\n"
    "- **companion sample dcgan**\n\n"
    "- **companion sample runs/vae --n 100 --seed 3 --out vae.png**"
)
def sample(
    source: Source,
    n: Annotated[int, typer.Option("--n", min=1, help="Number of images.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed draws the same images.")] = 0,
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("sheet.png"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
) -> None:
    """Draw a sheet of new images."""
    import torch
    from torchvision.utils import save_image

    model = load(source, device)
    if not hasattr(model, "sample"):
        raise ValueError(f"{source} draws no images; choose a generative model such as dcgan")
    where = next(model.parameters()).device
    images = model.sample(n, rng=torch.Generator(where).manual_seed(seed))
    out.parent.mkdir(parents=True, exist_ok=True)
    save_image(images, out, nrow=math.ceil(math.sqrt(n)))
    typer.echo(f"saved {n} images to {out}")


@app.command(
    epilog="Examples:\n\n- **companion evaluate vae**\n\n- **companion evaluate runs/dcgan --json**"
)
def evaluate(
    source: Source,
    images: Annotated[
        int | None, typer.Option(min=1, help="Use fewer test images, for a quick look.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the samples that are drawn.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all digits.")] = False,
) -> None:
    """Measure a model on the official test set, beside floors and published values."""
    from companion.metrics import evaluation

    model = load(source, device)
    figures = evaluation.evaluate(model, images=images, seed=seed, progress=not as_json)
    references = {}
    if figures.keys() & {"bits_per_dimension", "frechet_distance"}:
        references = evaluation.references(images)
    if as_json:
        typer.echo(json.dumps({"metrics": figures, "references": references}, indent=2))
    else:
        typer.echo("\n".join(evaluation.report(figures, references)))


@app.command(
    epilog="Examples:\n\n"
    "- **companion experiment rate_distortion --out runs/mine.json** takes a quarter of an hour\n\n"
    "The same command again goes on with a run that was stopped."
)
def experiment(
    name: Annotated[str, typer.Argument(help=f"One of {_listed(EXPERIMENTS)}.")],
    out: Annotated[
        Path | None,
        typer.Option(help="File of the results; by default the one that the book shows."),
    ] = None,
) -> None:
    """Measure what the book's curves show, setting by setting; needs the full data set."""
    from companion import experiments

    file = experiments.result_file(name, out)
    try:
        result = experiments.run(name, file)
    except KeyboardInterrupt:
        typer.echo(f"stopped; the same command goes on with the results in {file}", err=True)
        raise typer.Exit(130) from None
    typer.echo(f"{file} has the results of all {len(result.points)} settings")


@zoo_app.command("list")
def zoo_list() -> None:
    """List the trained models."""
    from companion import zoo

    typer.echo(repr(zoo.list()))


@zoo_app.command("show")
def zoo_show(name: Annotated[str, typer.Argument(help="A name of the zoo.")]) -> None:
    """Show the card of a model."""
    from companion import zoo

    typer.echo(str(zoo.card(name)))


@zoo_app.command("verify")
def zoo_verify() -> None:
    """Check that all weights are undamaged and load."""
    from companion import zoo

    for name in zoo.names():
        zoo.load(name)
        typer.echo(f"{name}: sound")


@zoo_app.command("add", epilog="Example: **companion zoo add runs/vae**")
def zoo_add(run_dir: Annotated[Path, typer.Argument(help="Folder of a finished run.")]) -> None:
    """Measure a finished run and take its weights into the zoo."""
    from companion import zoo

    card = zoo.add(run_dir, progress=True)
    typer.echo(str(card))


def load(source: str, device: str) -> Any:
    """A model of the zoo, or of a run's folder."""
    from companion import training, zoo

    where = training.pick_device(device)
    if source not in zoo.names() and Path(source).is_dir():
        return zoo.read_run(source, where)[0]
    return zoo.load(source, where)


def train_command(
    name: str, epochs: int | None, seed: int | None, full: bool, precision: str = "auto"
) -> str:
    """The command that reproduces a run."""
    asked = None if precision == "auto" else precision
    options: dict[str, Any] = {"--epochs": epochs, "--seed": seed, "--precision": asked}
    words = [word for k, v in options.items() if v is not None for word in (k, str(v))]
    return shlex.join(["companion", "train", name, *words, *([] if full else ["--sample-data"])])


def torch_seed(seed: int) -> None:
    """Seed the initial weights; this process is ours alone."""
    import torch

    torch.manual_seed(seed)


def is_first_process() -> bool:
    """False in all but one process of `torchrun`."""
    from torch import distributed

    return not distributed.is_initialized() or distributed.get_rank() == 0


def main() -> None:
    """Run the command line; an error is one sentence on stderr and exit code 2 or 1."""
    try:
        app()
    except (ValueError, TypeError) as error:  # what was asked for makes no sense
        sys.exit(_complain(error, 2))
    except (OSError, RuntimeError, ArithmeticError, ImportError) as error:  # it went wrong
        sys.exit(_complain(error, 1))


def _complain(error: Exception, code: int) -> int:
    print(f"companion: {error}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
