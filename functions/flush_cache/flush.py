"""What a flush is asked to do, by its event, and what is told of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from llm_cache import CacheNamespace, InvalidPolicy
from llm_cache.clearing import Reclaimed
from llm_cache.keys import MAX_NAMESPACE, is_namespace, tag_hash

ACCEPTED = {
    "namespace": f"1 to {MAX_NAMESPACE} printable characters",
    "tag": "text",
    "tenant": "text, and no tag beside it",
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
    tenant: str | None = None
    dry_run: bool = False
    cursor: str = "0"

    @classmethod
    def from_event(cls, event: object) -> Flush:
        """Read an event; raise ``InvalidPolicy`` naming what is wrong: no guess clears too much."""
        if not isinstance(event, dict):
            raise InvalidPolicy("event", event, "an object", withheld=True)
        envelope = ENVELOPE if event.get("detail-type") == SCHEDULED else ()
        fields = {name: value for name, value in event.items() if name not in envelope}
        if {"tag", "tenant"} <= fields.keys():
            raise InvalidPolicy("tenant", fields["tenant"], ACCEPTED["tenant"], withheld=True)
        return cls(**{name: _checked(name, value) for name, value in fields.items()})

    @property
    def clears(self) -> bool:
        """Whether it begins with a clear, rather than going on after one."""
        return self.cursor == "0" and not self.dry_run

    @property
    def clears_all(self) -> bool:
        """Whether it does what the schedule does."""
        return self.clears and (self.tag, self.tenant, self.namespace) == (None, None, None)

    @property
    def hashed(self) -> dict[str, str | None]:
        """The tag and the tenant as Redis shows them: they may name a person, so logs do not."""
        names = {"tag": self.tag, "tenant": self.tenant}
        return {kind: tag_hash(name, kind=kind) if name else None for kind, name in names.items()}

    def reclaim(self, namespace: CacheNamespace, seconds: float) -> Reclaimed:
        """Free what was cleared, or count what would be freed, for at most so many seconds."""
        if self.dry_run:
            what = {"tag": self.tag, "tenant": self.tenant}
            return namespace.preview(**what, seconds=seconds, cursor=self.cursor)
        return namespace.reclaim(seconds=seconds, cursor=self.cursor)

    def done(self, namespace: str, reclaimed: Reclaimed) -> dict[str, Any]:
        """Return what is told of it."""
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
        }


def _checked(name: str, value: Any) -> Any:
    match name, value:
        case ("tag" | "tenant", str()) | ("dry_run", bool()):
            return value
        case "namespace", _ if is_namespace(value):
            return value
        case "cursor", str() | int() if re.fullmatch("[0-9]{1,20}", str(value)):
            return str(int(value))
    accepted = ACCEPTED.get(name, f"one of {', '.join(ACCEPTED)}")
    raise InvalidPolicy(name, value, accepted, withheld=name not in {"dry_run", "cursor"})
