"""What the cache does, step by step, with no I/O of its own.

Each operation is a generator: it yields the Redis command it wants run, or a pause, receives the
reply, and returns its result. A driver (``drivers.run`` or
``drivers.arun``) runs it against a store; a test drives it by hand, with no server and no clock. A
command that failed is thrown in as a ``StoreError``.

A hit is one command. A miss is one command, the store that follows is another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeAlias, TypeVar

from llm_cache._entries import envelope as entries
from llm_cache._entries.envelope import Entry
from llm_cache._entries.keys import FIRST, Keyspace, cleared_at
from llm_cache._errors import StoreError, UnreadableEntry
from llm_cache._policy.cache_policy import CachePolicy
from llm_cache._protocol import replies
from llm_cache._protocol.effects import Command, Operation
from llm_cache._reasons import Reason

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection

T = TypeVar("T")

Epochs: TypeAlias = tuple[str | None, ...]
"""The epochs of a namespace, a tenant and tags, in the order of their keys; None: none yet."""
ANYTHING = "*"
"""In the place of a fingerprint: the store replaces whatever is there."""


class Hit(NamedTuple, Generic[T]):
    """A stored answer; ``age`` and ``remaining`` are seconds, ``text`` is the entry."""

    answer: T
    age: float
    remaining: float
    text: str = ""

    def __repr__(self) -> str:
        """Show neither the answer nor the entry."""
        return f"Hit(age={self.age}, remaining={self.remaining})"


class Miss(NamedTuple, Generic[T]):
    """No answer. ``epochs`` are those at the time of the lookup.

    ``there`` is the fingerprint of the entry that was found (``""``: none), which is all that the
    store may replace. ``stale`` is an expired answer that may be served if the model fails.
    """

    why: Reason
    epochs: Epochs
    stale: Hit[T] | None = None
    there: str = ""
    detail: str = ""

    def __repr__(self) -> str:
        """Show no part of an entry."""
        return f"Miss(why={self.why}, stale={self.stale}, detail={self.detail!r})"


class Wanted(NamedTuple, Generic[T]):
    """Which answer is wanted, what makes it acceptable, and how it is read.

    ``clock`` tells the time in Unix seconds. ``read`` turns an entry of ``codec`` into the caller's
    answer and raises ``UnreadableEntry`` if it cannot. ``protection`` signs or encrypts entries.
    """

    keys: Keyspace
    hashed: str
    policy: CachePolicy
    clock: Callable[[], float]
    read: Callable[[Entry], T]
    codec: str
    protection: Protection | None = None

    @property
    def key(self) -> str:
        """The key of the entry."""
        return self.keys.entry(self.hashed)

    @property
    def tags(self) -> tuple[str, ...]:
        """The hashes of the policy's tenant and tags."""
        return self.keys.tags(self.policy.tags, self.policy.tenant)

    def decode(self, text: object) -> Entry:
        """Read an entry; raise ``UnreadableEntry`` for what the cache has not written."""
        found = self.protection.decode(self.key, text) if self.protection else entries.decode(text)
        if found.asked not in (None, self.hashed[: entries.ASKED]) or found.codec != self.codec:
            raise UnreadableEntry("the answer of another question, or by another codec")
        return found


def lookup(wanted: Wanted[T]) -> Operation[Hit[T] | Miss[T]]:
    """Find the answer that the policy accepts.

    One command; one more if the entry has tags that the policy did not name, and one more to
    delete an entry that cannot be read.
    """
    epochs = wanted.keys.epochs(wanted.tags)
    if not wanted.policy.effective_mode.reads:
        return Miss(Reason.NOT_READ, tuple((yield from _mget(*epochs))), there=ANYTHING)
    *seen, text = yield from _mget(*epochs, wanted.key)
    return (yield from examine(wanted, tuple(seen), text))


def _mget(*names: str) -> Operation[list[str | None]]:
    return replies.texts((yield ("MGET", *names)), len(names))


def examine(wanted: Wanted[T], seen: Epochs, text: str | None) -> Operation[Hit[T] | Miss[T]]:
    """Say if the entry that was read together with the epochs ``seen`` is what is wanted."""
    if text is None:
        return Miss(Reason.UNKNOWN, seen)
    try:
        found = wanted.decode(text)
        current = dict(zip(("", *wanted.tags), seen, strict=True))
        if not current.keys() <= found.epochs.keys():
            return Miss(Reason.NOT_TAGGED, seen, there=entries.fingerprint(text))
        if unnamed := [tag for tag in found.epochs if tag not in current]:
            epochs = yield from _mget(*(wanted.keys.tag_epoch(tag) for tag in unnamed))
            current.update(zip(unnamed, epochs, strict=True))
        if found.epochs != current:
            detail = _cleared(found, current, wanted.clock())
            return Miss(Reason.CLEARED, seen, there=entries.fingerprint(text), detail=detail)
        return _of_age(wanted, seen, text, found)
    except UnreadableEntry as error:
        if wanted.policy.effective_mode.stores:
            with suppress(StoreError):  # the miss is known; the entry expires
                yield ("UNLINK", wanted.key)
        return Miss(error.reason, seen, there=entries.fingerprint(text))


def _cleared(found: Entry, current: dict[str, str | None], now: float) -> str:
    """Say which clear reached an entry, and how many seconds ago."""
    changed = [name for name, epoch in current.items() if found.epochs[name] != epoch]
    what = "a tag or its tenant" if "" not in changed else "its namespace"
    times = [at for name in changed if (at := cleared_at(current[name])) is not None]
    return f"by {what}" + (f" {max(0.0, now - max(times)):.0f} s ago" if times else "")


def judge(wanted: Wanted[T], seen: Epochs, text: str) -> Hit[T] | Miss[T]:
    """Judge an entry that no clear has reached; raise ``UnreadableEntry``. No command."""
    return _of_age(wanted, seen, text, wanted.decode(text))


def _of_age(wanted: Wanted[T], seen: Epochs, text: str, found: Entry) -> Hit[T] | Miss[T]:
    policy, now = wanted.policy, wanted.clock()
    age, remaining = found.age(now), found.remaining(now)
    if policy.accepts(age, remaining):
        return Hit(wanted.read(found), age, remaining, text)
    there = entries.fingerprint(text)
    if remaining > 0:
        return Miss(Reason.TOO_OLD, seen, there=there)
    if not policy.tolerates_on_error(remaining):
        return Miss(Reason.EXPIRED, seen, there=there)
    stale = Hit(wanted.read(found), age, remaining, text)
    return Miss(Reason.EXPIRED, seen, stale, there)


class Unseen(Enum):
    """Why no epochs are known when an answer is to be stored."""

    NOT_LOOKED_UP = "not_looked_up"
    LOOKUP_FAILED = "lookup_failed"


def store(
    keys: Keyspace,
    hashed: str,
    *,
    body: str,
    ttl: int,
    tags: Sequence[str],
    epochs: Epochs | Unseen,
    there: str = ANYTHING,
    token: str,
    lease: str | None = None,
) -> Operation[Reason | None]:
    """Keep an answer for ``ttl`` seconds; return why it was not stored, if so. One command.

    An answer that may be served stale is kept for longer than it is fresh; ``body`` says which.
    ``body`` is the entry's text after its epochs, and ``epochs`` what the lookup that missed saw of
    the namespace's and the ``tags``' (their hashes). Where there was none, one is made of
    ``token``, or the one that another store has made since is shared; if a clear has made it, the
    answer may be older than the clear and is not stored. (A clear whose own epoch is evicted
    before the store is the one case that goes unseen.) For the same reason nothing is stored after
    a lookup that failed. An answer that was not looked up first counts as computed now.

    The store replaces nothing but the entry that its lookup found, by the fingerprint ``there``: a
    writer that comes late must not replace a newer answer. The same command sent twice, because a
    reply was lost, stores once. The ``lease`` under which the answer was computed is released in
    the same step.
    """
    if epochs is Unseen.LOOKUP_FAILED:
        return Reason.LOOKUP_FAILED
    between = ["", *map(entries.before_tag, tags)]
    seen = ["?"] * len(between) if isinstance(epochs, Unseen) else [_told(one) for one in epochs]
    told = [part for pair in zip(seen, between, strict=True) for part in pair]
    names = (keys.entry(hashed), keys.lease(hashed), *keys.epochs(tags))
    script: Command = ("EVAL", STORE, len(names), *names, FIRST + token, ttl, entries.HEAD, body)
    return _STORED.get(replies.number((yield (*script, lease or "", there, *told))))


_STORED = {0: Reason.CLEARED_MEANWHILE, 2: Reason.SUPERSEDED}


def _told(epoch: str | None) -> str:
    """Tell the script below what a lookup saw: ``-`` for none, ``=`` and the epoch otherwise."""
    return "-" if epoch is None else f"={epoch}"


# MGET, unlike GET, takes a key of another type for none: SET then replaces it.
STORE = f"""
local text, lease, known = ARGV[3], ARGV[5], ARGV[6]
local held = redis.call('MGET', KEYS[2])[1]
if lease ~= '' and held and string.sub(held, 1, #lease) == lease then
  redis.call('UNLINK', KEYS[2])
end
for i = 3, #KEYS do
  local seen, before = ARGV[2 * i + 1], ARGV[2 * i + 2]
  local epoch = string.sub(seen, 2)
  if string.sub(seen, 1, 1) ~= '=' then
    epoch = redis.call('MGET', KEYS[i])[1]
    if epoch and seen == '-' and string.sub(epoch, 1, 1) ~= '{FIRST}' then return 0 end
    if not epoch then
      epoch = ARGV[1]
      redis.call('SET', KEYS[i], epoch)
    end
  end
  text = text .. before .. epoch
end
text = text .. ARGV[4]
local there = redis.call('MGET', KEYS[1])[1]
if there == text then return 1 end
local found = there and #there .. ':' .. string.sub(there, 1, {entries.FINGERPRINT})
if found and known ~= '{ANYTHING}' and found ~= known then return 2 end
redis.call('SET', KEYS[1], text, 'EX', ARGV[2])
return 1
"""
