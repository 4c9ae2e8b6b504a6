"""What `companion doctor` looks at: each function returns a fact, or raises a `ProblemError`.

None relies on what a later one finds out. torch is imported inside, for it may be what is broken.
"""

import importlib
import math
import os
import shutil
import sys
import tempfile
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path

from companion import __version__

DISTRIBUTION = "images-from-noise"
AGAIN = (
    "install it again: python -m pip install --force-reinstall --no-deps "
    f'"git+https://github.com/images-from-noise/images-from-noise@v{__version__}"'
)
DISK, MEMORY = 1e9, 2e9  # bytes that a run of a notebook may need


class ProblemError(Exception):
    """What is wrong and what to do, one sentence each."""

    def __init__(self, *sentences: str) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


def python() -> str:
    from packaging.specifiers import SpecifierSet

    here = ".".join(map(str, sys.version_info[:3]))
    wanted = _metadata("Requires-Python")
    if here not in SpecifierSet(wanted):
        raise ProblemError(
            f"Python is {here}, the package needs {wanted}; install a newer Python, and the "
            "package with it"
        )
    return f"{here}, {sys.executable}"


def packages() -> str:
    """Every package that is needed is there, in a version within its range."""
    from packaging.requirements import Requirement

    _metadata("Name")
    needed = [Requirement(line) for line in requires(DISTRIBUTION) or ()]
    needed = [r for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    wrong = []
    for requirement in needed:
        name, allowed = requirement.name, requirement.specifier
        try:
            found = version(name)
        except PackageNotFoundError:
            found = "missing"
        if found == "missing" or not allowed.contains(found, prereleases=True):
            wrong.append(
                f"{name} is {found}, expected {allowed}; run: "
                f'python -m pip install "{name}{allowed}"'
            )
    if wrong:
        raise ProblemError(*wrong)
    return f"{len(needed)} within their ranges"


def torch_pair() -> str:
    """torch and torchvision can be imported, and fit each other."""
    try:
        torch, torchvision = map(importlib.import_module, ("torch", "torchvision"))
        box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
        kept = torchvision.ops.nms(box, torch.ones(1), 0.5)
        if kept.tolist() != [0]:
            raise RuntimeError("torchvision computes nonsense")
    except Exception as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ProblemError(
            f"torch {_version('torch')} and torchvision {_version('torchvision')} do not work "
            f"together ({reason}); install both from one index in one command: python -m pip "
            "install --force-reinstall torch torchvision, with --index-url of torch's CPU index "
            "for both or for neither"
        ) from None
    return f"torch {torch.__version__}, torchvision {torchvision.__version__}"


def device() -> str:
    import torch

    from companion import machine
    from companion.training.hardware import pick_device

    found = pick_device("auto")
    torch.ones(2, device=found).sum().item()
    threads = torch.get_num_threads()
    return f"{machine.describe(found)}; {threads} thread{'s' * (threads != 1)}"


def memory() -> str:
    from companion import machine

    found = machine.memory()
    if found is None:
        return "the system does not say"
    if found < MEMORY:
        raise ProblemError(
            f"{found / 1e9:.1f} GB of memory, expected {MEMORY / 1e9:.0f}; close other programs, "
            "or ask for a larger machine"
        )
    return f"{found / 1e9:.0f} GB"


def disk() -> str:
    """Room in the current folder."""
    free = shutil.disk_usage(Path.cwd()).free
    if free < DISK:
        raise ProblemError(
            f"{free / 1e9:.1f} GB are free in {Path.cwd()}, expected {DISK / 1e9:.0f}; remove "
            "what is not needed"
        )
    return f"{free / 1e9:.0f} GB free in the current folder"


def folders() -> str:
    """Jupyter writes to the home, the package to its folder of data."""
    from companion.data.fashion import own_folder

    for folder, remedy in {
        Path(os.path.expanduser("~")): "set HOME to a folder that you may write to",
        own_folder(): "set COMPANION_DATA to a folder that you may write to",
    }.items():
        _write_into(folder, remedy)
    return f"home and {own_folder()} can be written to"


def sample() -> str:
    from companion.data import fashion_mnist

    try:
        counts = [len(fashion_mnist(split).images) for split in ("train", "test")]
    except RuntimeError as error:
        raise ProblemError(f"{str(error).split('; ')[0]}; {AGAIN}") from None
    return f"{counts[0]:,} and {counts[1]:,} images, checksums right"


def full_data() -> str:
    from companion.data import fashion_mnist
    from companion.data.fashion import find_copy

    if find_copy() is None:
        return "not here; only long experiments need it"
    try:
        for split in ("train", "test"):
            fashion_mnist(split, full=True)
    except RuntimeError as error:
        raise ProblemError(str(error)) from None
    return f"checksums right, in {find_copy()}"


def weights() -> str:
    """Every model that has a recipe has weights, and they are those of their card."""
    from companion import zoo

    wrong = [
        f"the card of {name} is missing; {AGAIN}"
        for name in sorted({*zoo.recipe_names()} - {*zoo.names()})
    ]
    for name in zoo.names():
        try:
            zoo.load(name)
        except (ValueError, OSError) as error:
            wrong.append(f"{str(error).split('; ')[0]}; {AGAIN}")
    if wrong:
        raise ProblemError(*wrong)
    return f"{len(zoo.names())} models, checksums right"


def step() -> str:
    """A model trains: a few steps lower its loss, on made-up pictures of one slope each."""
    import torch

    from companion import models, train

    images = torch.linspace(0, 1, 512)[:, None, None, None] * torch.linspace(0, 1, 28)
    images = images.expand(-1, 1, 28, 28)
    model = models.VAE(latent_dim=4)
    history = train(model, images, epochs=2, batch_size=32, progress=False)
    first, *_, last = history.losses["negative ELBO"]
    if not (math.isfinite(last) and last < first):
        raise ProblemError(
            f"a VAE's loss went from {first:.0f} to {last:.0f} in 32 steps, expected a lower one; "
            "install torch and torchvision again"
        )
    return f"a VAE's loss went from {first:.0f} to {last:.0f} nats per image"


def _metadata(field: str) -> str:
    try:
        return str(metadata(DISTRIBUTION)[field])
    except PackageNotFoundError:
        raise ProblemError(f"the package {DISTRIBUTION} is not installed by pip; {AGAIN}") from None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "(missing)"


def _write_into(folder: Path, remedy: str) -> None:
    """Write a file into the folder, or into the one in which it would be made."""
    place = folder
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise ProblemError(f"{folder} cannot be written to ({error.strerror}); {remedy}") from None
