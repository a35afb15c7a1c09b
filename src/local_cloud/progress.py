"""Print progress lines while a command runs."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator

LONG_SECONDS = 2.0


def to_stderr(line: str) -> None:
    """Print a progress line to stderr, apart from the results."""
    print(f"==> {line}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def step(name: str, report: Callable[[str], None]) -> Iterator[None]:
    """Report the start of a step, and its duration if it is longer than LONG_SECONDS."""
    began = time.monotonic()
    report(name)
    yield
    seconds = time.monotonic() - began
    if seconds > LONG_SECONDS:
        report(f"{name}: {seconds:.1f} s")
