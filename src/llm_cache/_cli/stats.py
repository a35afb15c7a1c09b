"""``llm-cache stats``."""

from __future__ import annotations

from typing import Annotated

import typer

from llm_cache._cli import options, stats_result
from llm_cache._cli.connection import Connection
from llm_cache._cli.counting import count, select
from llm_cache._cli.failures import ExitCode, failed
from llm_cache._cli.output import Output
from llm_cache._cli.scanning import SECONDS
from llm_cache._cli.stack_stats import show_stack_stats
from llm_cache._cli.watch import watch as run_watch
from llm_cache._entries.keys import DEFAULT_PREFIX
from llm_cache._errors import InvalidSettings
from llm_cache._inspect.database import read_database

Every = Annotated[
    bool, typer.Option("--all", help="Count every namespace of the database, one row each.")
]
Watch = Annotated[
    bool, typer.Option("--watch", help="Print a line of changes every few seconds, until Ctrl-C.")
]
Interval = Annotated[
    float, typer.Option("--interval", metavar="SECONDS", min=0.1, help="Between two lines.")
]
Hours = Annotated[
    int, typer.Option("--hours", min=1, help="Of a stack: the last hours of its functions.")
]


def stats(
    *,
    every: Every = False,
    tag: options.Tag = None,
    tenant: options.Tenant = None,
    watch: Watch = False,
    interval: Interval = 5.0,
    hours: Hours = 24,
    namespace: options.Namespace = None,
    stack: options.Stack = None,
    seconds: options.Seconds = SECONDS,
    cursor: options.Cursor = "0",
    json: options.Json = False,
) -> int:
    """Show the hit rate, the misses and the savings of a stack; and who uses the memory.

    With --stack: hits, misses by reason and saved tokens of each function, from CloudWatch. Always:
    entries, bytes, ages, time left, the largest, and what is cleared but not reclaimed.

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
    if connection.stack and cursor == "0":
        show_stack_stats(connection.stack, output, hours=hours)
    database = connection.run(read_database())
    counted, interrupted = count(connection, selection, cursor, seconds)
    if counted.read.failure and not counted.totals.sum.entries:
        return failed(counted.read.failure)
    complete = counted.read.complete and not interrupted
    names = {"namespace": selection.namespace, "tag": tag, "tenant": tenant}
    what = ", ".join(f"{kind} {name}" for kind, name in names.items() if name) or "every namespace"
    value = {**names, **stats_result.as_json(counted, database), "complete": complete}
    output.show(value, stats_result.as_text(what, counted.totals, database, every=every))
    if not complete:
        output.warn(f"partial: continue with the same options and --cursor {counted.read.cursor}")
    elif cursor != "0":
        output.warn("partial: the entries before the cursor are not counted")
    if counted.read.failure:
        return failed(counted.read.failure)
    return ExitCode.INTERRUPTED if interrupted else ExitCode.DONE
