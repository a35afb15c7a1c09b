"""Leave out of a package what nothing that runs there reads, by rule."""

from __future__ import annotations

import base64
import csv
import hashlib
import shutil
from typing import TYPE_CHECKING, NamedTuple

from .elf import strip

if TYPE_CHECKING:
    from pathlib import Path


class Rule(NamedTuple):
    """What is left out, where it lies, and why nothing misses it."""

    what: str
    patterns: tuple[str, ...]
    because: str


# The metadata of packages (dist-info) stays: versions and entry points are read at run time.
RULES = (
    Rule(
        "scripts", ("bin",), "a function starts none, and their first lines name the host's Python"
    ),
    Rule("tests", ("*/tests",), "no module of their package imports them"),
    Rule("type stubs", ("*-stubs", "**/*.pyi"), "type checkers read them, Python does not"),
    Rule("sources in C", ("**/*.c",), "they are compiled"),
    Rule("plugins of mypy", ("pydantic/mypy.py", "pydantic/v1/mypy.py"), "mypy alone imports them"),
    Rule(
        "LangSmith beside tracing",
        (
            *("langsmith/sandbox", "langsmith/integrations", "langsmith/cli"),
            *("langsmith/testing", "langsmith/pytest_plugin.py"),
        ),
        "LangChain imports its client and its traces; these run sandboxes, tests and a command "
        "line, and trace other SDKs",
    ),
    Rule(
        "zstandard's second backend",
        ("zstandard/_cffi.*.so", "zstandard/backend_cffi.py"),
        "CPython takes the one in C; this one needs cffi, which is not here",
    ),
)


def slim(site: Path, services: set[str]) -> None:
    """Apply the rules, drop the models of other AWS services, and strip native libraries."""
    for rule in RULES:
        for pattern in rule.patterns:
            for path in sorted(site.glob(pattern)):
                _remove(path)
    for model in site.glob("botocore/data/*/"):
        if model.is_dir() and model.name not in services:
            shutil.rmtree(model)
    for library in sorted(site.rglob("*.so*")):
        library.write_bytes(strip(library.read_bytes()))
    for record in sorted(site.glob("*.dist-info/RECORD")):
        _correct(record, site)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _correct(record: Path, site: Path) -> None:
    """List what is there now; pip's list holds hashes of scripts, which name the host's Python."""
    with record.open(newline="") as file:
        names = [row[0] for row in csv.reader(file)]
    rows = [_row(name, site) for name in sorted(names) if _is_here(name, site)]
    with record.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _is_here(name: str, site: Path) -> bool:
    return not name.startswith("..") and (site / name).is_file()


def _row(name: str, site: Path) -> tuple[str, str, str]:
    if name.endswith(".dist-info/RECORD"):
        return name, "", ""
    content = (site / name).read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return name, f"sha256={digest}", str(len(content))
