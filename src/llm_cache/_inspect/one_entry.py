"""Everything that Redis knows about one key, read without changing it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from llm_cache._entries.keys import Keyspace, cleared_at
from llm_cache._errors import UnreadableEntry
from llm_cache._inspect.entry_heads import Head, parse_head
from llm_cache._inspect.entry_pages import State, state
from llm_cache._inspect.stored_answer import codec_named
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._protocol.effects import Command, Operation
from llm_cache._protocol.leases import NO_LEADER
from llm_cache._protocol.lookup import Hit, Miss, examine
from llm_cache._protocol.redis_commands import mget, number
from llm_cache._protocol.request import Request

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection


class Lease(NamedTuple):
    """The lease of an answer; ``computing``: a leader computes the answer now.

    Otherwise the leader found the answer uncacheable, so that no caller waits.
    """

    computing: bool
    expires_in: float


class Clear(NamedTuple):
    """An epoch that is no longer the entry's.

    - ``tag``: its hash, ``""`` for the namespace; ``place``: its ordinal among ``tags``.
    - ``at``: the Unix seconds of the clear; None: the epoch was evicted or deleted.
    """

    tag: str
    place: int
    tags: int
    at: float | None


class KeyState(NamedTuple):
    """One key at ``now``: its entry, the current epochs, and the lease of its answer.

    ``expires_in`` are the seconds until Redis deletes the entry; None: never.
    """

    key: str
    now: float
    text: str | None
    expires_in: float | None
    epochs: Mapping[str, str | None]
    lease: Lease | None

    def __repr__(self) -> str:
        """Show no part of the entry."""
        return f"KeyState(key={self.key!r})"

    @property
    def head(self) -> Head | None:
        """The entry without its answer; None if there is no readable entry."""
        return parse_head(self.text or "")

    @property
    def state(self) -> State | None:
        """What a lookup would make of the entry, as far as its head tells; None: no entry."""
        return None if self.text is None else state(self.head, self.epochs, self.now)

    @property
    def clears(self) -> list[Clear]:
        """The epochs that have changed since the entry was stored."""
        entry_epochs = self.head.epochs if self.head else {}
        tags = len(entry_epochs) - 1
        return [
            Clear(tag, place, tags, cleared_at(self.epochs[tag]))
            for place, (tag, epoch) in enumerate(entry_epochs.items())
            if self.epochs[tag] != epoch
        ]

    @property
    def namespace_cleared_at(self) -> float | None:
        """The Unix seconds of the namespace's last clear; None if unknown."""
        return cleared_at(self.epochs[""])


def read_key(keys: Keyspace, hashed: str, now: float) -> Operation[KeyState]:
    """Read the state of a key. Two commands, one more for tags, and one for a lease."""
    key, lease = keys.entry(hashed), keys.lease(hashed)
    epoch, text, holder = yield from mget(keys.epoch, key, lease)
    left = yield from pttl(key)
    head = parse_head(text or "")
    tags = [tag for tag in head.epochs if tag] if head else []
    current = (yield from mget(*map(keys.tag_epoch, tags))) if tags else []
    epochs = {"": epoch, **dict(zip(tags, current, strict=True))}
    found = None
    if holder is not None:
        computing = not holder.startswith(f"{NO_LEADER}:")
        found = Lease(computing, (yield from pttl(lease)) or 0.0)
    return KeyState(key, now, text, left, epochs, found)


def pttl(key: str) -> Operation[float | None]:
    """Return the seconds until Redis deletes a key; None: never, or it is gone. One command."""
    left = yield from Command(("PTTL", key), number)
    return left / 1000 if left >= 0 else None


def request_of(
    keys: Keyspace,
    found: KeyState,
    *,
    protection: Protection | None,
    tag: str | None = None,
    tenant: str | None = None,
) -> Request[Any]:
    """Return a request that looks the key up and never changes anything.

    Raises ``UnreadableEntry`` for an entry whose codec is unknown, and ``InvalidPolicy``.
    """
    codec = codec_named(found.head.codec if found.head else "json")
    policy = CachePolicy(mode="read_only", tags=(tag,) if tag else (), tenant=tenant)
    hashed = found.key.rpartition(":")[2]
    return Request((0, "", ()), keys, hashed, policy, codec, lambda: found.now, protection)


def look_up(request: Request[Any], found: KeyState) -> Operation[Hit[Any] | Miss[Any]]:
    """Return what a lookup makes of the entry that was read. Two commands at most."""
    seen = yield from mget(*request.keys.epochs(request.tags))
    return (yield from examine(request, tuple(seen), found.text))


def fault_of(request: Request[Any], text: str) -> UnreadableEntry | None:
    """Return why an entry cannot be read, or None."""
    try:
        request.codec.read(request.decode(text))
    except UnreadableEntry as error:
        return error
    return None
