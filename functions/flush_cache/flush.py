"""A flush: what its event asks for, its result and its metrics."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llm_cache import CacheMetrics, CacheNamespace, InvalidPolicy
from llm_cache._entries.keys import MAX_NAMESPACE, is_namespace, tag_hash
from llm_cache._protocol.clearing import Reclaimed

metrics = CacheMetrics.from_env().metrics
ACCEPTED = {
    "namespace": f"1 to {MAX_NAMESPACE} printable characters",
    "tag": "text",
    "tenant": "text, and no tag beside it",
    "dry_run": "true or false",
    "cursor": "a number that an unfinished flush returned",
}
# What EventBridge sends for a schedule that has no input of its own, as that of the template.
SCHEDULED = "Scheduled Event"
SOURCES = {"aws.scheduler", "aws.events"}
ENVELOPE = {
    *("version", "id", "detail-type", "source", "account"),
    *("time", "region", "resources", "detail"),
}


@dataclass(frozen=True, slots=True)
class Flush:
    """What an invocation asks for; each field None: not in its event."""

    namespace: str | None = None
    tag: str | None = None
    tenant: str | None = None
    dry_run: bool = False
    cursor: str | None = None

    @classmethod
    def from_event(cls, event: object) -> Flush:
        """Read an event; raise ``InvalidPolicy`` naming what is wrong: no guess clears too much."""
        if not isinstance(event, dict):
            raise InvalidPolicy("event", event, "an object", withheld=True)
        envelope = ENVELOPE if is_scheduled(event) else ()
        fields = {name: value for name, value in event.items() if name not in envelope}
        if {"tag", "tenant"} <= fields.keys():
            raise InvalidPolicy("tenant", fields["tenant"], ACCEPTED["tenant"], withheld=True)
        return cls(**{name: _checked(name, value) for name, value in fields.items()})

    @property
    def clears(self) -> bool:
        """Whether it clears: a cursor continues after a clear, a dry run changes nothing."""
        return self.cursor is None and not self.dry_run

    @property
    def clears_all(self) -> bool:
        """Whether it clears the stack's own namespace, as the schedule does."""
        return self.clears and (self.tag, self.tenant, self.namespace) == (None, None, None)

    @property
    def hashed(self) -> dict[str, str | None]:
        """The tag and the tenant as Redis shows them: they may name a person, so logs do not."""
        names = {"tag": self.tag, "tenant": self.tenant}
        return {kind: tag_hash(name, kind=kind) if name else None for kind, name in names.items()}

    def reclaim(self, namespace: CacheNamespace, seconds: float) -> Reclaimed:
        """Free the memory of cleared answers, or count what would be freed."""
        cursor = self.cursor or "0"
        if self.dry_run:
            what = {"tag": self.tag, "tenant": self.tenant}
            return namespace.preview(**what, seconds=seconds, cursor=cursor)
        return namespace.reclaim(seconds=seconds, cursor=cursor)

    def result(self, namespace: str, reclaimed: Reclaimed) -> dict[str, Any]:
        """Return what was cleared and freed, and what ended the reclaim early, if anything did."""
        return {
            "namespace": namespace,
            "tag": self.tag,
            "tenant": self.tenant,
            "dry_run": self.dry_run,
            "cleared": self.clears,
            "scanned": reclaimed.scanned,
            "removed": reclaimed.removed,
            "cursor": reclaimed.cursor,
            "complete": reclaimed.complete,
            "failure": reclaimed.failure and str(reclaimed.failure),
        }

    def count(self, reclaimed: Reclaimed) -> None:
        """Write one line of metrics; none for a dry run, nor for a clear that raised.

        - ``FlushSucceeded``: 1 when the whole namespace of the stack was cleared
        - ``EntriesReclaimed``: the entries whose memory was freed
        - ``ReclaimFailed``: 1 when an error ended the reclaim. Callers notice nothing: the entries
          are misses, and expire.
        """
        if self.dry_run:
            return
        metrics.add_metric("FlushSucceeded", "Count", int(self.clears_all))
        metrics.add_metric("EntriesReclaimed", "Count", reclaimed.removed)
        metrics.add_metric("ReclaimFailed", "Count", int(reclaimed.failure is not None))
        metrics.flush_metrics()


def is_scheduled(event: dict[Any, Any]) -> bool:
    """Whether an event is of EventBridge Scheduler, or of a rule with a schedule."""
    return event.get("detail-type") == SCHEDULED and event.get("source") in SOURCES


def _checked(name: str, value: Any) -> Any:
    match name, value:
        case ("tag" | "tenant", str()) | ("dry_run", bool()):
            return value
        case "namespace", _ if is_namespace(value):
            return value
        case "cursor", str() | int() if re.fullmatch("[0-9]{1,20}", str(value)):
            return str(value)
    accepted = ACCEPTED.get(name, f"one of {', '.join(ACCEPTED)}")
    raise InvalidPolicy(name, value, accepted, withheld=name not in {"dry_run", "cursor"})
