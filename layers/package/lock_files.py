"""Read lock files and choose the entries that a package needs."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def entries(lock: Path) -> dict[str, str]:
    """Map each `name==version` of a lock file to its entry with hashes."""
    entry = r"^(\w[\w.-]*==[^\s;\\]+).*(?:\n[ ].*)*"
    return {match[1]: match[0] for match in re.finditer(entry, lock.read_text(), re.MULTILINE)}


def subtract(wanted: dict[str, str], layer: dict[str, str], without: set[str]) -> dict[str, str]:
    """Return ``wanted`` without the layer's packages and those of ``without``.

    End the program if the layer has another version of a package.
    """
    shared = {_name(pin) for pin in layer}
    if strays := sorted(pin for pin in wanted if _name(pin) in shared and pin not in layer):
        sys.exit(f"The layer's lock has another version of {', '.join(strays)}: run `make lock`.")
    return {pin: entry for pin, entry in wanted.items() if _name(pin) not in shared | without}


def _name(pin: str) -> str:
    return pin.partition("==")[0]
