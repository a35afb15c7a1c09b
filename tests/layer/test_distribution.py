"""The sdist, and the wheel built from it, as ``python -m build`` makes them."""

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

import llm_cache

PACKAGES = ("llm_cache", "upstash_endpoint")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, capture_output=True)
    return target


def packages(checkout: Path) -> set[str]:
    """Return the files of both packages."""
    modules = (path for name in PACKAGES for path in (checkout / "src" / name).rglob("*.py"))
    typed = {f"{name}/py.typed" for name in PACKAGES}
    return typed | {str(path.relative_to(checkout / "src")) for path in modules}


def run(installed: Path, *command: str) -> str:
    """Run a command that imports the installed package, not the checkout's."""
    environ = {**os.environ, "PYTHONPATH": str(installed)}
    ran = subprocess.run(
        command, env=environ, cwd=installed, check=True, capture_output=True, text=True
    )
    return ran.stdout.strip()


def test_sdist_contains_only_the_library_the_endpoint_and_the_documents(
    sdist: Path, checkout: Path
) -> None:
    files = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}
    documents = {"LICENSE", "pyproject.toml", ".gitignore", "PKG-INFO"}
    documents |= {path.name for path in checkout.glob("*.md")}
    documents |= {f"docs/{path.name}" for path in (checkout / "docs").iterdir()}
    sources = {f"src/{name}" for name in packages(checkout)}
    assert files == documents | sources


def test_wheel_contains_every_module(wheel: Path, checkout: Path) -> None:
    with ZipFile(wheel) as opened:
        packed = {name for name in opened.namelist() if ".dist-info/" not in name}
    assert packed == packages(checkout)


def test_installed_wheel_exports_every_public_name(installed: Path) -> None:
    script = "import llm_cache; [getattr(llm_cache, name) for name in llm_cache.__all__]"
    found = run(installed, sys.executable, "-c", f"{script}; print(llm_cache.__file__)")
    assert Path(found) == installed / "llm_cache/__init__.py"


def test_installed_command_prints_the_version(installed: Path) -> None:
    command = installed / "bin/llm-cache"
    assert run(installed, str(command), "--version") == llm_cache.__version__
