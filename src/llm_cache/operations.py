"""What the cache does, step by step, with no I/O of its own.

Each operation is a generator: it yields the Redis command it wants run, a pause, or a seal whose
keys it wants fetched, receives the reply, and returns its result. A driver (``drivers.run`` or
``drivers.arun``) runs it against a store; a test drives it by hand, with no server and no clock. A
command that failed is thrown in as a ``StoreError``.

A hit is one command. A miss is one command, the store that follows is another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeAlias, TypeVar

from llm_cache import entry as entries
from llm_cache import replies
from llm_cache.entry import Entry
from llm_cache.errors import UnreadableEntry
from llm_cache.keys import FIRST, Keyspace
from llm_cache.policy import CachePolicy
from llm_cache.reason import Reason
from llm_cache.seal import Seal
from llm_cache.steps import Command, Operation

T = TypeVar("T")

Epochs: TypeAlias = tuple[str | None, ...]
"""The epochs of a namespace and of tags, in the order of their keys; None: there is none yet."""


@dataclass(frozen=True, slots=True)
class Hit(Generic[T]):
    """A stored answer; ``age`` and ``remaining`` are seconds, ``text`` is the entry."""

    answer: T
    age: float
    remaining: float
    text: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Miss(Generic[T]):
    """No answer. ``epochs`` are the namespace's and the tags' at the time of asking.

    ``stale`` is an answer that has expired and may be served should the model fail.
    """

    why: Reason
    epochs: Epochs
    stale: Hit[T] | None = None


@dataclass(frozen=True, slots=True)
class Wanted(Generic[T]):
    """Which answer is wanted, what makes it acceptable, and how it is read.

    ``clock`` tells the time in Unix seconds. ``read`` turns an entry into the caller's answer and
    raises ``UnreadableEntry`` if it cannot. ``seal`` is what entries must be under, if anything.
    """

    keys: Keyspace
    hashed: str
    policy: CachePolicy
    clock: Callable[[], float]
    read: Callable[[Entry], T]
    seal: Seal | None = None

    @property
    def key(self) -> str:
        """The key of the entry."""
        return self.keys.entry(self.hashed)

    @property
    def tags(self) -> tuple[str, ...]:
        """The hashes of the policy's tags."""
        return self.keys.tags(self.policy.tags)

    def decode(self, text: object) -> Entry:
        """Read an entry; raise ``UnreadableEntry`` for what the cache has not written."""
        if self.seal:
            return self.seal.decode(self.key, text)
        found = entries.decode(text)
        if found.asked not in (None, self.hashed[: entries.ASKED]):
            raise UnreadableEntry("the answer of another question")
        return found


def lookup(wanted: Wanted[T]) -> Operation[Hit[T] | Miss[T]]:
    """Find the answer that the policy accepts.

    One command; one more if the entry has tags that the policy did not name, and one more to
    delete an entry that cannot be read.
    """
    epochs = wanted.keys.epochs(wanted.tags)
    if not wanted.policy.effective_mode.reads:
        return Miss(Reason.NOT_READ, tuple((yield from _mget(*epochs))))
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
        if why := (yield from _cleared(wanted.keys, found, current)):
            return Miss(why, seen)
        return _of_age(wanted, seen, text, found)
    except UnreadableEntry as error:
        if wanted.policy.effective_mode.stores:
            yield ("UNLINK", wanted.key)
        return Miss(error.reason, seen)


def _cleared(
    keys: Keyspace, found: Entry, current: dict[str, str | None]
) -> Operation[Reason | None]:
    """Say if a clear came since the entry was stored, or could not be told to have come."""
    if not current.keys() <= found.epochs.keys():
        return Reason.NOT_TAGGED
    if unnamed := [tag for tag in found.epochs if tag not in current]:
        epochs = yield from _mget(*(keys.tag_epoch(tag) for tag in unnamed))
        current.update(zip(unnamed, epochs, strict=True))
    return None if found.epochs == current else Reason.CLEARED


def judge(wanted: Wanted[T], seen: Epochs, text: str) -> Hit[T] | Miss[T]:
    """Judge an entry that no clear has reached; raise ``UnreadableEntry``. No command."""
    return _of_age(wanted, seen, text, wanted.decode(text))


def _of_age(wanted: Wanted[T], seen: Epochs, text: str, found: Entry) -> Hit[T] | Miss[T]:
    policy, now = wanted.policy, wanted.clock()
    age, remaining = found.age(now), found.remaining(now)
    if policy.accepts(age, remaining):
        return Hit(wanted.read(found), age, remaining, text)
    if remaining > 0:
        return Miss(Reason.TOO_OLD, seen)
    if not policy.tolerates_on_error(remaining):
        return Miss(Reason.EXPIRED, seen)
    return Miss(Reason.EXPIRED, seen, Hit(wanted.read(found), age, remaining, text))


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
    token: str,
    lease: str | None = None,
) -> Operation[bool]:
    """Keep an answer for ``ttl`` seconds; return whether it was stored. One command.

    An answer that may be served stale is kept for longer than it is fresh; ``body`` says which.
    ``body`` is the entry's text after its epochs, and ``epochs`` what the lookup that missed saw of
    the namespace's and the ``tags``' (their hashes). Where there was none, one is made of
    ``token``, or the one that another store has made since is shared; if a clear has made it, the
    answer may be older than the clear and is not stored. (A clear whose own epoch is evicted
    before the store is the one case that goes unseen.) For the same reason nothing is stored after
    a lookup that failed. An answer that was not looked up first counts as computed now.

    The ``lease`` under which the answer was computed is given back in the same step.
    """
    if epochs is Unseen.LOOKUP_FAILED:
        return False
    between = ["", *map(entries.before_tag, tags)]
    if lease is None and not isinstance(epochs, Unseen) and None not in epochs:
        parts = (f"{before}{epoch}" for before, epoch in zip(between, epochs, strict=True))
        text = f"{entries.HEAD}{''.join(parts)}{body}"
        replies.done((yield ("SET", keys.entry(hashed), text, "EX", ttl)))
        return True
    seen = ["?"] * len(between) if isinstance(epochs, Unseen) else [_told(one) for one in epochs]
    told = [part for pair in zip(seen, between, strict=True) for part in pair]
    names = (keys.entry(hashed), keys.lease(hashed), *keys.epochs(tags))
    script: Command = ("EVAL", STORE_UNDER_EPOCHS, len(names), *names)
    return bool(
        replies.number(
            (yield (*script, FIRST + token, ttl, entries.HEAD, body, lease or "", *told))
        )
    )


def _told(epoch: str | None) -> str:
    """Tell the script below what a lookup saw: ``-`` for none, ``=`` and the epoch otherwise."""
    return "-" if epoch is None else f"={epoch}"


# For the first answers of a namespace or a tag, one stored without a lookup before it, and one
# that was computed under a lease.
STORE_UNDER_EPOCHS = f"""
local text, lease = ARGV[3], ARGV[5]
if lease ~= '' and string.sub(redis.call('GET', KEYS[2]) or '', 1, #lease) == lease then
  redis.call('DEL', KEYS[2])
end
for i = 3, #KEYS do
  local seen, before = ARGV[2 * i], ARGV[2 * i + 1]
  local epoch = string.sub(seen, 2)
  if string.sub(seen, 1, 1) ~= '=' then
    epoch = redis.call('GET', KEYS[i])
    if epoch and seen == '-' and string.sub(epoch, 1, 1) ~= '{FIRST}' then return 0 end
    if not epoch then
      epoch = ARGV[1]
      redis.call('SET', KEYS[i], epoch)
    end
  end
  text = text .. before .. epoch
end
redis.call('SET', KEYS[1], text .. ARGV[4], 'EX', ARGV[2])
return 1
"""
