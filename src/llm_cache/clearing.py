"""Clearing, deleting and reclaiming, step by step, with no I/O of their own: see ``operations``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from llm_cache import entry as entries
from llm_cache.keys import Keyspace, tag_hash
from llm_cache.operations import CLEARED, Command, Operation


def clear(keys: Keyspace, *, token: str, tag: str | None = None) -> Operation[None]:
    """Make every answer of the namespace, or those under a tag, a miss at once. One ``SET``."""
    key = keys.epoch if tag is None else keys.tag_epoch(tag_hash(tag))
    yield ("SET", key, CLEARED + token)


def delete(keys: Keyspace, hashed: str) -> Operation[bool]:
    """Delete one answer; return whether there was one. One ``UNLINK``."""
    return bool((yield ("UNLINK", keys.entry(hashed))))


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
