"""companion sample, companion evaluate"""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

from companion.cli.words import Device, Quiet, Source

SAMPLE_EXAMPLES = (
    "Examples:\n\n"
    "- **companion sample dcgan**\n\n"
    "- **companion sample runs/vae --n 100 --seed 3 --out vae.png**"
)
EVALUATE_EXAMPLES = (
    "Examples:\n\n- **companion evaluate vae**\n\n- **companion evaluate runs/dcgan --json**"
)


def sample(
    source: Source,
    n: Annotated[int, typer.Option("--n", min=1, help="Number of images.")] = 64,
    seed: Annotated[int, typer.Option(help="The same seed draws the same images.")] = 0,
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("sheet.png"),
    device: Device = "cpu",
) -> None:
    """Draw a sheet of new images."""
    import torch

    from companion import checks
    from companion.files import save_images

    checks.seed(seed)

    if out.suffix.lower() != ".png":
        raise ValueError(f"the picture is a PNG, got the name {out}; use --out sheet.png, say")
    model = load(source, device)
    if not hasattr(model, "sample"):
        raise ValueError(f"{source} draws no images; choose a generative model such as dcgan")
    images = model.sample(n, rng=torch.Generator().manual_seed(seed))
    save_images(out, images, columns=math.ceil(math.sqrt(n)))
    typer.echo(f"saved {n} images to {out}")


def evaluate(
    source: Source,
    images: Annotated[
        int | None, typer.Option(min=1, help="Use fewer test images, for a quick look.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the samples that are drawn.")] = 0,
    device: Device = "cpu",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with all digits.")] = False,
    quiet: Quiet = False,
) -> None:
    """Measure a model on the official test set, beside floors and published values."""
    from companion import evaluation

    model = load(source, device)
    figures = evaluation.evaluate(model, images=images, seed=seed, progress=not (as_json or quiet))
    references = {}
    if figures.keys() & {"bits_per_dimension", "frechet_distance"}:
        references = evaluation.references(images)
    if as_json:
        typer.echo(json.dumps({"metrics": figures, "references": references}, indent=2))
    else:
        typer.echo("\n".join(evaluation.report(figures, references)))


def load(source: str, device: str) -> Any:
    """A model of the zoo, or of a run's folder, be it finished or not."""
    from companion import training, zoo
    from companion.training.run import CHECKPOINT

    folder, where = Path(source), training.pick_device(device)
    if source in zoo.names() or not folder.is_dir():
        return zoo.load(source, where)
    if not (folder / zoo.CARD).exists() and (folder / CHECKPOINT).exists():
        typer.echo(f"{folder} has no card, so its checkpoint is used", err=True)
        return zoo.read_checkpoint(folder / CHECKPOINT, where)
    return zoo.read_run(folder, where)[0]
