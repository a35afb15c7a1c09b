"""Remove the files of a package that no code on Lambda reads."""

from __future__ import annotations

import base64
import csv
import hashlib
import shutil
from typing import TYPE_CHECKING, NamedTuple

from .elf_strip import strip

if TYPE_CHECKING:
    from pathlib import Path


class Rule(NamedTuple):
    """The files to remove, and why no code needs them."""

    what: str
    patterns: tuple[str, ...]
    reason: str


# The metadata of packages (dist-info) stays: code reads versions and entry points.
RULES = (
    Rule("scripts", ("bin",), "no function runs them, and they name the host's Python"),
    Rule("tests", ("*/tests",), "no module imports them"),
    Rule("type stubs", ("*-stubs", "**/*.pyi"), "only type checkers read them"),
    Rule("C sources", ("**/*.c",), "they are compiled"),
    Rule(
        "the command line",
        (
            *("llm_cache/__main__.py", "llm_cache/_cli", "llm_cache/_doctor"),
            *("llm_cache/_inspect", "llm_cache/_stack"),
        ),
        "operators run it, no function does",
    ),
    Rule(
        "code for packages that are not installed",
        ("anyio/_backends/_trio.py", "httpx/_main.py"),
        "they import trio and click; anyio loads a backend by name, and httpx does without",
    ),
    Rule(
        "pytest plugins",
        ("llm_cache/testing", "anyio/pytest_plugin.py"),
        "only pytest loads them",
    ),
    Rule("mypy plugins", ("pydantic/mypy.py", "pydantic/v1/mypy.py"), "only mypy imports them"),
    Rule(
        "LangSmith except tracing",
        (
            *("langsmith/sandbox", "langsmith/integrations", "langsmith/cli"),
            *("langsmith/testing", "langsmith/pytest_plugin.py"),
        ),
        "LangChain imports only its client and tracing; these are sandboxes, tests, a command line "
        "and other SDKs",
    ),
    Rule(
        "zstandard's second backend",
        ("zstandard/_cffi.*.so", "zstandard/backend_cffi.py"),
        "CPython uses the C backend; this one needs cffi, which is not installed",
    ),
)


def prune(site: Path, services: set[str]) -> None:
    """Apply the rules, remove the models of other AWS services, and strip native libraries."""
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
        _rewrite(record, site)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


def _rewrite(record: Path, site: Path) -> None:
    """List the files that are left; pip also lists scripts, whose hashes depend on the host."""
    with record.open(newline="") as file:
        names = [row[0] for row in csv.reader(file)]
    rows = [_row(name, site) for name in sorted(names) if _exists(name, site)]
    with record.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def _exists(name: str, site: Path) -> bool:
    return not name.startswith("..") and (site / name).is_file()


def _row(name: str, site: Path) -> tuple[str, str, str]:
    if name.endswith(".dist-info/RECORD"):
        return name, "", ""
    content = (site / name).read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return name, f"sha256={digest}", str(len(content))
