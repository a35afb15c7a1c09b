"""Install wheels of the target, whatever the host is."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
# The minor version of glibc 2 in each runtime: Amazon Linux 2 below python3.12, 2023 from there on.
GLIBC = {"3.11": 26, "3.12": 34, "3.13": 34, "3.14": 34}


def platforms(architecture: str, python: str) -> list[str]:
    """List the wheel platforms the runtime accepts, newest first (pip does not expand one)."""
    machine = MACHINES[architecture]
    perennial = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC[python], 4, -1)]
    return [*perennial, f"manylinux2014_{machine}"]


def install(requirements: dict[str, str], into: Path, architecture: str, python: str) -> None:
    """Install wheels of the target, each checked against its hash, and no bytecode of the host.

    Ends the program with pip's status when pip fails, its own words being enough.
    """
    with tempfile.TemporaryDirectory() as scratch:
        chosen = Path(scratch, "requirements.txt")
        chosen.write_text("\n".join(requirements.values()))
        # A lock is complete, so pip need not resolve: it would do so for the host.
        fixed = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile"]
        target = ["--target", str(into)]
        # A local cloud on a Mac runs the functions there, which Linux's wheels do not.
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
