"""Clearing, deleting and reclaiming, step by step, with no I/O of their own: see ``operations``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from llm_cache._entries import envelope as entries
from llm_cache._entries.keys import MAX_EPOCHS, MAX_TEXT, Keyspace, cleared_epoch
from llm_cache._errors import InvalidPolicy, StoreError, StoreRefused
from llm_cache._protocol import replies
from llm_cache._protocol.effects import Command, Operation, Pause


def clear(
    keys: Keyspace, *, token: str, now: float, tag: str | None = None, tenant: str | None = None
) -> Operation[None]:
    """Make every answer of the namespace, or those of a tag or a tenant, a miss at once.

    One command. Raises ``InvalidPolicy`` for a name that no answer can have.
    """
    epoch = _epoch(keys, tag, tenant)
    replies.number((yield ("EVAL", CLEAR, 1, epoch, cleared_epoch(now, token))))


def _epoch(keys: Keyspace, tag: str | None, tenant: str | None) -> str:
    """Return the key of the epoch that a clear of all, of ``tag`` or of ``tenant`` replaces."""
    if tag is not None and tenant is not None:
        raise InvalidPolicy("tenant", tenant, "no tag beside it: clear one of them", withheld=True)
    for kind, name in (("tag", tag), ("tenant", tenant)):
        if name is not None and not (isinstance(name, str) and 0 < len(name) <= MAX_TEXT):
            accepted = f"text of 1 to {MAX_TEXT} characters"
            raise InvalidPolicy(kind, name, accepted, withheld=True)
    if tag is None and tenant is None:
        return keys.epoch
    return keys.tag_epoch(keys.tags(() if tag is None else (tag,), tenant)[0])


# A full database refuses a SET, but lets a script go on that has deleted something. Where it
# refuses even that, the missing epoch is the clear: no entry has it.
CLEAR = """
redis.call('UNLINK', KEYS[1])
redis.pcall('SET', KEYS[1], ARGV[1])
return 1
"""


def delete(keys: Keyspace, hashed: str) -> Operation[bool]:
    """Delete one answer; return whether there was one. One ``UNLINK``."""
    return bool(replies.number((yield ("UNLINK", keys.entry(hashed)))))


def flush_database(
    keys: Keyspace, *, token: str, now: float, asynchronous: bool
) -> Operation[None]:
    """Delete every key of the database, other programs' too, and set the epoch of ``keys``.

    One command, so that an answer which is being computed is not served afterwards. Where the
    server refuses ``FLUSHDB`` in a script, it is sent by itself, and the epoch after it: an answer
    that is stored between the two is served.
    """
    how = "ASYNC" if asynchronous else "SYNC"
    try:
        script = ("EVAL", FLUSH, 1, keys.epoch, cleared_epoch(now, token), how)
        replies.number((yield script))
    except StoreRefused:
        replies.done((yield ("FLUSHDB", how)))
        yield from clear(keys, token=token, now=now)


FLUSH = """
redis.call('FLUSHDB', ARGV[2])
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """How far a reclaim came. ``cursor`` resumes it: ``"0"`` is the start, and the end.

    ``scanned`` and ``removed`` are entries; of a dry run, ``removed`` are those to be removed.
    ``failure`` is the error that ended it, after the page was tried again; None if none did.
    """

    scanned: int
    removed: int
    cursor: str
    failure: StoreError | None = field(default=None, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every entry was looked at."""
        return self.cursor == "0" and self.failure is None


PAGE = 500  # keys asked of one SCAN
TRIES = 3  # of a page whose request failed
BETWEEN = 1.0  # seconds from one try to the next
EPOCH_BYTES = 128  # of an entry's head; a hash, an epoch and what is around them take 70

# Deciding and deleting in one script: an entry stored anew in between is never the one deleted.
# Which tags an entry has is known only here, so the keys of their epochs are not among KEYS, which
# Upstash accepts of a script that does not ask to lock by key. Each epoch is read once a page, but
# for the one in ARGV[4], which counts as cleared; MGET, as in a lookup, finds none of another type.
# What has no readable head is freed with the rest.
RECLAIM_PAGE = f"""
local head, tag_epoch, free, cleared = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local epochs = {{[cleared] = false}}
local function epoch(key)
  if epochs[key] == nil then epochs[key] = redis.call('MGET', key)[1] end
  return epochs[key]
end
local live = epoch(KEYS[1]) and head .. epoch(KEYS[1]) .. '"'
local function reachable(key)
  local stored = redis.pcall('GETRANGE', key, 0, #live + {MAX_EPOCHS * EPOCH_BYTES})
  if type(stored) ~= 'string' or string.sub(stored, 1, #live) ~= live then return false end
  local at = #live + 1
  while string.sub(stored, at, at) == ',' do
    local tag, seen, rest = string.match(stored, '^,"([0-9a-f]+)":"([^"]*)"()', at)
    if not tag or #tag ~= 32 or epoch(tag_epoch .. tag) ~= seen then return false end
    at = rest
  end
  return string.sub(stored, at, at) == '}}'
end
local removed = 0
for i = 2, #KEYS do
  if not (live and reachable(KEYS[i])) then removed = removed + redis.call(free, KEYS[i]) end
end
return removed
"""


def reclaim(
    keys: Keyspace,
    *,
    cursor: str = "0",
    proceed: Callable[[], bool] = lambda: True,
    dry_run: bool = False,
) -> Operation[Reclaimed]:
    """Free the memory of answers that a clear has made unreachable.

    Two commands a page of some ``PAGE`` keys; after each, ``proceed`` says whether to go on. The
    cursor of an unfinished reclaim resumes it. A dry run counts, and frees nothing. It raises no
    ``StoreError``: a page that fails is tried again, ``TRIES`` times in all, unless it was refused,
    and the result says how far the reclaim came and what ended it.
    """
    return _each_page(keys, cursor, proceed, "EXISTS" if dry_run else "UNLINK", "")


def preview(
    keys: Keyspace,
    *,
    tag: str | None = None,
    tenant: str | None = None,
    cursor: str = "0",
    proceed: Callable[[], bool] = lambda: True,
) -> Operation[Reclaimed]:
    """Count what a clear and a reclaim after it would free, and do neither.

    It costs what a reclaim does. What earlier clears have left counts too.
    """
    return _each_page(keys, cursor, proceed, "EXISTS", _epoch(keys, tag, tenant))


def _each_page(
    keys: Keyspace, cursor: str, proceed: Callable[[], bool], free: str, cleared: str
) -> Operation[Reclaimed]:
    """Run ``free`` on what is unreachable, or would be if the epoch ``cleared`` were replaced."""
    scanned = removed = tries = 0
    while True:
        try:
            following, page, freed = yield from _one_page(keys, cursor, free, cleared)
        except StoreError as error:
            tries += 1
            if isinstance(error, StoreRefused) or tries == TRIES or not proceed():
                return Reclaimed(scanned, removed, cursor, error)
            yield Pause(BETWEEN)
            continue
        cursor, scanned, removed, tries = following, scanned + page, removed + freed, 0
        if cursor == "0" or not proceed():
            return Reclaimed(scanned, removed, cursor)


def _one_page(
    keys: Keyspace, cursor: str, free: str, cleared: str
) -> Operation[tuple[str, int, int]]:
    """Return the next cursor, how many entries the page has, and of how many ``free`` was run."""
    scan: Command = ("SCAN", cursor, "MATCH", keys.entry_pattern, "COUNT", PAGE)
    following, names = replies.page((yield scan))
    page = [name for name in names if keys.owns_entry(name)]
    if not page:
        return following, 0, 0
    script: Command = ("EVAL", RECLAIM_PAGE, 1 + len(page), keys.epoch, *page)
    freed = yield (*script, entries.HEAD, keys.tag_epoch(""), free, cleared)
    return following, len(page), replies.number(freed)
