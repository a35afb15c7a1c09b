"""On a schedule, or by hand: clear the cache, then free its memory while there is time."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from llm_cache import CacheMetrics, CacheNamespace, InvalidPolicy
from llm_cache.clearing import Reclaimed
from llm_cache.keys import MAX_NAMESPACE, is_namespace, tag_hash

logger, metrics = Logger(), CacheMetrics.from_env().metrics
RESERVE = 5.0  # seconds kept to report what was done
REFILLS = "REFILL_FUNCTION"  # the variable that names who asks again what was asked most

ACCEPTED = {
    "namespace": f"1 to {MAX_NAMESPACE} printable characters",
    "tag": "text",
    "dry_run": "true or false",
    "cursor": "what an unfinished flush returned",
}
# What EventBridge sends for a schedule that has no input of its own, as that of the template.
SCHEDULED = "Scheduled Event"
ENVELOPE = {
    *("version", "id", "detail-type", "source", "account"),
    *("time", "region", "resources", "detail"),
}


@dataclass(frozen=True, slots=True)
class Flush:
    """What an invocation asks for; ``namespace``: another than the stack's own."""

    namespace: str | None = None
    tag: str | None = None
    dry_run: bool = False
    cursor: str = "0"

    @classmethod
    def from_event(cls, event: object) -> Flush:
        """Read an event; raise ``InvalidPolicy`` naming what is wrong: no guess clears too much."""
        if not isinstance(event, dict):
            raise InvalidPolicy("event", event, "an object", withheld=True)
        envelope = ENVELOPE if event.get("detail-type") == SCHEDULED else ()
        fields = {name: value for name, value in event.items() if name not in envelope}
        return cls(**{name: _checked(name, value) for name, value in fields.items()})

    @property
    def clears(self) -> bool:
        """Whether it begins with a clear, rather than going on after one."""
        return self.cursor == "0" and not self.dry_run

    @property
    def clears_all(self) -> bool:
        """Whether it does what the schedule does."""
        return self.clears and self.tag is None and self.namespace is None


def _checked(name: str, value: Any) -> Any:
    match name, value:
        case ("tag", str()) | ("dry_run", bool()):
            return value
        case "namespace", _ if is_namespace(value):
            return value
        case "cursor", str() | int() if re.fullmatch("[0-9]{1,20}", str(value)):
            return str(int(value))
    accepted = ACCEPTED.get(name, f"one of {', '.join(ACCEPTED)}")
    raise InvalidPolicy(name, value, accepted, withheld=name not in {"dry_run", "cursor"})


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
    seconds = context.get_remaining_time_in_millis() / 1000 - RESERVE
    if asked.dry_run:
        reclaimed = namespace.preview(asked.tag, seconds=seconds, cursor=asked.cursor)
    else:
        reclaimed = namespace.reclaim(seconds=seconds, cursor=asked.cursor)
    result = {
        "namespace": namespace.name,
        "tag": asked.tag,
        "dry_run": asked.dry_run,
        "cleared": asked.clears,
        "refilling": refilling,
        "scanned": reclaimed.scanned,
        "removed": reclaimed.removed,
        "cursor": reclaimed.cursor,
        "complete": reclaimed.complete,
    }
    count(asked, reclaimed)
    hashed = tag_hash(asked.tag) if asked.tag else None  # as Redis shows it: it may name a person
    logger.info("flushed", extra={**result, "tag": hashed})
    return result
