"""The versions of this installation."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from llm_cache._doctor.finding import Finding, passed
from llm_cache._version import __version__

PACKAGES = ("langchain-core", "upstash-redis")


def check_versions() -> Finding:
    """Return the versions of the library, of its two clients and of Python."""
    found = [f"{package} {_version(package)}" for package in PACKAGES]
    python = f"Python {platform.python_version()}"
    return passed("versions", ", ".join([f"lambda-llm-cache {__version__}", *found, python]))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"
