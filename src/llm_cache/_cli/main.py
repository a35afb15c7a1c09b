"""The entry point of ``llm-cache``, which works without the packages of the extra ``cli`` too."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

PACKAGES = ("httpx", "rich", "typer")  # of the extra
MISSING = "llm-cache is not installed completely: pip install 'lambda-llm-cache[cli]'"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; see ``failures.ExitCode``."""
    if not all(map(find_spec, PACKAGES)):
        print(MISSING, file=sys.stderr)
        return 2
    from llm_cache._cli.app import run

    return run(arguments)
