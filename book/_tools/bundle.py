"""Make one folder for a USB stick, from which a room without network is installed.

    python -m book._tools.bundle --platform linux windows macos --python 3.12 3.13

The folder holds the site, the notebooks, the package with its data and weights as a wheel, the
wheels of all that the notebooks need for each system and each Python, the full data set, and
`install.py`, the one command. `SHA256SUMS` has the checksum of every file.

Which packages a system needs is resolved by uv, which knows the systems that it does not run on;
pip downloads them, from the indexes that it is set up with and from ``--torch-index``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from book._tools import ROOT
from book._tools.plain import WITHOUT

SITE = ROOT / "_build" / "html"
INSTALLER = Path(__file__).with_name("install.py")
SUMS = "SHA256SUMS"
# System -> its name for uv, and the tags of the wheels that it takes.
SYSTEMS = {
    "linux": (
        "x86_64-manylinux_2_28",
        [*(f"manylinux_2_{n}_x86_64" for n in range(28, 4, -1)), "manylinux2014_x86_64"],
    ),
    "windows": ("x86_64-pc-windows-msvc", ["win_amd64"]),
    "macos": ("aarch64-apple-darwin", ["macosx_14_0_arm64"]),
}
READ_ME = """\
Images from Noise {version}: the book, its notebooks, and all that they need.

1. Install Python {pythons} if it is not there (python.org, or your system's packages).
2. In this folder run     python install.py     (python3 on Linux and macOS, py on Windows).
   It checks this folder, installs into the folder images-from-noise of your home, runs the first
   notebook there, and says how to start. It needs no network, and {gigabytes:.0f} GB of disk.

The book itself needs no installation: open site/index.html in a browser.
Wheels are here for: {systems}. Macs with an Intel processor have no current torch.
Text and figures CC BY 4.0, code MIT; Fashion-MNIST MIT, Zalando SE.
"""


class BundleError(Exception):
    """The bundle could not be made; the sentence says why."""


def fill(folder: Path, systems: list[str], pythons: list[str], torch_index: str | None) -> None:
    """Fill an empty folder with everything, checksums last."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    say(f"the package {project['name']} {project['version']}, with its data and weights")
    run("pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(ROOT))
    for system in systems:
        for python in pythons:
            say(f"wheels for {system}, Python {python}")
            pins = resolve(system, python, torch_index)
            listed = folder / "requirements" / f"{system}-{python}.txt"
            listed.parent.mkdir(exist_ok=True)
            listed.write_text(pins + f"{project['name']}=={project['version']}\n", "utf-8")
            download(pins, wheels, system, python, torch_index)
    say("site, notebooks and data")
    shutil.copytree(SITE, folder / "site", ignore=shutil.ignore_patterns(".buildinfo"))
    copy_notebooks(folder / "notebooks")
    copy_data(folder / "data")
    facts = {
        "version": project["version"],
        "systems": systems,
        "pythons": pythons,
        "torch": next(pin for pin in pins.split() if pin.startswith("torch==")),
    }
    (folder / "bundle.json").write_text(json.dumps(facts, indent=1) + "\n", "utf-8")
    shutil.copy(INSTALLER, folder / "install.py")
    size = sum(path.stat().st_size for path in wheels.iterdir()) / 1e9
    text = READ_ME.format(
        version=project["version"],
        pythons=" or ".join(pythons),
        systems=", ".join(systems),
        gigabytes=max(2.0, 2.5 * size),  # unpacked, on the machine that needs the most
    )
    (folder / "README.txt").write_text(text, "utf-8")
    write_sums(folder)


def resolve(system: str, python: str, torch_index: str | None) -> str:
    """The pinned requirements of the notebooks on a system, one a line."""
    index = ["--extra-index-url", torch_index] if torch_index else []
    return run(
        *("uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate"),
        *("--python-platform", SYSTEMS[system][0], "--python-version", f"{python}.9"),
        *("--only-binary", ":all:", "--index-strategy", "unsafe-best-match", *index),
        *("-c", str(ROOT / "constraints.txt"), "--extra", "notebooks"),
        str(ROOT / "pyproject.toml"),
    )


def download(pins: str, wheels: Path, system: str, python: str, torch_index: str | None) -> None:
    """Download the wheels of resolved requirements; those that are there already stay."""
    run(
        *("pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
        *("--python-version", f"{python}.9", "--implementation", "cp"),
        *(part for tag in SYSTEMS[system][1] for part in ("--platform", tag)),
        *(["--extra-index-url", torch_index] if torch_index else []),
        *("--find-links", str(wheels), "--dest", str(wheels), *pins.split()),
    )


def copy_notebooks(folder: Path) -> None:
    """The plain notebooks without outputs, which the build of the site makes."""
    shutil.copytree(SITE / WITHOUT, folder)


def copy_data(folder: Path) -> None:
    """The full data set where `companion.data` finds it, if this machine has or can get it."""
    from companion.data import fashion, fashion_mnist

    try:
        fashion_mnist("test", full=True)
    except FileNotFoundError as error:
        say(f"without the full data set, which only long experiments need: {error}")
        return
    found = fashion.find_copy()
    assert found is not None
    target = folder / "FashionMNIST" / "raw"
    target.mkdir(parents=True)
    for name in fashion.FULL_DIGESTS:
        shutil.copy(found / f"{name}.gz", target)


def write_sums(folder: Path) -> None:
    """The checksum of every file, in the form that `sha256sum --check` reads, too."""
    lines = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        lines.append(f"{digest}  {path.relative_to(folder).as_posix()}\n")
    (folder / SUMS).write_text("".join(lines), "utf-8")


def run(module: str, *arguments: str) -> str:
    """What a module of Python, such as pip, prints.

    Raises:
        BundleError: it failed; what it said is in the message.
    """
    command = [sys.executable, "-m", module, *arguments]
    environment = os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"}  # the oldest that torch has
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise BundleError(
            f"{module} {arguments[0]} failed, as it says above; mend that and run it again"
        )
    return done.stdout


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m book._tools.bundle", description=(__doc__ or "").split("\n")[0]
    )
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    parser.add_argument("--platform", nargs="+", choices=SYSTEMS, default=[*SYSTEMS])
    parser.add_argument("--python", nargs="+", default=[here], help=f"default: {here}")
    parser.add_argument("--torch-index", help="an index with torch without CUDA, for Linux")
    parser.add_argument("--out", type=Path, default=ROOT / "_build" / "bundle")
    options = parser.parse_args(arguments)
    if not (SITE / "index.html").is_file():
        parser.error("there is no site; run 'make book' first")
    part = options.out.with_name(options.out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    try:
        fill(part, options.platform, options.python, options.torch_index or None)
    except BundleError as error:
        say(str(error))
        return 1
    shutil.rmtree(options.out, ignore_errors=True)
    os.replace(part, options.out)
    size = sum(path.stat().st_size for path in options.out.rglob("*") if path.is_file())
    say(f"{options.out} has {size / 1e9:.1f} GB; copy it to a stick, and run install.py there")
    return 0


if __name__ == "__main__":
    sys.exit(main())
