"""On a schedule, or by hand: clear the cache, then free its memory while there is time."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger

from llm_cache import CacheNamespace

logger = Logger()
RESERVE = 5.0  # seconds kept to report what was done


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Clear the namespace and reclaim; ``{"cursor": "…"}`` goes on where a reclaim stopped."""
    namespace = CacheNamespace.from_env()
    cursor = str(event.get("cursor", "0"))
    if cursor == "0":
        namespace.clear()
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE
    reclaimed = namespace.reclaim(seconds=seconds, cursor=cursor)
    result = {
        "namespace": namespace.name,
        "cleared": cursor == "0",
        "scanned": reclaimed.scanned,
        "removed": reclaimed.removed,
        "cursor": reclaimed.cursor,
        "complete": reclaimed.complete,
    }
    logger.info("flushed", extra=result)
    return result
