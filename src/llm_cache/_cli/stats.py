"""``llm-cache stats``."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from llm_cache._cli import entry_lines, options
from llm_cache._cli.connection import Connection
from llm_cache._cli.counting import Counted, count, describe, select
from llm_cache._cli.failures import ExitCode, failed
from llm_cache._cli.formats import duration, size, table
from llm_cache._cli.output import Output
from llm_cache._cli.scanning import SECONDS
from llm_cache._cli.watch import watch as run_watch
from llm_cache._entries.keys import DEFAULT_PREFIX
from llm_cache._errors import InvalidSettings
from llm_cache._inspect.database import Database, read_database
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

Every = Annotated[
    bool, typer.Option("--all", help="Count every namespace of the database, one row each.")
]
Watch = Annotated[
    bool, typer.Option("--watch", help="Print a line of changes every few seconds, until Ctrl-C.")
]
Interval = Annotated[
    float, typer.Option("--interval", metavar="SECONDS", min=0.1, help="Between two lines.")
]


def stats(
    *,
    every: Every = False,
    tag: options.Tag = None,
    tenant: options.Tenant = None,
    watch: Watch = False,
    interval: Interval = 5.0,
    namespace: options.Namespace = None,
    stack: options.Stack = None,
    seconds: options.Seconds = SECONDS,
    cursor: options.Cursor = "0",
    json: options.Json = False,
) -> int:
    """Show who uses the memory: entries, bytes, ages, time left, the largest, cleared ones.

    Bytes are those of the values; Redis adds about 100 for each key. Three commands for every 500
    keys of the database. A run that stops prints the cursor with which the next one continues.
    """
    named = namespace or (DEFAULT_PREFIX if every else None)  # --all needs no name
    connection, output = Connection.open(stack=stack, namespace=named), Output(json)
    selection = select(connection, tag=tag, tenant=tenant, every=every)
    if watch:
        if cursor != "0":
            raise InvalidSettings("--cursor", cursor, "no --watch beside it")
        return run_watch(connection, output, selection, interval=interval)
    database = connection.run(read_database())
    counted, interrupted = count(connection, selection, cursor, seconds)
    complete = counted.read.complete and not interrupted
    names = {"namespace": selection.namespace, "tag": tag, "tenant": tenant}
    what = ", ".join(f"{kind} {name}" for kind, name in names.items() if name) or "every namespace"
    output.show(
        {**names, **_as_json(counted, database), "complete": complete},
        f"{what}: {describe(counted)}\n\n"
        + "\n\n".join(_sections(counted.totals, database, every)),
    )
    if not complete:
        rest = f"continue with: llm-cache stats --cursor {counted.read.cursor}"
        output.warn(f"partial: the time is up or the scan failed; {rest}")
    elif cursor != "0":
        output.warn("partial: the entries before the cursor are not counted")
    if counted.read.failure:
        return failed(counted.read.failure)
    return ExitCode.INTERRUPTED if interrupted else ExitCode.DONE


def _as_json(counted: Counted, database: Database) -> dict[str, Any]:
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


def _sections(totals: Totals, database: Database, every: bool) -> Iterator[str]:
    yield _database(totals.sum, database)
    if not totals.sum.entries and not every:
        yield "no entry: check the namespace; llm-cache stats --all shows the others"
    if totals.sum.entries:
        if every:
            yield _namespaces(totals)
        yield _state_table(totals)
        yield _ages(totals)
        yield _time_left(totals)
        yield "\n".join([
            "largest (llm-cache show KEY)",
            *(entry_lines.as_text(entry, full_key=every) for entry in totals.largest),
        ])  # fmt: skip


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
