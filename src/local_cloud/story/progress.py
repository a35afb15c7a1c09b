"""Say what is going on while somebody waits."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORTH_A_LINE_SECONDS = 2.0


def to_stderr(line: str) -> None:
    """Print a line where it does not mix with results."""
    print(f"==> {line}", file=sys.stderr, flush=True)


def to_nobody(line: str) -> None:
    """Say nothing."""


@contextlib.contextmanager
def step(what: str, say: Callable[[str], None]) -> Iterator[None]:
    """Say `what` begins, and how long it took if that was long."""
    began = time.monotonic()
    say(what)
    yield
    seconds = time.monotonic() - began
    if seconds > WORTH_A_LINE_SECONDS:
        say(f"{what}: {seconds:.1f} s")
