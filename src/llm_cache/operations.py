"""What the cache does, step by step, with no I/O of its own.

Each operation is a generator: it yields the Redis command it wants run, receives the reply, and
returns its result. A driver (``drivers.run`` or ``drivers.arun``) runs it against a store; a test
drives it by hand, with no server and no clock. A command that failed is thrown in as a
``StoreError``.

A hit is one command. A miss is one command, the store that follows is another.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Generic, TypeAlias, TypeVar

from llm_cache import entry as entries
from llm_cache.entry import Entry
from llm_cache.errors import UnreadableEntry
from llm_cache.keys import Keyspace
from llm_cache.policy import CachePolicy

T = TypeVar("T")
Command: TypeAlias = tuple[str | int, ...]
Operation: TypeAlias = Generator[Command, Any, T]


class Absence(StrEnum):
    """Why a lookup found no answer to return."""

    UNKNOWN = "unknown"
    """Nothing is stored under the key."""
    CLEARED = "cleared"
    """What is stored was cleared since."""
    TOO_OLD = "too_old"
    """What is stored is older than the policy accepts."""
    UNREADABLE = "unreadable"
    """What was stored could not be read, and was deleted."""
    NOT_READ = "not_read"
    """The policy asked not to read."""


@dataclass(frozen=True, slots=True)
class Hit(Generic[T]):
    """A stored answer; ``age`` and ``remaining`` are seconds."""

    answer: T
    age: float
    remaining: float


@dataclass(frozen=True, slots=True)
class Miss:
    """No answer. ``epoch`` is the namespace's at the time of asking; None: it had none."""

    why: Absence
    epoch: str | None


def lookup(
    keys: Keyspace,
    hashed: str,
    *,
    policy: CachePolicy,
    now: float,
    read: Callable[[Entry], T],
) -> Operation[Hit[T] | Miss]:
    """Find the answer that ``policy`` accepts.

    ``read`` turns an entry into the caller's answer and raises ``UnreadableEntry`` if it cannot.
    One command; one more to delete an entry that cannot be read.
    """
    if not policy.effective_mode.reads:
        return Miss(Absence.NOT_READ, (yield ("GET", keys.epoch)))
    epoch, text = yield ("MGET", keys.epoch, keys.entry(hashed))
    if text is None:
        return Miss(Absence.UNKNOWN, epoch)
    try:
        found = entries.decode(text)
        if found.epoch != epoch or found.remaining(now) <= 0:
            return Miss(Absence.CLEARED if found.epoch != epoch else Absence.UNKNOWN, epoch)
        if not policy.accepts_age(found.age(now)):
            return Miss(Absence.TOO_OLD, epoch)
        return Hit(read(found), found.age(now), found.remaining(now))
    except UnreadableEntry:
        if policy.effective_mode.stores:
            yield ("UNLINK", keys.entry(hashed))
        return Miss(Absence.UNREADABLE, epoch)


class Unseen(Enum):
    """Why no epoch is known when an answer is to be stored."""

    NOT_LOOKED_UP = "not_looked_up"
    LOOKUP_FAILED = "lookup_failed"


def store(
    keys: Keyspace, hashed: str, *, body: str, ttl: int, epoch: str | Unseen | None, token: str
) -> Operation[bool]:
    """Keep an answer for ``ttl`` seconds; return whether it was stored. One command.

    ``body`` is the entry's text after its epoch, and ``epoch`` what the lookup that missed saw. A
    namespace that had none gets one made of ``token``, or shares the one that another store has
    made since; if a clear has, the answer may be older than the clear and is not stored. For the
    same reason nothing is stored after a lookup that failed. An answer that was not looked up
    first counts as computed now.
    """
    if epoch is Unseen.LOOKUP_FAILED:
        return False
    if isinstance(epoch, str):
        yield ("SET", keys.entry(hashed), entries.HEAD + epoch + body, "EX", ttl)
        return True
    script: Command = ("EVAL", STORE_UNDER_EPOCH, 2, keys.epoch, keys.entry(hashed))
    seen = "none" if epoch is None else "unknown"
    return bool((yield (*script, seen, FIRST + token, entries.HEAD, body, ttl)))


FIRST, CLEARED = "f", "c"  # what an epoch begins with says who made it: a store or a clear

# Rare: the first answers of a namespace, and an answer stored without a lookup before it.
STORE_UNDER_EPOCH = f"""
local epoch = redis.call('GET', KEYS[1])
if epoch and ARGV[1] == 'none' and string.sub(epoch, 1, 1) ~= '{FIRST}' then return 0 end
if not epoch then
  epoch = ARGV[2]
  redis.call('SET', KEYS[1], epoch)
end
redis.call('SET', KEYS[2], ARGV[3] .. epoch .. ARGV[4], 'EX', ARGV[5])
return 1
"""


def clear(keys: Keyspace, *, token: str) -> Operation[None]:
    """Make every answer of the namespace a miss, at once and at any size. One ``SET``."""
    yield ("SET", keys.epoch, CLEARED + token)


def flush_database(*, asynchronous: bool) -> Operation[None]:
    """Delete every key of the database, other programs' too. One ``FLUSHDB``.

    It leaves nothing by which to tell an answer that was being computed over an empty database;
    where that matters, have a namespace and ``clear`` it.
    """
    yield ("FLUSHDB", "ASYNC" if asynchronous else "SYNC")


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """How far a reclaim came. ``cursor`` resumes it; ``"0"`` means it went all the way round."""

    scanned: int
    removed: int
    cursor: str

    @property
    def complete(self) -> bool:
        """Whether every entry was looked at."""
        return self.cursor == "0"


# Deciding and deleting in one script: an entry stored anew in between is never the one deleted.
RECLAIM_PAGE = """
local epoch = redis.call('GET', KEYS[1])
local live = ARGV[1] .. (epoch or '') .. '"'
local removed = 0
for i = 2, #KEYS do
  local stored = redis.pcall('GETRANGE', KEYS[i], 0, #live - 1)
  if not epoch or stored ~= live then removed = removed + redis.call('UNLINK', KEYS[i]) end
end
return removed
"""
PAGE = 500  # keys asked of one SCAN


def reclaim(
    keys: Keyspace, *, cursor: str = "0", proceed: Callable[[], bool] = lambda: True
) -> Operation[Reclaimed]:
    """Free the memory of answers that a clear has made unreachable.

    Two commands a page of some ``PAGE`` keys; after each, ``proceed`` says whether to go on. The
    cursor of an unfinished reclaim resumes it.
    """
    scanned = removed = 0
    while True:
        cursor, names = yield ("SCAN", cursor, "MATCH", keys.entry_pattern, "COUNT", PAGE)
        page = [name for name in names if keys.owns_entry(name)]
        if page:
            script: Command = ("EVAL", RECLAIM_PAGE, 1 + len(page), keys.epoch, *page)
            removed += yield (*script, entries.HEAD)
            scanned += len(page)
        cursor = str(cursor)
        if cursor == "0" or not proceed():
            return Reclaimed(scanned, removed, cursor)
