"""One table that a person reads at a glance, printed row by row as things happen."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

COLUMNS = (
    ("what", 50),
    ("status", 8),
    ("TTL left", 9),
    ("time", 9),
    ("speed-up", 9),
    ("tokens saved", 12),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that happened; a cell left at None stays empty."""

    what: str
    status: str = ""
    ttl: float | None = None
    seconds: float | None = None
    speed_up: float | None = None
    tokens: int | None = None

    def cells(self) -> Sequence[str]:
        """Return the cells as text, in the order of ``COLUMNS``."""
        return (
            self.what,
            self.status,
            "" if self.ttl is None else _duration(self.ttl),
            "" if self.seconds is None else f"{self.seconds:.3f} s",
            "" if self.speed_up is None else f"{self.speed_up:.0f}x",
            "" if not self.tokens else str(self.tokens),
        )


def print_heading(out: TextIO = sys.stdout) -> None:
    """Print the names of the columns, and a rule."""
    _print([name for name, _ in COLUMNS], out)
    print("-" * (sum(width for _, width in COLUMNS) + 2 * len(COLUMNS) - 2), file=out)


def print_row(row: Row, out: TextIO = sys.stdout) -> None:
    """Print one row."""
    _print(row.cells(), out)


def _print(cells: Sequence[str], out: TextIO) -> None:
    padded = [
        f"{cell:<{width}}" if name in ("what", "status") else f"{cell:>{width}}"
        for cell, (name, width) in zip(cells, COLUMNS, strict=True)
    ]
    print("  ".join(padded).rstrip(), file=out, flush=True)


def _duration(seconds: float) -> str:
    whole = int(seconds)
    if whole < 120:  # noqa: PLR2004
        return f"{whole} s"
    return f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"  # noqa: PLR2004
