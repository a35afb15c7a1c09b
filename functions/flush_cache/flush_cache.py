"""The Lambda handler of ``flush_cache``, for a schedule or a manual invocation."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging import correlation_paths

from flush import Flush
from llm_cache import CacheNamespace, traced

logger = Logger()
RESERVE = CacheNamespace.OVERTIME + 2.0  # seconds for the last page, and to report the result


@traced
@logger.inject_lambda_context(correlation_id_path=correlation_paths.EVENT_BRIDGE)
def handler(event: object, context: Any) -> dict[str, Any]:
    """Clear the namespace, then free memory while time is left.

    Raises if nothing was done. A clear whose reclaim fails has succeeded: the result, the log and a
    metric report the failure. ``docs/functions.md`` lists the event's fields.
    """
    flush = Flush.from_event(event)
    namespace = CacheNamespace.from_env(namespace=flush.namespace)
    if flush.clears:
        namespace.clear(flush.tag, tenant=flush.tenant)
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE
    reclaimed = flush.reclaim(namespace, seconds)
    if reclaimed.failure and not flush.clears and not reclaimed.scanned:
        raise reclaimed.failure
    flush.count(reclaimed)
    result = flush.result(namespace.name, reclaimed)
    log = logger.warning if reclaimed.failure else logger.info
    log("flushed", extra={**result, **flush.hashed})
    return result
