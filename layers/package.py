"""Package a layer or a function for its own architecture and Python, from any host, without Docker.

`sam build` works in a scratch copy of one folder, so every folder that it builds links to this file
as `package`. It needs pip and the standard library, nothing else.
"""  # noqa: INP001

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
# The minor version of glibc 2 in each runtime: Amazon Linux 2 below python3.12, 2023 from there on.
GLIBC = {"3.11": 26, "3.12": 34, "3.13": 34, "3.14": 34}


def entries(lock: Path) -> dict[str, str]:
    """Map each `name==version` of a lock file to its entry, hashes included."""
    entry = r"^(\w[\w.-]*==[^\s;\\]+).*(?:\n[ ].*)*"
    return {match[1]: match[0] for match in re.finditer(entry, lock.read_text(), re.MULTILINE)}


def name(pin: str) -> str:
    """Return the package's name in a `name==version`."""
    return pin.partition("==")[0]


def subtract(wanted: dict[str, str], layer: dict[str, str], without: set[str]) -> dict[str, str]:
    """Leave out what the layer brings (at the same version, or fail) and what is not wanted."""
    shared = {name(pin) for pin in layer}
    if strays := sorted(pin for pin in wanted if name(pin) in shared and pin not in layer):
        sys.exit(f"The layer's lock has another version of {', '.join(strays)}: run `make lock`.")
    return {pin: entry for pin, entry in wanted.items() if name(pin) not in shared | without}


def platforms(architecture: str, python: str) -> list[str]:
    """List the wheel platforms the runtime accepts, newest first (pip does not expand one)."""
    machine = MACHINES[architecture]
    perennial = [f"manylinux_2_{minor}_{machine}" for minor in range(GLIBC[python], 4, -1)]
    return [*perennial, f"manylinux2014_{machine}"]


def install(requirements: dict[str, str], into: Path, architecture: str, python: str) -> None:
    """Install wheels of the target, each checked against its hash, and no bytecode of the host."""
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
        run([*pip, *fixed, *target, "--requirement", str(chosen)])


def run(command: list[str]) -> None:
    """Run a command; end with its exit status when it fails, its own words being enough."""
    # Sets are ordered by hash, and compiled code holds sets.
    status = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}, check=False)
    if status.returncode:
        sys.exit(status.returncode)


def prune(site: Path, services: set[str]) -> None:
    """Remove scripts, tests, and the models of the AWS services that nothing here calls."""
    for folder in [site / "bin", *site.glob("*/tests")]:
        shutil.rmtree(folder, ignore_errors=True)
    for model in site.glob("botocore/data/*/"):
        if model.is_dir() and model.name not in services:
            shutil.rmtree(model)


def copy(sources: list[Path], site: Path) -> None:
    """Copy modules and packages as they are, less the bytecode of whoever imported them."""
    for source in sources:
        if source.is_dir():
            shutil.copytree(
                source, site / source.name, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(source, site)


def interpreter(version: str) -> str | None:
    """Find a Python of that minor version which really runs: a pyenv shim may exist and not run."""
    for candidate in (sys.executable, f"python{version}"):
        ask = [candidate, "-S", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        try:
            answer = subprocess.run(ask, capture_output=True, text=True, check=False).stdout
        except OSError:
            continue
        if answer.strip() == version:
            return candidate
    return None


def compile_bytecode(site: Path, mounted: str, version: str) -> str:
    """Compile for the place the files will be mounted at, and say what was done."""
    python = interpreter(version)
    if python is None:
        return f"no bytecode, for want of a python{version} on the PATH: cold starts are slower"
    # SAM dates every file 1980-01-01, which makes bytecode that is checked by date stale at once.
    mode = ["--invalidation-mode", "unchecked-hash"]
    where = ["-s", str(site), "-p", mounted]
    run([python, "-S", "-m", "compileall", "-q", *mode, *where, str(site)])
    return f"bytecode by python{version}"


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="package", description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path, help="modules and packages to copy")
    parser.add_argument("--architecture", required=True, choices=MACHINES)
    parser.add_argument("--python", required=True, choices=GLIBC, help="the runtime's version")
    parser.add_argument("--into", required=True, type=Path, help="the folder to fill")
    parser.add_argument("--mounted", required=True, help="where Lambda will mount that folder")
    parser.add_argument("--requirements", type=Path, help="hashed lock of what to install")
    parser.add_argument("--layer", type=Path, help="hashed lock of what the layer brings already")
    parser.add_argument("--without", nargs="*", default=[], help="packages no import reaches")
    parser.add_argument("--services", nargs="*", default=[], help="AWS services to keep models of")
    return parser.parse_args()


def main() -> None:
    """Install, prune, copy, compile, and print one line about the result."""
    wanted = options()
    wanted.into.mkdir(parents=True, exist_ok=True)
    if wanted.requirements:
        layer = entries(wanted.layer) if wanted.layer else {}
        chosen = subtract(entries(wanted.requirements), layer, set(wanted.without))
        install(chosen, wanted.into, wanted.architecture, wanted.python)
        prune(wanted.into, set(wanted.services))
    copy(wanted.sources, wanted.into)
    compiled = compile_bytecode(wanted.into, wanted.mounted, wanted.python)
    size = sum(file.stat().st_size for file in wanted.into.rglob("*") if file.is_file())
    # On stdout, because SAM shows that and hides the stderr of a build that succeeds.
    print(f"==> {wanted.architecture} python{wanted.python}: {size / 1e6:.1f} MB, {compiled}")


if __name__ == "__main__":
    main()
