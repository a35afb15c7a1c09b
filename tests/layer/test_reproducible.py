"""The same sources give the same bytes, in any folder and by any Python."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.layer.artifacts import HOST, ROOT, Artifacts, run

HOSTS = ("3.14", "3.13", "3.12", "3.11")


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    """Return the mode and hash of each file."""
    return {
        str(file.relative_to(folder)): (
            file.stat().st_mode & 0o777,
            hashlib.sha256(file.read_bytes()).hexdigest(),
        )
        for file in folder.rglob("*")
        if file.is_file()
    }


def another_python() -> str:
    """Return a Python with pip of another minor version, or this one if there is none."""
    for version in HOSTS:
        found = shutil.which(f"python{version}")
        if found and version != HOST.runtime.removeprefix("python"):
            command = [found, "-m", "pip", "--version"]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return found
    return sys.executable


def test_two_builds_in_different_environments_have_the_same_bytes(
    host: Artifacts, tmp_path: Path
) -> None:
    # The same Python compiles; the other Python finds it by this name.
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / HOST.runtime).symlink_to(Path(sys.executable).resolve())
    elsewhere = {
        "PATH": f"{tmp_path / 'path'}{os.pathsep}{os.environ['PATH']}",
        "PYTHON": another_python(),
        "PYTHONHASHSEED": "7",
        "TZ": "Asia/Tokyo",
        "LC_ALL": "C",
    }
    target = [f"ARCHITECTURE={HOST.architecture}", f"PYTHON_VERSION={HOST.runtime[6:]}"]
    make = ["make", "build-LlmCacheLayer", f"ARTIFACTS_DIR={tmp_path / 'a folder'}", *target]
    umask = os.umask(0o077)
    try:
        done = run(make, ROOT / "layers/llm_cache", **elsewhere)
    finally:
        os.umask(umask)
    assert done.returncode == 0, done.stderr
    assert contents(tmp_path / "a folder/python") == contents(host.layer)
