"""``llm-cache ls``."""

from __future__ import annotations

import time
from typing import Annotated, NamedTuple

import typer

from llm_cache._cli import entry_lines, options
from llm_cache._cli.connection import Connection
from llm_cache._cli.counting import select
from llm_cache._cli.failures import ExitCode
from llm_cache._cli.output import Output
from llm_cache._cli.scanning import SECONDS, scan
from llm_cache._inspect.entry_pages import State, read_small_page

Cleared = Annotated[bool, typer.Option("--cleared", help="Only cleared entries.")]
Limit = Annotated[int, typer.Option("--limit", metavar="COUNT", min=1, help="List about so many.")]


class Progress(NamedTuple):
    """The number of listed entries, and the cursor of the next page."""

    listed: int
    cursor: str
    done: bool = False


def ls(
    *,
    tag: options.Tag = None,
    tenant: options.Tenant = None,
    cleared: Cleared = False,
    limit: Limit = 50,
    namespace: options.Namespace = None,
    stack: options.Stack = None,
    seconds: options.Seconds = SECONDS,
    cursor: options.Cursor = "0",
    json: options.Json = False,
) -> int:
    """List entries: key, bytes, age, TTL left, state, codec, protection. Never an answer.

    With --json one line for each entry. A run that stops prints on stderr the cursor with which the
    next one continues.
    """
    connection, output = Connection.open(stack=stack, namespace=namespace), Output(json)
    selection = select(connection, tag=tag, tenant=tenant)
    selection = selection._replace(state=State.CLEARED if cleared else None)

    def step(progress: Progress, _: float) -> Progress:
        most = limit - progress.listed
        page = connection.run(read_small_page(selection, progress.cursor, most, time.time))
        for entry in page.entries:
            output.show(entry_lines.as_json(entry), entry_lines.as_text(entry, full_key=False))
        listed = progress.listed + len(page.entries)
        return Progress(listed, page.cursor, page.cursor == "0" or listed >= limit)

    start = Progress(0, cursor)
    found, interrupted = scan(step, start, seconds=seconds, describe=_describe)
    if interrupted or found.cursor != "0":
        output.warn(f"more entries: continue with the same options and --cursor {found.cursor}")
    return ExitCode.INTERRUPTED if interrupted else ExitCode.DONE


def _describe(progress: Progress) -> str:
    return f"listed {progress.listed:,} entries"
