"""One flush: its event, its result and its metrics."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools import Logger

from llm_cache import CacheMetrics, CacheNamespace, InvalidPolicy, Reclaimed

metrics = CacheMetrics.from_env().metrics
logger = Logger()
ACCEPTED = {
    "namespace": f"1 to {CacheNamespace.NAME_LIMIT} printable characters",
    "tag": "text",
    "tenant": "text, without a tag",
    "dry_run": "true or false",
    "cursor": "a number that an unfinished flush returned",
}
# EventBridge sends this envelope for a schedule without an input, such as the template's.
SCHEDULED = "Scheduled Event"
SOURCES = {"aws.scheduler", "aws.events"}
ENVELOPE = {
    *("version", "id", "detail-type", "source", "account"),
    *("time", "region", "resources", "detail"),
}


@dataclass(frozen=True, slots=True)
class Flush:
    """The fields of an event; None for an absent one."""

    namespace: str | None = None
    tag: str | None = None
    tenant: str | None = None
    dry_run: bool = False
    cursor: str | None = None

    @classmethod
    def from_event(cls, event: object) -> Flush:
        """Read an event; raise ``InvalidPolicy`` for any wrong field, so no guess clears data."""
        if not isinstance(event, dict):
            raise InvalidPolicy("event", event, "an object", withheld=True)
        envelope = ENVELOPE if is_scheduled(event) else ()
        fields = {name: value for name, value in event.items() if name not in envelope}
        if {"tag", "tenant"} <= fields.keys():
            raise InvalidPolicy("tenant", fields["tenant"], ACCEPTED["tenant"], withheld=True)
        return cls(**{name: _checked(name, value) for name, value in fields.items()})

    @property
    def clears(self) -> bool:
        """Whether it clears; a cursor continues after a clear, a dry run changes nothing."""
        return self.cursor is None and not self.dry_run

    @property
    def clears_all(self) -> bool:
        """Whether it clears the stack's own namespace, as the schedule does."""
        return self.clears and (self.tag, self.tenant, self.namespace) == (None, None, None)

    @property
    def hashed(self) -> dict[str, str | None]:
        """Hashes of the tag and the tenant for the log: the names may name a person."""
        return {"tag": _hash(self.tag), "tenant": _hash(self.tenant)}

    def reclaim(self, namespace: CacheNamespace, seconds: float) -> Reclaimed:
        """Free the memory of cleared entries; in a dry run, count them."""
        cursor = self.cursor or "0"
        if self.dry_run:
            names = {"tag": self.tag, "tenant": self.tenant}
            return namespace.preview(**names, seconds=seconds, cursor=cursor)
        return namespace.reclaim(seconds=seconds, cursor=cursor)

    def result(self, namespace: str, reclaimed: Reclaimed) -> dict[str, Any]:
        """Return what was cleared and freed, and the error that ended the reclaim if any."""
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
        """Write one line of metrics, except for a dry run.

        - ``FlushSucceeded``: 1 if the stack's whole namespace was cleared
        - ``EntriesReclaimed``: entries whose memory was freed
        - ``ReclaimFailed``: 1 if an error ended the reclaim. Callers are not affected: cleared
          entries are misses, and expire.
        """
        if self.dry_run:
            return
        metrics.add_metric("FlushSucceeded", "Count", int(self.clears_all))
        metrics.add_metric("EntriesReclaimed", "Count", reclaimed.removed)
        metrics.add_metric("ReclaimFailed", "Count", int(reclaimed.failure is not None))
        if event := logger.get_correlation_id():
            metrics.add_metadata("correlation_id", event)
        metrics.flush_metrics()


def is_scheduled(event: dict[Any, Any]) -> bool:
    """Return whether EventBridge Scheduler, or a rule with a schedule, sent an event."""
    return event.get("detail-type") == SCHEDULED and event.get("source") in SOURCES


def _checked(name: str, value: Any) -> Any:
    match name, value:
        case ("tag" | "tenant", str()) | ("dry_run", bool()):
            return value
        case "namespace", str() if (
            0 < len(value) <= CacheNamespace.NAME_LIMIT and value.isprintable()
        ):
            return value
        case "cursor", str() | int() if re.fullmatch("[0-9]{1,20}", str(value)):
            return str(value)
    accepted = ACCEPTED.get(name, f"one of {', '.join(ACCEPTED)}")
    raise InvalidPolicy(name, value, accepted, withheld=name not in {"dry_run", "cursor"})


def _hash(name: str | None) -> str | None:
    return hashlib.sha256(name.encode(errors="surrogatepass")).hexdigest()[:32] if name else None
