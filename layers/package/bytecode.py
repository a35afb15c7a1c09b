"""Compile to bytecode with a Python of the runtime's minor version."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Bytecode of any release of a minor version runs, but only the same release writes the same bytes
# (2 of 1,545 files differ between 3.11.2 and 3.11.7). The locked uv knows no newer releases.
RELEASES = {"3.11": "3.11.18", "3.12": "3.12.16", "3.13": "3.13.18", "3.14": "3.14.10"}
_VERSION = "import platform; print(platform.python_version())"
_WHERE = "import sys; print(getattr(sys, '_base_executable', sys.executable))"


def compile_for(runtime: str, site: Path, mounted: str) -> str:
    """Compile for the path ``mounted``; return a description of the compiler."""
    python = interpreter(runtime)
    if python is None:
        return f"no bytecode: found no python{runtime}, and uv gives none; cold starts are slower"
    executable, version = python
    # SAM dates every file 1980-01-01, so bytecode checked by date would be stale.
    mode = ["--invalidation-mode", "unchecked-hash"]
    where = ["-s", str(site), "-p", mounted]
    # No setting of the host (PYTHONOPTIMIZE, PYTHONPYCACHEPREFIX, …) may change the result. A fixed
    # hash seed is not needed: from 3.11 on, Python writes sets in one order.
    environment = {"PATH": os.environ.get("PATH", "")}
    command = [executable, "-S", "-m", "compileall", "-q", *mode, *where, str(site)]
    if subprocess.run(command, env=environment, check=False).returncode:
        sys.exit(f"python{runtime} could not compile {site}.")
    if version == RELEASES[runtime]:
        return f"bytecode by Python {version}"
    return f"bytecode by Python {version} (not {RELEASES[runtime]}, whose bytes may differ)"


def interpreter(runtime: str) -> tuple[str, str] | None:
    """Return the executable and version of the release, or of another of its minor version.

    The release is looked for on this host, then by uv. Return None if neither is found.
    """
    here = list(_on_the_host(runtime))
    exact = [found for found in here if found[1] == RELEASES[runtime]]
    if not exact and (fetched := _by_uv(RELEASES[runtime])):
        exact = [fetched]
    return next(iter([*exact, *here]), None)


def _on_the_host(runtime: str) -> Iterator[tuple[str, str]]:
    """Yield the interpreters that really run; a pyenv shim may not."""
    for candidate in (sys.executable, f"python{runtime}"):
        version = _output([candidate, "-S", "-c", _VERSION])
        if version.rpartition(".")[0] == runtime:
            yield candidate, version


def _by_uv(release: str) -> tuple[str, str] | None:
    """Let uv find or download the release, unless UV_PYTHON_DOWNLOADS=never."""
    if find_spec("uv"):
        uv = [sys.executable, "-m", "uv"]
    elif found := shutil.which("uv"):
        uv = [found]
    else:
        return None
    alone = ["--quiet", "--no-project", "--no-config", "--python", release]
    executable = _output([*uv, "run", *alone, "python", "-S", "-c", _WHERE])
    return (executable, release) if executable else None


def _output(command: list[str]) -> str:
    """Return the output of a command; nothing if it fails."""
    # Without a network, uv stops after one more attempt, and another Python compiles.
    environment = {"UV_HTTP_RETRIES": "1", **os.environ}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
