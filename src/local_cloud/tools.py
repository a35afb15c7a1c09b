"""Where the checkout keeps its environments, and what runs in them."""

from __future__ import annotations

import os
from pathlib import Path

from upstash_endpoint.children import PartFailed

CHECKOUT = Path(__file__).resolve().parents[2]


def interpreter(tool: str) -> str:
    """Return the Python of the environment that `make setup` made for `tool`.

    Raises PartFailed when it has not been made.
    """
    python = CHECKOUT / ".tools" / tool / "bin" / "python"
    if not python.exists():
        raise PartFailed(f"the {tool} tools are not installed: run make setup")
    return str(python)


def bare_environment(home: Path) -> dict[str, str]:
    """Return the environment of a program that shall see nothing of the user's own.

    Its temporary files go to `home`, so they go when that folder goes.
    """
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
