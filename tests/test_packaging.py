"""What is installed is ours, whole, and not shadowed by a stranger's package."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import import_module
from importlib.metadata import files
from importlib.resources import files as resources
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILD = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
SHIPPED = BUILD["only-include"]
NAMES = [Path(entry).stem for entry in SHIPPED]


def home(name: str) -> Path:
    origin = import_module(name).__file__
    assert origin is not None
    path = Path(origin)
    return path.parent.parent if path.name == "__init__.py" else path.parent


@pytest.mark.parametrize("name", NAMES)
def test_not_shadowed(name: str) -> None:
    assert home(name) == home("fairwatch")


def test_every_module_at_the_root_ships() -> None:
    modules = {p.name for p in ROOT.glob("*.py")}
    packages = {p.parent.name for p in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
    assert modules | packages == set(SHIPPED)


def test_the_sdist_adds_only_the_tests() -> None:
    assert set(BUILD["targets"]["sdist"]["only-include"]) == {*SHIPPED, "tests"}


@pytest.mark.parametrize(
    ("package", "pattern"),
    [
        ("analytics", "sql/*.sql"),
        ("reports", "templates/*.html.j2"),
        ("config", "policies/*.yaml"),
        ("config", "sites/*.yaml"),
        ("config", "templates/*"),
        ("fairwatch.demo", "data/*/*.gz"),
    ],
)
def test_data_files_ship(package: str, pattern: str) -> None:
    assert list(Path(str(resources(package))).glob(pattern))


def test_tests_are_not_installed() -> None:
    assert not [f for f in files("fairwatch") or [] if f.parts[0] == "tests"]


def test_the_lock_pins_by_version_and_hash_and_names_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text("utf-8")
    assert "://" not in lock
    pinned = re.findall(r"^([a-z0-9][a-z0-9._-]*)==\S+ \\\n\s+--hash=sha256:", lock, re.MULTILINE)
    named = re.findall(r"^([a-z0-9][a-z0-9._-]*)[=<>!~ @]", lock, re.MULTILINE)
    assert pinned == named


@pytest.mark.slow
def test_the_wheel_works_with_the_source_gone(tmp_path: Path) -> None:
    """What is built holds every question, template, policy and log it needs."""
    built = tmp_path / "built"
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    script = "import fairwatch.cli as c; print(c.__file__); c.main()"
    done = subprocess.run(
        [sys.executable, "-c", script, "demo", str(tmp_path / "demo")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "installed"))
    assert "Nothing older than" in done.stdout
