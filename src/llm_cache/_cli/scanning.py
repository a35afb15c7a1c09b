"""Scan a namespace in short steps, with progress, until the time is up or Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn

STEP = 0.5  # seconds of one step, after which the progress is shown
SECONDS = 60.0  # of a scan by default
LINE_EVERY = 10.0  # seconds between two lines of progress without a terminal

Report = Callable[[str], None]


@contextmanager
def progress() -> Iterator[Report]:
    """Yield a function that shows a text on stderr.

    A terminal shows the last text on one line; without one, a line is printed from time to time.
    """
    if sys.stderr.isatty():
        columns = TextColumn("{task.description}"), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("scanning")
            yield lambda text: bar.update(task, description=text)
    else:
        yield _lines()


def _lines() -> Report:
    printed = time.monotonic()

    def report(text: str) -> None:
        nonlocal printed
        if time.monotonic() - printed >= LINE_EVERY:
            printed = time.monotonic()
            print(text, file=sys.stderr, flush=True)

    return report


class Progressing(Protocol):
    """The result of a scan so far."""

    @property
    def done(self) -> bool:
        """Whether no step is left, or an error ended the scan."""


S = TypeVar("S", bound=Progressing)


def scan(
    step: Callable[[S, float], S], start: S, *, seconds: float, describe: Callable[[S], str]
) -> tuple[S, bool]:
    """Run steps until the scan is done or ``seconds`` are over.

    ``step`` takes the result so far and the seconds to spend, and returns the new result. Returns
    the result, and whether Ctrl-C ended the scan; the steps before it count.
    """
    result, deadline = start, time.monotonic() + seconds
    with progress() as report:
        try:
            while True:
                left = deadline - time.monotonic()
                result = step(result, min(STEP, left))
                if result.done or left <= STEP:
                    return result, False
                report(describe(result))
        except KeyboardInterrupt:
            return result, True
