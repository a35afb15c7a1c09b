"""What ``show`` and ``why`` say about one key."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, TypeAlias

import typer

from llm_cache._cli.connection import Connection
from llm_cache._cli.formats import duration, local_time
from llm_cache._config.cache_config import ENCRYPTION_KEY, SIGNING_KEY
from llm_cache._entries.keys import Keyspace
from llm_cache._inspect.one_entry import Clear, KeyState, read_key
from llm_cache._protocol.clearing import hash_in

Key: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="The key of an answer, or the 64 hexadecimal digits at its end, as Cache-Status, a "
        "report, hit metadata or llm-cache ls show it.",
    ),
]


def find(connection: Connection, key: str) -> KeyState:
    """Read the state of a key; raise ``InvalidPolicy`` for text that is no key."""
    hashed = hash_in(connection.config.keyspace, key)
    return connection.run(read_key(connection.keys, hashed, time.time()))


def names_of(keys: Keyspace, tag: str | None, tenant: str | None) -> Mapping[str, str]:
    """Return the names that the caller knows, by their hashes."""
    named = {keys.tag(tag): f"tag {tag}"} if tag else {}
    return named | ({keys.tenant(tenant): f"tenant {tenant}"} if tenant else {})


def absent(found: KeyState) -> list[str]:
    """Return what is known about a key without an entry."""
    at = found.namespace_cleared_at
    cleared = f"the namespace was cleared {duration(found.now - at)} ago" if at else ""
    return ["no entry: never stored, expired, deleted or evicted", cleared, lease(found)]


def lease(found: KeyState) -> str:
    """Return what the lease of the answer means; empty without a lease."""
    if found.lease is None:
        return ""
    left = duration(found.lease.expires_in)
    if found.lease.computing:
        return f"a leader computes it now (lease, {left} left)"
    return f"the last answer was uncacheable (no caller waits for {left})"


def stored(found: KeyState) -> str:
    """Return when the entry was stored; empty if its head is unreadable."""
    if found.head is None:
        return ""
    age = duration(found.now - found.head.created)
    return f"stored {local_time(found.head.created)}, {age} ago"


def clears(found: KeyState, names: Mapping[str, str]) -> str:
    """Return which clears made the entry a miss; empty if none did."""
    return " and ".join(_clear(each, found.now, names) for each in found.clears)


def _clear(clear: Clear, now: float, names: Mapping[str, str]) -> str:
    ordinal = f"tag or tenant {clear.place} of {clear.tags}"
    what = names.get(clear.tag, ordinal) if clear.tag else "its namespace"
    if clear.at is None:
        return f"by {what}, whose epoch was deleted or evicted"
    return f"{duration(now - clear.at)} ago by {what}"


def missing_key(connection: Connection, found: KeyState) -> str:
    """Return which setting reads a protected entry; empty if nothing is missing."""
    head = found.head
    if head is None or head.key_id is None or connection.protection:
        return ""
    variable = ENCRYPTION_KEY if head.protection == "encrypted" else SIGNING_KEY
    remedy = f"set {variable}_PARAMETER or {variable}"
    return f"not verified: {head.protection} by key {head.key_id}; {remedy}"


def expiry(found: KeyState) -> str:
    """Return when Redis deletes the entry."""
    if found.expires_in is None:
        return "Redis never deletes it"
    return f"Redis deletes it in {duration(found.expires_in)}"


def as_json(found: KeyState) -> dict[str, Any]:
    """Return the state of a key as JSON values; times are Unix seconds and seconds."""
    head = found.head
    return {
        "key": found.key,
        "state": found.state,
        "stored_at": head and head.created,
        "age": head and max(0.0, found.now - head.created),
        "ttl": head and head.ttl,
        "ttl_left": head and head.created + head.ttl - found.now,
        "expires_in": found.expires_in,
        "bytes": None if found.text is None else len(found.text),
        "codec": head and head.codec,
        "compressed": head and head.compressed,
        "protection": head and head.protection,
        "key_id": head and head.key_id,
        "tags": len(head.epochs) - 1 if head else None,
        "cleared": [{"place": it.place, "tags": it.tags, "at": it.at} for it in found.clears],
        "namespace_cleared_at": found.namespace_cleared_at,
        "lease": found.lease and found.lease._asdict(),
    }


def joined(parts: Iterable[str]) -> str:
    """Return parts as one sentence."""
    return "; ".join(filter(None, parts))
