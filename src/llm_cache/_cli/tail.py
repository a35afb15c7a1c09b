"""``llm-cache tail``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from llm_cache._cli import options
from llm_cache._cli.output import Output
from llm_cache._stack.cache_events import CacheCounts, CacheEvent, Warned, cache_event
from llm_cache._stack.log_tail import LogLine, LogTail
from llm_cache._stack.stack_access import StackAccess

POLL_SECONDS = 2.0

Minutes = Annotated[
    float, typer.Option("--minutes", metavar="MINUTES", min=0, help="Begin so many minutes ago.")
]
Follow = Annotated[
    bool,
    typer.Option("--follow/--no-follow", "-f/-F", help="Go on with new lines until Ctrl-C."),
]
Raw = Annotated[bool, typer.Option("--raw", help="Print every log line unchanged.")]


def tail(
    *,
    stack: options.RequiredStack,
    minutes: Minutes = 15,
    follow: Follow = True,
    raw: Raw = False,
    json: options.Json = False,
) -> int:
    """Watch hits and misses of a deployed stack, one line an invocation.

    Each line has the time (UTC), the function, hit or miss with its reason, the milliseconds, the
    tokens saved, and the id that all log lines of the request have. Warnings, errors and flushes
    are shown too. A line appears some seconds after its invocation.
    """
    access, output = StackAccess.open(stack), Output(json)
    groups = access.stack.log_groups(access.client("cloudformation"))
    found = 0
    for line in _lines(LogTail(access.client("logs"), groups, time.time() - 60 * minutes), follow):
        event = None if raw else cache_event(line)
        if raw and not json:
            print(f"{line.function}  {line.text}", flush=True)  # unchanged: rich expands tabs
        elif raw:
            output.show(line._asdict(), "")
        elif event:
            output.show(as_dict(event), describe(event))
        found += bool(raw or event)
    if not found:
        output.warn(f"no call in the last {minutes:g} minutes; --minutes 60 looks further back")
    return 0


def _lines(log: LogTail, follow: bool) -> Iterator[LogLine]:
    yield from log.new_lines()
    while follow:
        time.sleep(POLL_SECONDS)
        yield from log.new_lines()


def as_dict(event: CacheEvent) -> dict[str, Any]:
    """Return the fields of an event for ``--json``."""
    fields = {
        "time": _utc(event.time),
        "function": event.service,
        "correlation_id": event.correlation_id,
    }
    if isinstance(event, Warned):
        return {**fields, "level": event.level, "message": event.message, "why": event.why}
    return {
        **fields,
        "hits": event.count("CacheHits"),
        "misses": event.count("CacheMisses"),
        "miss_reasons": event.miss_reasons,
        "milliseconds": event.milliseconds,
        "tokens_saved": event.count("TokensSaved"),
        "metrics": dict(event.metrics),
    }


def describe(event: CacheEvent) -> Text:
    """Return one line; its parts are in columns."""
    what, style = _warning(event) if isinstance(event, Warned) else _outcome(event)
    columns = [_utc(event.time), f"{event.service:<11}", f"{what:<32}"]
    took, saved = (
        (event.milliseconds, event.count("TokensSaved"))
        if isinstance(event, CacheCounts)
        else (None, 0)
    )
    columns.append(f"{'' if took is None else f'{took:,.0f} ms':>10}")
    columns.append(f"{f'{saved:,} tokens saved' if saved else '':<20}")
    return Text("  ".join([*columns, event.correlation_id or ""]).rstrip(), style)


def _warning(event: Warned) -> tuple[str, str]:
    why = f" ({event.why})" if event.why else ""
    return f"{event.level.lower()}: {event.message}{why}", "yellow"


def _outcome(event: CacheCounts) -> tuple[str, str]:
    """Return what happened in words, and its colour at a terminal."""
    if "FlushSucceeded" in event.metrics:
        cleared = "cleared all, " if event.count("FlushSucceeded") else ""
        return f"{cleared}reclaimed {event.count('EntriesReclaimed'):,} entries", "cyan"
    hits, misses = event.count("CacheHits"), event.count("CacheMisses")
    parts = [_number(hits, "hit", "hits")] if hits else []
    if misses:
        reasons = event.miss_reasons
        why = next(iter(reasons)) if misses == 1 and reasons else _join(reasons)
        parts.append(_number(misses, "miss", "misses") + (f" ({why})" if why else ""))
    for name, text in (("CacheErrors", "cache error"), ("ModelErrors", "model error")):
        parts += [_number(event.count(name), text, f"{text}s")] if event.count(name) else []
    parts += ["circuit open"] if event.count("CircuitOpen") else []
    failed = event.count("CacheErrors") or event.count("ModelErrors")
    return ", ".join(parts) or "no lookup", "red" if failed else "green" if not misses else ""


def _number(count: int, one: str, many: str) -> str:
    return one if count == 1 else f"{count:,} {many}"


def _join(reasons: dict[str, int]) -> str:
    return ", ".join(f"{why} {count:,}" for why, count in reasons.items())


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
