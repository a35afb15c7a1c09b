"""Read lock files, and choose from them what a package needs."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


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
