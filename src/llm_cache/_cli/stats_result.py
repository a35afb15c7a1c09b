"""The result of ``llm-cache stats``, as tables or as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from llm_cache._cli import entry_lines
from llm_cache._cli.counting import Counted, describe
from llm_cache._cli.formats import duration, size, table
from llm_cache._inspect.database import Database
from llm_cache._inspect.entry_pages import State
from llm_cache._inspect.totals import TTL_BOUNDS, Share, Totals, total

BAR = 30  # characters of the longest bar
SHOWN = 30  # namespaces in the text; JSON has all
TTL_LABELS = ("under 1 min", "under 1 h", "under 1 d", "under 7 d", "under 30 d", "30 d or more")
MEANINGS = {
    State.LIVE: "a lookup finds it",
    State.EXPIRED: "kept for stale_if_error",
    State.CLEARED: "llm-cache reclaim frees it",
    State.UNREADABLE: "not written by this version",
}


def as_json(counted: Counted, database: Database) -> dict[str, Any]:
    """Return the result as JSON values; times are seconds."""
    totals, ages, failure = counted.totals, counted.totals.ages, counted.read.failure
    known = ages.median is not None
    return {
        **totals.sum._asdict(),
        "states": _states(totals.states),
        "age": {
            "youngest": ages.youngest if known else None,
            "median": ages.median,
            "oldest": ages.oldest if known else None,
        },
        "ttl_left": [
            {"below": None if math.isinf(bound) else bound, "entries": totals.left[bound]}
            for bound in TTL_BOUNDS
        ],
        "largest": [entry_lines.as_json(entry) for entry in totals.largest],
        "namespaces": [
            {"namespace": name, **total(states)._asdict(), "states": _states(states)}
            for name, states in totals.by_size()
        ],
        "database": database._asdict(),
        "cursor": counted.read.cursor,
        "failure": failure and str(failure),
    }


def _states(states: Mapping[State, Share]) -> dict[str, dict[str, int]]:
    return {state: states.get(state, Share())._asdict() for state in State}


def as_text(what: str, totals: Totals, database: Database, *, every: bool) -> str:
    """Return the result as tables; ``every``: of all namespaces."""
    return "\n\n".join([f"{what}: {describe(totals)}", *_sections(totals, database, every=every)])


def _sections(totals: Totals, database: Database, *, every: bool) -> Iterator[str]:
    yield _database(totals.sum, database)
    if not totals.sum.entries:
        yield "no entry: check the namespace; llm-cache stats --all shows the others"
        return
    if every:
        yield _namespaces(totals)
    yield _state_table(totals)
    yield _ages(totals)
    yield _time_left(totals)
    largest = (entry_lines.as_text(entry, full_key=every) for entry in totals.largest)
    yield "\n".join(["largest (llm-cache show KEY)", *largest])


def _database(share: Share, database: Database) -> str:
    keys = "?" if database.keys is None else f"{database.keys:,}"
    used = "size unknown" if database.used_bytes is None else f"{size(database.used_bytes)} used"
    part = (
        f"; these values are {share.bytes / database.used_bytes:.1%}" if database.used_bytes else ""
    )
    return f"the whole database: {keys} keys, {used}{part}"


def _namespaces(totals: Totals) -> str:
    rows = [("namespace", "entries", "bytes", "of all", "cleared", "")]
    everything = max(totals.sum.bytes, 1)
    found = list(totals.by_size())
    for name, states in found[:SHOWN]:
        share, cleared = total(states), states.get(State.CLEARED, Share())
        part = f"{share.bytes / everything:.1%}"
        rows.append((name, f"{share.entries:,}", size(share.bytes), part, size(cleared.bytes), ""))
    more = len(found) - SHOWN
    return table(rows) + (f"\nand {more} smaller ones (--json shows them)" if more > 0 else "")


def _state_table(totals: Totals) -> str:
    rows = [("state", "entries", "bytes", "")]
    for state in State:
        share = totals.states.get(state, Share())
        rows.append((state, f"{share.entries:,}", size(share.bytes), MEANINGS[state]))
    return table(rows)


def _ages(totals: Totals) -> str:
    ages = totals.ages
    return (
        f"stored: youngest {duration(ages.youngest)} ago, median {duration(ages.median)}, "
        f"oldest {duration(ages.oldest)}"
    )


def _time_left(totals: Totals) -> str:
    most = max(totals.left.values(), default=0)
    rows = [("TTL left of live entries", "entries", "")]
    for bound, label in zip(TTL_BOUNDS, TTL_LABELS, strict=True):
        entries = totals.left[bound]
        rows.append((label, f"{entries:,}", "#" * math.ceil(BAR * entries / max(most, 1))))
    return table(rows)
