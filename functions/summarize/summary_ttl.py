"""The TTL of a summary in the cache: the message's, else by the kind of document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from bedrock import env
from summary_errors import PermanentError

ATTRIBUTE = "cache-ttl"
IMMUTABLE, MUTABLE = "SUMMARY_TTL_IMMUTABLE", "SUMMARY_TTL_MUTABLE"


@dataclass(frozen=True, slots=True)
class SummaryTtls:
    """Seconds per kind of document; the operator's floor and ceiling apply to all of them."""

    immutable: float
    """For a version of an object: its content never changes."""
    mutable: float
    """For an object in a bucket without versions: it can be overwritten at any time."""

    def choose(self, *, immutable: bool, requested: float | None) -> float:
        """Return the TTL that the message requests, else the one for the kind of document."""
        if requested is not None:
            return requested
        return self.immutable if immutable else self.mutable


@cache
def summary_ttls() -> SummaryTtls:
    """Return the operator's settings; raise ``InvalidSettings`` that names the variable."""
    return SummaryTtls(
        immutable=env.seconds(IMMUTABLE, 30 * 86_400), mutable=env.seconds(MUTABLE, 3600)
    )


def requested_ttl(attributes: Mapping[str, Any]) -> float | None:
    """Return the seconds in the message's attribute ``cache-ttl``; None without one.

    0 means not cached. Raises ``PermanentError`` for an invalid value.
    """
    if ATTRIBUTE not in attributes:
        return None
    try:
        return env.parse_seconds(attributes[ATTRIBUTE]["stringValue"])
    except (TypeError, ValueError, KeyError):
        raise PermanentError(f"the attribute {ATTRIBUTE} is not a number of seconds") from None
