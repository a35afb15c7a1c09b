"""On a schedule, or by hand: clear the cache, then free its memory while there is time."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging import correlation_paths

from counting import count
from flush import Flush
from llm_cache import CacheNamespace, traced

logger = Logger()
RESERVE = 5.0  # seconds kept to report what was done


@traced
@logger.inject_lambda_context(correlation_id_path=correlation_paths.EVENT_BRIDGE)
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
    reclaimed = asked.reclaim(namespace, context.get_remaining_time_in_millis() / 1000 - RESERVE)
    result = asked.done(namespace.name, reclaimed)
    count(asked, reclaimed)
    logger.info("flushed", extra={**result, "tag": asked.hashed_tag})
    return result
