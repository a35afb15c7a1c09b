"""Hears all that a program says: log lines at DEBUG, output, warnings, errors with their causes."""

import asyncio
import inspect
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

DETAILED = logging.Formatter("%(name)s %(message)s")  # and the traceback, where there is one


class Witness(logging.Handler):
    """What was said so far."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(f"{DETAILED.format(record)} {record.__dict__!r}")

    def hear(self, call: Callable[[], object]) -> None:
        """Run a call to its end, awaited if need be; what it raises is told with all its causes."""
        try:
            if inspect.iscoroutine(begun := call()):
                asyncio.run(begun)
        except Exception as error:  # noqa: BLE001  each is something said
            self.said += [*traceback.format_exception(error), repr(error), str(error)]

    def leaks(self, mark: str) -> list[str]:
        """Return the surroundings of each place where a mark was said."""
        found = (text.partition(mark) for text in self.said if mark in text)
        return [f"{before[-150:]}{mark}{after[:30]}" for before, _, after in found]

    @property
    def text(self) -> str:
        return "\n".join(self.said)


@contextmanager
def witness() -> Iterator[Witness]:
    """Listen to every logger; one that has a level of its own keeps it, as a user would have it."""
    heard, root = Witness(), logging.getLogger()
    deaf = [one for one in root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    loggers = [root, *(one for one in deaf if not one.propagate)]
    level = root.level
    root.setLevel(logging.DEBUG)
    for one in loggers:
        one.addHandler(heard)
    try:
        yield heard
    finally:
        root.setLevel(level)
        for one in loggers:
            one.removeHandler(heard)
