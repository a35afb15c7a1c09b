"""Paths of the checkout and of the tools that `make setup` installs in it."""

import os
from pathlib import Path

from upstash_endpoint.children import PartFailed

CHECKOUT = Path(__file__).resolve().parents[3]


def interpreter(tool: str) -> str:
    """Return the Python of a tool's environment; raise PartFailed if it is not installed."""
    python = CHECKOUT / ".tools" / tool / "bin" / "python"
    if not python.exists():
        raise PartFailed(f"the {tool} tools are not installed: run make setup")
    return str(python)


def bare_environment(home: Path) -> dict[str, str]:
    """Return environment variables that hide the user's own settings from a program.

    Its temporary files go to `home` and are removed with it.
    """
    home.mkdir(parents=True, exist_ok=True)
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
    }
