"""Record everything that a program says: log lines at DEBUG, and errors with their causes."""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DETAILED = logging.Formatter("%(name)s %(message)s")  # followed by the traceback, if any


class Recorder(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{DETAILED.format(record)} {record.__dict__!r}")

    def run(self, call: Callable[[], object]) -> None:
        """Run a call to its end, awaited if need be, and record its error."""
        try:
            if inspect.iscoroutine(work := call()):
                asyncio.run(work)
        except Exception as error:  # noqa: BLE001  each is recorded
            self.lines += [*traceback.format_exception(error), repr(error), str(error)]

    def leaks(self, mark: str) -> list[str]:
        """Return the text around each occurrence of ``mark``."""
        found = (text.partition(mark) for text in self.lines if mark in text)
        return [f"{before[-150:]}{mark}{after[:30]}" for before, _, after in found]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@contextmanager
def recorded_output() -> Iterator[Recorder]:
    """Record every logger; a logger with a level of its own keeps it."""
    recorder, root = Recorder(), logging.getLogger()
    every = [one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    loggers = [root, *(one for one in every if not one.propagate)]
    level = root.level
    root.setLevel(logging.DEBUG)
    for one in loggers:
        one.addHandler(recorder)
    try:
        yield recorder
    finally:
        root.setLevel(level)
        for one in loggers:
            one.removeHandler(recorder)
