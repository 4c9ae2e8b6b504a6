"""Install the book Images from Noise from this folder, without a network.

    python install.py            into images-from-noise in your home
    python install.py FOLDER     elsewhere

It checks every file of this folder, makes a virtual environment, installs from `wheels`, copies
notebooks, site and data, then runs `companion doctor`, the first notebook and a check of a
homework.
"""

# It stands alone, and the oldest Python must be able to say that it is too old.
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
SYSTEMS = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}
MACHINES = {"linux": "x86_64", "windows": "amd64", "macos": "arm64"}
FIRST_NOTEBOOK = Path("start", "quickstart.ipynb")
RUN_NOTEBOOK = """
import sys, nbformat
from nbclient import NotebookClient
from pathlib import Path
path = Path(sys.argv[1])
notebook = nbformat.read(path, as_version=4)
codes = sum(cell.cell_type == "code" for cell in notebook.cells)
def told(cell, cell_index):
    done = sum(c.cell_type == "code" for c in notebook.cells[: cell_index + 1])
    print(f"\\r    {path.stem}: cell {done} of {codes}", end="", flush=True)
place = {"metadata": {"path": str(path.parent)}}
NotebookClient(notebook, timeout=None, startup_timeout=600, kernel_name="python3", resources=place,
    on_cell_start=lambda cell, cell_index, **_: cell.cell_type == "code" and told(cell, cell_index)
).execute()
print()
"""
CHECK_HOMEWORK = """
from companion.homework import WrongAnswerError, assignments, check
question = next(iter(assignments.questions("hw4", 0).values()))
mistake = next(iter(question.wrong.values()))
try:
    check("hw4", question.name, mistake.answer)
except WrongAnswerError as error:
    print("    a famous mistake, checked: " + str(error))
else:
    raise SystemExit("the check of a homework took a famous mistake for right")
"""


class InstallError(Exception):
    """Something is missing or damaged; the sentence says what to do."""


def verify(folder):
    """Compare every file with its checksum."""
    sums = folder / "SHA256SUMS"
    if not sums.is_file():
        raise InstallError(f"{sums} is missing; copy the whole folder again")
    wanted = dict(reversed(line.split("  ", 1)) for line in sums.read_text("utf-8").splitlines())
    missing = [name for name in wanted if not (folder / name).is_file()]
    total = sum((folder / name).stat().st_size for name in wanted if name not in missing)
    damaged, done = [], 0
    for name in wanted:
        if name in missing:
            continue
        digest = hashlib.sha256()
        with open(folder / name, "rb") as file:
            while block := file.read(1 << 22):
                digest.update(block)
                done += len(block)
                print(f"\r    {done / 1e6:,.0f} of {total / 1e6:,.0f} MB", end="", flush=True)
        if digest.hexdigest() != wanted[name]:
            damaged.append(name)
    print()
    faults = [f"{name} is missing" for name in missing] + [f"{n} is damaged" for n in damaged]
    if faults:
        more = f", and {len(faults) - 3} files more" if len(faults) > 3 else ""
        raise InstallError(", ".join(faults[:3]) + more + "; copy the whole folder again")


def requirements(folder, system, machine, version):
    """The file that says what is installed on this system with this Python."""
    facts = json.loads((folder / "bundle.json").read_text("utf-8"))
    name = SYSTEMS.get(system, system)
    kinds = ", ".join(f"{s} ({MACHINES[s]})" for s in facts["systems"])
    if name not in facts["systems"] or machine.lower() != MACHINES[name]:
        raise InstallError(
            f"this folder has wheels for {kinds}, and this machine is {system} ({machine}); "
            "ask for a bundle made for it, or read the book in site/index.html"
        )
    python = f"{version[0]}.{version[1]}"
    if python not in facts["pythons"]:
        raise InstallError(
            f"this folder has wheels for Python {' and '.join(facts['pythons'])}, and this is "
            f"Python {python}; install one of those and run install.py by it"
        )
    return folder / "requirements" / f"{name}-{python}.txt"


def make_environment(folder):
    """A virtual environment; returns the path of its Python."""
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        raise InstallError(
            "this Python has no module ensurepip; on Debian and Ubuntu install the package "
            "python3-venv from your disk or mirror, or use Python from python.org"
        ) from None
    venv.create(folder, with_pip=True, clear=True, symlinks=os.name != "nt")
    return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def data_folder():
    """Where `companion.data` looks for the full data set."""
    if os.environ.get("COMPANION_DATA"):
        return Path(os.environ["COMPANION_DATA"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "companion"


def run(*command):
    """Run a command and show what it prints.

    Raises:
        InstallError: it failed.
    """
    done = subprocess.run([str(part) for part in command])
    if done.returncode:
        raise InstallError(f"{Path(command[0]).name} failed, as it says above; ask your instructor")


def install(source, target):
    """All steps, each announced."""
    steps = 6
    say(1, steps, "checking every file of this folder")
    verify(source)
    listed = requirements(source, platform.system(), platform.machine(), sys.version_info)
    say(2, steps, f"making an environment in {target}")
    target.mkdir(parents=True, exist_ok=True)
    python = make_environment(target / "venv")
    say(3, steps, "installing the wheels (minutes; nothing is downloaded)")
    run(
        *(python, "-m", "pip", "install", "--no-index", "--find-links", source / "wheels"),
        *("--disable-pip-version-check", "--quiet", "--progress-bar", "on", "-r", listed),
    )
    say(4, steps, "copying notebooks, site and data")
    if not (target / "notebooks").exists():  # answers of a student are not overwritten
        shutil.copytree(source / "notebooks", target / "notebooks")
    shutil.copytree(source / "site", target / "site", dirs_exist_ok=True)
    if (source / "data").is_dir():
        shutil.copytree(source / "data", data_folder(), dirs_exist_ok=True)
    say(5, steps, "companion doctor")
    run(python, "-m", "companion", "doctor")
    say(6, steps, "running the first notebook and a check of a homework")
    run(python, "-c", RUN_NOTEBOOK, source / "notebooks" / FIRST_NOTEBOOK)
    run(python, "-c", CHECK_HOMEWORK)
    print(f"\nInstalled in {target}. Next:\n")
    print(f"    cd {target}")
    print(f"    {python.with_name('jupyter')} lab notebooks")
    print(f"\nThe book: {target / 'site' / 'index.html'}")


def say(step, steps, text):
    print(f"[{step}/{steps}] {text}", flush=True)


def main(arguments):
    target = Path(arguments[0]) if arguments else Path.home() / "images-from-noise"
    try:
        install(HERE, target.expanduser().resolve())
    except InstallError as error:
        print(f"install.py: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"install.py: {error}; free some space or choose another folder", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
