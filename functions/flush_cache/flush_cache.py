"""On a schedule, or by hand: clear the cache, then free its memory while there is time."""

from __future__ import annotations

import os
from typing import Any

from aws_lambda_powertools import Logger

from flush import Flush
from llm_cache import CacheMetrics, CacheNamespace
from llm_cache.clearing import Reclaimed
from llm_cache.keys import tag_hash

logger, metrics = Logger(), CacheMetrics.from_env().metrics
RESERVE = 5.0  # seconds kept to report what was done
REFILLS = "REFILL_FUNCTION"  # the variable that names who asks again what was asked most


def count(asked: Flush, reclaimed: Reclaimed) -> None:
    """Write, as one line of metrics, what was done; of a dry run, nothing.

    - ``FlushSucceeded``: 1 when all of the stack's namespace was cleared. One that failed raises
      instead, which Lambda counts.
    - ``EntriesReclaimed``: how many were freed
    """
    if asked.dry_run:
        return
    metrics.add_metric("FlushSucceeded", "Count", int(asked.clears_all))
    metrics.add_metric("EntriesReclaimed", "Count", reclaimed.removed)
    metrics.flush_metrics()


def refill(asked: Flush) -> bool:
    """Have what was asked most asked again, where that is wanted; return whether it will be."""
    function = os.environ.get(REFILLS)
    if not function or not asked.clears_all:
        return False
    from again import ask_again  # noqa: PLC0415  who does not refill needs no client of AWS

    return ask_again(function)


@logger.inject_lambda_context
def handler(event: object, context: Any) -> dict[str, Any]:
    """Clear the namespace and reclaim; every field of the event may be left out.

    - ``namespace``: clear and reclaim this one, in place of the stack's. Where the token is of an
      ACL, that decides whether it may.
    - ``tag``: clear only the answers under it
    - ``dry_run``: clear and free nothing, and count what would be freed as ``removed``
    - ``cursor``: do not clear, and go on where a reclaim, or a dry run, stopped
    """
    asked = Flush.from_event(event)
    namespace = CacheNamespace.from_env(namespace=asked.namespace)
    if asked.clears:
        namespace.clear(asked.tag)
    refilling = refill(asked)
    reclaimed = asked.reclaim(namespace, context.get_remaining_time_in_millis() / 1000 - RESERVE)
    result = {**asked.done(namespace.name, reclaimed), "refilling": refilling}
    count(asked, reclaimed)
    hashed = tag_hash(asked.tag) if asked.tag else None  # as Redis shows it: it may name a person
    logger.info("flushed", extra={**result, "tag": hashed})
    return result
