"""Install wheels for the target, on any host."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
# The minor version of glibc 2 in each runtime: Amazon Linux 2 before python3.12, 2023 since.
GLIBC = {"3.11": 26, "3.12": 34, "3.13": 34, "3.14": 34}


def platforms(architecture: str, python: str) -> list[str]:
    """List the wheel platforms that the runtime accepts, newest first."""
    machine = MACHINES[architecture]
    perennial = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC[python], 4, -1)]
    return [*perennial, f"manylinux2014_{machine}"]


def install(requirements: dict[str, str], into: Path, architecture: str, python: str) -> None:
    """Install wheels for the target, checked by hash, without bytecode.

    End the program with pip's exit status if pip fails.
    """
    with tempfile.TemporaryDirectory() as scratch:
        chosen = Path(scratch, "requirements.txt")
        chosen.write_text("\n".join(requirements.values()))
        # pip would resolve for the host; the lock is complete.
        fixed = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile"]
        target = ["--target", str(into)]
        # The local cloud on a Mac runs the functions on the Mac, which cannot load Linux wheels.
        if os.environ.get("PACKAGE_FOR") != "host":
            target += ["--implementation", "cp", "--python-version", python]
            target += [f"--platform={platform}" for platform in platforms(architecture, python)]
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        status = run([*pip, *fixed, *target, "--requirement", str(chosen)])
    if status:
        sys.exit(status)


def run(command: list[str]) -> int:
    """Run a command and return its exit status."""
    return subprocess.run(command, check=False).returncode
