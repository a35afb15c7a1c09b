"""``llm-cache stats --watch``."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from llm_cache._admin.namespace import time_limit
from llm_cache._cli.connection import Connection
from llm_cache._cli.failures import ExitCode
from llm_cache._cli.formats import size
from llm_cache._cli.output import Output
from llm_cache._inspect.entry_pages import Listed, Selection, State, read_pages
from llm_cache._inspect.totals import Share, Totals

SAMPLE = 2.0  # seconds of the first round; the later ones read as many pages
HEADER_EVERY = 20  # lines
COLUMNS = ("time", "entries", "bytes", "live", "cleared", "expired", "stored", "gone")


class Round(NamedTuple):
    """One count. ``stored`` since the round before; ``sample``: it reached not every key."""

    began: float
    totals: Totals
    stored: int
    pages: int
    sample: bool

    def share(self, state: State) -> int:
        """Return the number of entries in a state."""
        return self.totals.states.get(state, Share()).entries

    def row(self, before: Round | None) -> dict[str, Any]:
        """Return the round's line; a stored entry may replace another one, which is gone."""
        entries = self.totals.sum.entries
        gone = before.totals.sum.entries + self.stored - entries if before else 0
        return {
            "time": time.strftime("%H:%M:%S", time.localtime(self.began)),
            **self.totals.sum._asdict(),
            **{state: self.share(state) for state in (State.LIVE, State.CLEARED, State.EXPIRED)},
            "stored": self.stored if before else 0,
            "gone": max(gone, 0),
            "sample": self.sample,
        }


def watch(connection: Connection, output: Output, selection: Selection, *, interval: float) -> int:
    """Print a line for each count until Ctrl-C.

    A count that takes longer than ``SAMPLE`` seconds reads the same part of the keys each time.
    """
    before: Round | None = None
    lines = 0
    try:
        while True:
            found = _round(connection, selection, before)
            if before is None and found.sample:
                output.warn("a sample: each line counts the same part of the keys")
            if lines % HEADER_EVERY == 0 and not output.as_json:
                output.show({}, _line(COLUMNS))
            row = found.row(before)
            output.show(row, _line([_cell(name, row[name]) for name in COLUMNS]))
            before, lines = found, lines + 1
            time.sleep(max(0.0, found.began + interval - time.time()))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED


def _round(connection: Connection, selection: Selection, before: Round | None) -> Round:
    began, totals, recent, pages = time.time(), Totals(), 0, 0
    since = before.began if before else began
    in_time = time_limit(SAMPLE)

    def visit(entries: Sequence[Listed]) -> None:
        nonlocal recent, pages
        pages += 1
        totals.add(entries)
        recent += sum(each.age is not None and each.now - each.age > since for each in entries)

    def proceed() -> bool:
        if before is None:
            return in_time()
        return not before.sample or pages < before.pages

    read = connection.run(read_pages(selection, "0", clock=time.time, visit=visit, proceed=proceed))
    if read.failure:
        raise read.failure
    return Round(began, totals, recent, pages, not read.complete)


def _cell(name: str, value: object) -> str:
    if name == "bytes":
        return size(float(str(value)))
    return f"{value:,}" if isinstance(value, int) else str(value)


def _line(cells: Sequence[str]) -> str:
    return " ".join(f"{cell:>9}" for cell in cells)
