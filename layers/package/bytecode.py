"""Compile for the runtime, by a Python of its own minor version."""

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

# Of one minor version, any Python's bytecode runs; the same bytes come from the same release only
# (between 3.11.2 and 3.11.7, line numbers in 2 of 1,545 files differ). These are the newest that
# the locked uv knows.
RELEASES = {"3.11": "3.11.18", "3.12": "3.12.16", "3.13": "3.13.18", "3.14": "3.14.10"}
_VERSION = "import platform; print(platform.python_version())"
_WHERE = "import sys; print(getattr(sys, '_base_executable', sys.executable))"


def compile_for(runtime: str, site: Path, mounted: str) -> str:
    """Compile for the place the files will be mounted at, and say by what."""
    python = interpreter(runtime)
    if python is None:
        return f"no bytecode, for want of a python{runtime}, here or by uv: cold starts are slower"
    executable, version = python
    # SAM dates every file 1980-01-01, which makes bytecode that is checked by date stale at once.
    mode = ["--invalidation-mode", "unchecked-hash"]
    where = ["-s", str(site), "-p", mounted]
    # No setting of the host (PYTHONOPTIMIZE, PYTHONPYCACHEPREFIX, …) may reach into it. The seed of
    # hashes need not be fixed: from 3.11 on, Python writes the sets of compiled code in one order.
    environment = {"PATH": os.environ.get("PATH", "")}
    command = [executable, "-S", "-m", "compileall", "-q", *mode, *where, str(site)]
    if subprocess.run(command, env=environment, check=False).returncode:
        sys.exit(f"python{runtime} could not compile {site}.")
    if version == RELEASES[runtime]:
        return f"bytecode by Python {version}"
    return f"bytecode by Python {version} (not {RELEASES[runtime]}, whose bytes may be others)"


def interpreter(runtime: str) -> tuple[str, str] | None:
    """Find the release on this host, or have uv fetch it, or make do with its minor version.

    Returns the executable and its full version, or None where there is none of these.
    """
    here = list(_on_the_host(runtime))
    exact = [found for found in here if found[1] == RELEASES[runtime]]
    if not exact and (fetched := _by_uv(RELEASES[runtime])):
        exact = [fetched]
    return next(iter([*exact, *here]), None)


def _on_the_host(runtime: str) -> Iterator[tuple[str, str]]:
    """Yield those that really run: a pyenv shim may exist and not run."""
    for candidate in (sys.executable, f"python{runtime}"):
        version = _say([candidate, "-S", "-c", _VERSION])
        if version.rpartition(".")[0] == runtime:
            yield candidate, version


def _by_uv(release: str) -> tuple[str, str] | None:
    """Have uv find or fetch that release, whose hash it checks.

    UV_PYTHON_DOWNLOADS=never keeps it from fetching.
    """
    if find_spec("uv"):
        uv = [sys.executable, "-m", "uv"]
    elif found := shutil.which("uv"):
        uv = [found]
    else:
        return None
    alone = ["--quiet", "--no-project", "--no-config", "--python", release]
    executable = _say([*uv, "run", *alone, "python", "-S", "-c", _WHERE])
    return (executable, release) if executable else None


def _say(command: list[str]) -> str:
    """Return what a command prints, nothing when it fails."""
    # Without a network, uv gives up after one more try: there is another way to go on.
    environment = {"UV_HTTP_RETRIES": "1", **os.environ}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
