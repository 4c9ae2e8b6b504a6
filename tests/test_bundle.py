"""The bundle: what its one command refuses, and that it is what the folder says."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from book._tools import bundle, install


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle with a little of everything and no wheel."""
    made = tmp_path / "bundle"
    for name in ("wheels/a.whl", "site/index.html", "notebooks/start/quickstart.ipynb"):
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(name)
    facts = {"version": "1", "systems": ["linux", "macos"], "pythons": ["3.12", "3.13"]}
    (made / "bundle.json").write_text(json.dumps(facts))
    (made / "install.py").write_bytes(bundle.INSTALLER.read_bytes())
    bundle.write_sums(made)
    return made


def test_the_sums_are_those_of_every_file(folder: Path) -> None:
    lines = (folder / bundle.SUMS).read_text("utf-8").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert set(sums) == files - {bundle.SUMS}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    install.verify(folder)


def test_damaged_and_missing_files_are_named(folder: Path) -> None:
    (folder / "wheels" / "a.whl").write_text("wheels/b.whl")  # as long as before
    (folder / "site" / "index.html").unlink()
    with pytest.raises(install.InstallError) as caught:
        install.verify(folder)
    assert str(caught.value) == (
        "site/index.html is missing, wheels/a.whl is damaged; copy the whole folder again"
    )
    (folder / bundle.SUMS).unlink()
    with pytest.raises(install.InstallError, match="SHA256SUMS is missing; copy"):
        install.verify(folder)


def test_the_command_refuses_a_damaged_folder_and_installs_nothing(
    folder: Path, tmp_path: Path
) -> None:
    (folder / "wheels" / "a.whl").write_text("")
    target = tmp_path / "target"
    command = [sys.executable, str(folder / "install.py"), str(target)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr == "install.py: wheels/a.whl is damaged; copy the whole folder again\n"
    assert not target.exists()


def test_the_requirements_of_this_system_and_python(folder: Path) -> None:
    def listed(system: str, machine: str, version: tuple[int, int]) -> Path:
        return install.requirements(folder, system, machine, version)

    assert listed("Linux", "x86_64", (3, 12)) == folder / "requirements" / "linux-3.12.txt"
    assert listed("Darwin", "arm64", (3, 13)) == folder / "requirements" / "macos-3.13.txt"
    with pytest.raises(install.InstallError, match=r"Python 3.12 and 3.13, and this is Python 3.9"):
        listed("Linux", "x86_64", (3, 9))
    for system, machine in [("Darwin", "x86_64"), ("Windows", "AMD64"), ("FreeBSD", "amd64")]:
        with pytest.raises(install.InstallError, match=r"linux \(x86_64\), macos \(arm64\), and"):
            listed(system, machine, (3, 12))


def test_every_system_of_the_bundle_is_one_of_the_installer() -> None:
    assert set(bundle.SYSTEMS) == set(install.SYSTEMS.values()) == set(install.MACHINES)


def test_the_installer_needs_nothing_but_python() -> None:
    code = f"import sys; sys.path = {[p for p in sys.path if 'site-packages' not in p]!r}\n"
    code += f"import runpy; runpy.run_path({str(bundle.INSTALLER)!r})"
    subprocess.run([sys.executable, "-S", "-c", code], check=True)


def test_the_full_data_lie_where_the_package_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    from companion.data import fashion

    for name in ("COMPANION_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
        assert install.data_folder() == fashion.own_folder()
    for name in ("XDG_CACHE_HOME", "COMPANION_DATA"):
        monkeypatch.setenv(name, "/somewhere")
        assert install.data_folder() == fashion.own_folder()


def test_a_failed_download_leaves_the_last_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(module: str, *arguments: str) -> str:
        raise bundle.BundleError(f"{module} failed")

    monkeypatch.setattr(bundle, "run", fails)
    monkeypatch.setattr(bundle, "SITE", tmp_path)
    (tmp_path / "index.html").touch()
    last = tmp_path / "bundle"
    last.mkdir()
    (last / "install.py").touch()
    assert bundle.main(["--platform", "linux", "--out", str(last)]) == 1
    assert (last / "install.py").exists()
    assert "pip failed" in capsys.readouterr().err
