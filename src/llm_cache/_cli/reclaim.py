"""``llm-cache reclaim``."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from llm_cache._admin.namespace import CacheNamespace
from llm_cache._cli import options
from llm_cache._cli.connection import Connection
from llm_cache._cli.failures import ExitCode, failed
from llm_cache._cli.output import Output
from llm_cache._cli.scanning import SECONDS, scan
from llm_cache._protocol.clearing import Reclaimed

Step: TypeAlias = Callable[[str, float], Reclaimed]
"""Frees or counts entries from a cursor on, for some seconds."""


class Progress(NamedTuple):
    """The sum of the steps so far."""

    sum: Reclaimed

    @property
    def done(self) -> bool:
        """Whether every entry was scanned, or an error ended the scan."""
        return self.sum.complete or self.sum.failure is not None

    def plus(self, part: Reclaimed) -> Progress:
        """Return the progress after one more step."""
        scanned, removed = self.sum.scanned + part.scanned, self.sum.removed + part.removed
        return Progress(Reclaimed(scanned, removed, part.cursor, part.failure))


def reclaim(
    *,
    namespace: options.Namespace = None,
    stack: options.Stack = None,
    seconds: options.Seconds = SECONDS,
    cursor: options.Cursor = "0",
    dry_run: options.DryRun = False,
    json: options.Json = False,
) -> int:
    """Free the memory of cleared answers.

    Two commands for every 500 keys of the database. A run that stops prints the cursor with which
    the next one continues.
    """
    connection = Connection.open(stack=stack, namespace=namespace)
    step = reclaiming(connection.namespace, dry_run=dry_run)
    action = "dry run: would reclaim" if dry_run else "reclaimed"
    again = continuation(connection, *(["--dry-run"] if dry_run else []))
    return run_steps(step, Output(json), action, again, cursor=cursor, seconds=seconds)


def reclaiming(target: CacheNamespace, *, dry_run: bool = False) -> Step:
    """Return the step of a reclaim."""

    def step(cursor: str, seconds: float) -> Reclaimed:
        return target.reclaim(seconds=seconds, cursor=cursor, dry_run=dry_run)

    return step


def continuation(connection: Connection, *options: str) -> str:
    """Return how a reclaim continues, without the cursor."""
    command = shlex.join(["llm-cache", "reclaim", *connection.arguments, *options, "--cursor"])
    return f"continue with: {command}"


def run_steps(
    step: Step,
    output: Output,
    action: str,
    again: str,
    *,
    seconds: float,
    cursor: str = "0",
    fields: dict[str, Any] | None = None,
) -> int:
    """Run the steps of a reclaim, print its result after ``fields``, and return the exit code.

    ``again`` says how to continue from the cursor that follows it.
    """
    found, interrupted = scan(
        lambda progress, left: progress.plus(step(progress.sum.cursor, left)),
        Progress(Reclaimed(0, 0, cursor)),
        seconds=seconds,
        describe=lambda progress: _describe(action, progress.sum),
    )
    done, complete = found.sum, found.sum.complete and not interrupted
    value = {
        **(fields or {}),
        "scanned": done.scanned,
        "removed": done.removed,
        "cursor": done.cursor,
        "complete": complete,
        "failure": done.failure and str(done.failure),
    }
    rest = "" if complete else f"; {again} {done.cursor}"
    output.show(value, _describe(action, done) + rest)
    if done.failure:
        return failed(done.failure)
    return ExitCode.INTERRUPTED if interrupted else ExitCode.DONE


def _describe(action: str, done: Reclaimed) -> str:
    return f"{action} {done.removed:,} of {done.scanned:,} entries"
