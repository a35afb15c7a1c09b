"""`make run` and `make setup` in a fresh checkout, which install as much as they print."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.repository.pages import ROOT

TOLERANCE = 0.25  # platforms and versions of Python differ
STATED = re.compile(r"^==> installing .+ into (\S+) \(about (\d+) MB\)$", re.MULTILINE)
MEASURED = re.compile(r"^==> (\S+) has (\d+) MB, after \d+ s$", re.MULTILINE)
BUILT = re.compile(r"builds the layer and the functions \(about (\d+) MB\)")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The tracked files, in a folder with a space in its name."""
    folder = tmp_path_factory.mktemp("fresh checkout")
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in filter(None, names.split("\0")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name, follow_symlinks=False)
    yield folder
    shutil.rmtree(folder)


def make(checkout: Path, *arguments: str) -> str:
    own = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "VIRTUAL_ENV")  # of a make that started these tests
    env = {name: value for name, value in os.environ.items() if name not in own}
    python = Path(sys.base_prefix, "bin", f"python3.{sys.version_info.minor}")
    command = ["make", *arguments, f"PYTHON={python}"]
    done = subprocess.run(
        command, cwd=checkout, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def megabytes(folder: Path) -> int:
    command = ["du", "-sm", str(folder)]
    size, _ = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\t")
    return int(size)


@pytest.fixture(scope="module")
def first_run(checkout: Path) -> str:
    return make(checkout, "run", "MODEL=echo")


@pytest.fixture(scope="module")
def setup(checkout: Path, first_run: str) -> str:
    return first_run + make(checkout, "setup")


def test_first_run_needs_neither_the_test_tools_nor_the_model(
    checkout: Path, first_run: str
) -> None:
    assert "All as expected" in first_run
    assert not (checkout / ".venv/bin/pytest").exists()
    assert not (checkout / ".tools/model").exists()


def test_stated_size_of_each_installation_is_true(setup: str) -> None:
    stated: dict[str, int] = {}
    for folder, size in STATED.findall(setup):  # two installations share a folder
        stated[folder] = stated.get(folder, 0) + int(size)
    tools = {f".tools/{name}" for name in ("sam", "aws", "runtime", "model")}
    assert stated.keys() == {".venv", *tools}
    measured = {folder: int(size) for folder, size in MEASURED.findall(setup)}
    assert measured == pytest.approx(stated, rel=TOLERANCE)


def test_stated_size_of_the_build_is_true(checkout: Path, first_run: str) -> None:
    (stated,) = BUILT.findall(first_run)
    assert megabytes(checkout / ".build") == pytest.approx(int(stated), rel=TOLERANCE)


def test_second_run_installs_nothing(checkout: Path, first_run: str) -> None:
    assert make(checkout, "plan", "run", "--dry-run", "MODEL=echo").count("install") == 0
