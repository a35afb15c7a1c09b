"""The command line `python -m package`, for a folder with a link to this one."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from . import __doc__ as description
from .budgets import UNZIPPED, ZIPPED, weigh
from .bytecode import compile_for
from .hashed_certificates import rehash
from .lock_files import entries, subtract
from .pruning import prune
from .wheels import GLIBC, MACHINES, install


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="package", description=description)
    parser.add_argument("sources", nargs="+", type=Path, help="modules and packages to copy")
    parser.add_argument("--architecture", required=True, choices=MACHINES)
    parser.add_argument("--python", required=True, choices=GLIBC, help="the version of the runtime")
    parser.add_argument("--into", required=True, type=Path, help="the folder to write to")
    parser.add_argument("--mounted", required=True, help="where Lambda mounts the folder")
    parser.add_argument("--requirements", type=Path, help="hashed lock of the packages to install")
    parser.add_argument("--layer", type=Path, help="hashed lock of the layer's packages")
    parser.add_argument("--without", nargs="*", default=[], help="packages to leave out")
    parser.add_argument("--services", nargs="*", default=[], help="AWS services to keep models of")
    parser.add_argument("--certificates", help="where to write certifi's, as a hashed folder")
    parser.add_argument("--budget", action="store_true", help="print the layer's budgets too")
    return parser.parse_args()


def main() -> None:
    """Install, copy, prune, compile, and print one line about the result."""
    wanted = options()
    wanted.into.mkdir(parents=True, exist_ok=True)
    if wanted.requirements:
        layer = entries(wanted.layer) if wanted.layer else {}
        chosen = subtract(entries(wanted.requirements), layer, set(wanted.without))
        install(chosen, wanted.into, wanted.architecture, wanted.python)
    copy(wanted.sources, wanted.into)
    prune(wanted.into, set(wanted.services))
    if wanted.certificates:
        rehash(wanted.into / "certifi/cacert.pem", wanted.into / wanted.certificates)
    compiled = compile_for(wanted.python, wanted.into, wanted.mounted)
    permit(wanted.into)
    # SAM shows the stdout of a successful build, and hides its stderr.
    name = "the layer" if wanted.budget else wanted.into.name
    target = f"{wanted.architecture} python{wanted.python}"
    print(f"==> {name} for {target}: {sizes(wanted.into, budget=wanted.budget)}, {compiled}")


def copy(sources: list[Path], site: Path) -> None:
    """Copy modules and packages without their bytecode."""
    bytecode = shutil.ignore_patterns("__pycache__")
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, site / source.name, ignore=bytecode)
        else:
            shutil.copy(source, site)


def permit(site: Path) -> None:
    """Let everyone read and only the owner write, whatever the host's umask is."""
    for path in [site, *site.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def sizes(site: Path, *, budget: bool) -> str:
    """Return both sizes in MB (10**6 bytes), with their budgets if ``budget`` is true."""
    unzipped, zipped = (f"{size / 1e6:.1f}" for size in weigh(site))
    if not budget:
        return f"{unzipped} MB, {zipped} MB zipped"
    return f"{unzipped} of {UNZIPPED / 1e6:.0f} MB, {zipped} of {ZIPPED / 1e6:.0f} MB zipped"


if __name__ == "__main__":
    main()
