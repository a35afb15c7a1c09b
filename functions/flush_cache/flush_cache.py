"""The Lambda handler of ``flush_cache``: on a schedule, or by hand."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging import correlation_paths

from flush import Flush
from llm_cache import CacheNamespace, traced
from llm_cache._admin.namespace import MOST_OVERTIME

logger = Logger()
RESERVE = MOST_OVERTIME + 2.0  # seconds: for the last page, and to report what was done


@traced
@logger.inject_lambda_context(correlation_id_path=correlation_paths.EVENT_BRIDGE)
def handler(event: object, context: Any) -> dict[str, Any]:
    """Clear the namespace, then free the memory of what was cleared, while there is time.

    Raises if nothing was done. A clear whose reclaim fails is done: result, log and metric tell.
    ``docs/functions.md`` describes the fields of the event; the schedule sends none.
    """
    asked = Flush.from_event(event)
    namespace = CacheNamespace.from_env(namespace=asked.namespace)
    if asked.clears:
        namespace.clear(asked.tag, tenant=asked.tenant)
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE
    reclaimed = asked.reclaim(namespace, seconds)
    if reclaimed.failure and not asked.clears and not reclaimed.scanned:
        raise reclaimed.failure
    asked.count(reclaimed)
    result = asked.result(namespace.name, reclaimed)
    log = logger.warning if reclaimed.failure else logger.info
    log("flushed", extra={**result, **asked.hashed})
    return result
