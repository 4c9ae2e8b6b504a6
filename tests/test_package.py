"""The package as it is installed and shipped: versions, environments, import, wheel, commands."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

import companion

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
MEBIBYTE = 1024 * 1024


def run(*command: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, **kwargs)


def python(code: str, **kwargs: Any) -> str:
    result = run(sys.executable, "-c", code, **kwargs)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def pins() -> dict[str, Version]:
    """Package -> the exact version of ``constraints.txt``."""
    pins: dict[str, Version] = {}
    for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([^;\s]+)", line)
            assert match, f"constraints.txt must pin exact versions, got {line!r}"
            name = canonicalize_name(match[1])
            assert name not in pins, f"{name} is pinned twice"
            pins[name] = Version(match[2])
    return pins


def requirements(project: dict[str, Any]) -> list[Requirement]:
    extras = project["optional-dependencies"]
    lines = project["dependencies"] + [line for name in extras for line in extras[name]]
    return [Requirement(line) for line in lines if not line.startswith(project["name"])]


# ---- Three descriptions of one environment -------------------------------------------------------


def test_every_requirement_has_a_range_and_its_pin_lies_within(
    project: dict[str, Any], pins: dict[str, Version]
) -> None:
    for requirement in requirements(project):
        name = canonicalize_name(requirement.name)
        operators = {specifier.operator for specifier in requirement.specifier}
        assert operators == {">=", "<"}, f"{requirement}: expected a range >=...,<..."
        assert name in pins, f"{name} has no pin; run 'make lock'"
        assert pins[name] in requirement.specifier, f"{requirement}, but the pin is {pins[name]}"


def test_pins_hold_no_local_build(pins: dict[str, Version]) -> None:
    # torch==2.x.y+cpu, for example, exists on one index only and does not fit torchvision's wheels.
    assert not [f"{name}=={version}" for name, version in pins.items() if version.local]


def test_pins_can_be_installed_on_the_lowest_python(project: dict[str, Any]) -> None:
    lowest = project["requires-python"].removeprefix(">=") + ".0"
    refusing = {
        f"{found.metadata['Name']} {found.version}": found.metadata["Requires-Python"]
        for found in metadata.distributions()
        if "Requires-Python" in found.metadata  # some packages name no Python
        and not SpecifierSet(found.metadata["Requires-Python"]).contains(lowest)
    }
    assert not refusing, f"Debian 12 has Python 3.11.2; these need a newer one: {refusing}"


def test_the_extra_all_has_every_extra_but_grading(project: dict[str, Any]) -> None:
    extras = project["optional-dependencies"]
    (line,) = extras["all"]
    assert Requirement(line).extras == set(extras) - {"all", "grading"}


def test_conda_makes_the_same_environment(project: dict[str, Any]) -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))
    assert environment["name"] == project["name"]
    pip = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    assert pip == [["-c constraints.txt", "-e .[all]"]]
    conda = [item for item in environment["dependencies"] if isinstance(item, str)]
    assert [item.split("=")[0] for item in conda] == ["python", "pip"]
    interpreter = conda[0].split("=")[1]
    assert Version(interpreter) in Requirement(f"python{project['requires-python']}").specifier


def test_the_readme_names_the_pinned_torch(pins: dict[str, Version]) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"torch=={pins['torch']} torchvision=={pins['torchvision']}" in readme


# ---- One version ---------------------------------------------------------------------------------


def test_one_version_everywhere(project: dict[str, Any]) -> None:
    version = project["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    newest = re.search(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", changelog, re.MULTILINE)
    assert newest
    assert citation["version"] == newest[1] == version
    assert str(citation["date-released"]) == newest[2]
    shown = run(sys.executable, "-m", "companion", "--version")
    assert shown.returncode == 0, shown.stderr
    assert version in shown.stdout.split()


# ---- Import --------------------------------------------------------------------------------------


def test_import_leaves_the_heavy_packages_alone() -> None:
    heavy = {"matplotlib", "torchvision", "tensorboard", "scipy", "typer", "PIL", "IPython"}
    code = "from companion import *; import sys; print(*sys.modules)"
    loaded = python(code).split()
    assert "companion.models.vae" in loaded
    assert not heavy & set(loaded)


def test_a_part_comes_when_it_is_first_asked_for() -> None:
    code = (
        "import companion, sys; assert 'torch' not in sys.modules; "
        "assert set(companion.__all__) <= set(dir(companion)); "
        "companion.zoo; print('torch' in sys.modules)"
    )
    assert python(code) == "True"
    with pytest.raises(AttributeError, match="module 'companion' has no attribute 'zooo'.*zoo"):
        companion.zooo  # noqa: B018
    with pytest.raises(AttributeError, match=r"did you mean companion\.models\.VAE\?"):
        companion.VAE  # noqa: B018


def test_public_names_exist_and_are_documented() -> None:
    code = (
        "import companion, types\n"
        "for name in companion.__all__:\n"
        "    if isinstance(getattr(companion, name), types.ModuleType): print(name)"
    )
    pages = (ROOT / "book" / "reference").glob("api/*.md")
    api = "\n".join(path.read_text("utf-8") for path in pages)
    documented = set(re.findall(r"automodule:: companion\.(\w+)", api))
    assert set(python(code).split()) <= documented
    models = {path.stem for path in (ROOT / "companion" / "models").glob("[a-z]*.py")}
    assert models == set(re.findall(r"automodule:: companion\.models\.(\w+)", api))


# ---- What is shipped -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy so that nothing is written beside the sources."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-TEXT"):
        shutil.copy(ROOT / name, source)
    skip = shutil.ignore_patterns("__pycache__", "*.tmp")
    shutil.copytree(ROOT / "companion", source / "companion", ignore=skip)
    built = run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--quiet"),
        *("--wheel-dir", str(folder), str(source)),
    )
    assert built.returncode == 0, built.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_has_all_of_companion_and_nothing_else(wheel: Path) -> None:
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    metadata = {name for name in shipped if ".dist-info/" in name}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "companion").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".tmp"
    }
    assert shipped - metadata == wanted
    assert "companion/py.typed" in shipped
    licenses = {Path(name).name for name in metadata if "/licenses/" in name}
    assert licenses == {"LICENSE", "LICENSE-TEXT"}
    assert [name for name in wanted if re.search(r"fashion_mnist_sample/LICENSE", name)]


def test_the_unpacked_wheel_works_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path)
    code = (
        "import companion\n"
        "print(companion.__file__)\n"
        "print(*companion.data.fashion_mnist('test').images.shape)\n"
        "print(*companion.experiments.load('rate_distortion').settings('seed'))\n"
        "print(*companion.zoo.load('dcgan').sample(2).shape)"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    where, data, seeds, sample = python(code, cwd=tmp_path, env=environment).splitlines()
    assert Path(where).is_relative_to(tmp_path)
    assert data == "2000 1 28 28"
    assert seeds == "0"
    assert sample == "2 1 28 28"


def test_data_and_weights_are_small() -> None:
    data = sum(p.stat().st_size for p in (ROOT / "companion/data/fashion_mnist_sample").iterdir())
    assert data <= 6 * MEBIBYTE
    for path in (ROOT / "companion" / "weights").glob("*.safetensors"):
        assert path.stat().st_size <= 4 * MEBIBYTE, path.name
        assert path.with_suffix(".json").exists(), f"{path.name} has no card"


# ---- The Makefile --------------------------------------------------------------------------------

needs_make = pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")


def fake_python(folder: Path, answer: str) -> Path:
    """An interpreter that calls itself 3.11 or older, or has no venv module."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{answer}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


@needs_make
def test_make_help_names_every_goal() -> None:
    shown = run("make", "help", cwd=ROOT).stdout
    goals = "book unit test test-threads check serve notebooks clean install lock"
    for goal in goals.split():
        assert f"make {goal} " in shown


@needs_make
@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (
            'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac',
            "is Python 3.9.2; this book needs Python 3.11 or newer",
        ),
        (
            'case "$2" in *venv*) exit 1;; *) exit 0;; esac',
            "has no venv module; on Debian and Ubuntu run 'sudo apt install python3-venv'",
        ),
    ],
    ids=["too old", "no venv"],
)
def test_make_says_what_the_interpreter_lacks(tmp_path: Path, answer: str, sentence: str) -> None:
    result = run(
        *("make", "install", f"PYTHON={fake_python(tmp_path, answer)}", f"VENV={tmp_path}/venv"),
        cwd=ROOT,
    )
    assert result.returncode != 0
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "venv").exists()
