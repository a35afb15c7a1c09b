"""Clearing, deleting and reclaiming, as operations without I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from llm_cache._entries.keys import MAX_EPOCHS, MAX_TEXT, Keyspace, cleared_epoch
from llm_cache._entries.opening import OPENING
from llm_cache._errors import InvalidPolicy, StoreError, StoreRefused
from llm_cache._protocol.effects import Operation, Pause
from llm_cache._protocol.redis_commands import flushdb, scan, script, unlink

T = TypeVar("T")


def clear(
    keys: Keyspace, *, token: str, now: float, tag: str | None = None, tenant: str | None = None
) -> Operation[None]:
    """Make every answer of the namespace, or of one tag or tenant, a miss.

    One command. Raises ``InvalidPolicy`` for a name that no answer can have.
    """
    epoch = epoch_of(keys, tag, tenant)
    yield from script(CLEAR, (epoch,), cleared_epoch(now, token))


def epoch_of(keys: Keyspace, tag: str | None, tenant: str | None) -> str:
    """Return the key of the epoch that a clear replaces; raise ``InvalidPolicy``."""
    hashed = name_hash(keys, tag, tenant)
    return keys.tag_epoch(hashed) if hashed else keys.epoch


def name_hash(keys: Keyspace, tag: str | None, tenant: str | None) -> str | None:
    """Return the hash of a tag or a tenant, None without either; raise ``InvalidPolicy``."""
    if tag is not None and tenant is not None:
        raise InvalidPolicy("tenant", tenant, "a tag or a tenant, not both", withheld=True)
    for kind, name in (("tag", tag), ("tenant", tenant)):
        if name is not None and not (isinstance(name, str) and 0 < len(name) <= MAX_TEXT):
            accepted = f"text of 1 to {MAX_TEXT} characters"
            raise InvalidPolicy(kind, name, accepted, withheld=True)
    hashes = keys.tags(() if tag is None else (tag,), tenant)
    return hashes[0] if hashes else None


# A full database refuses SET, unless the script has deleted a key first. If it still refuses, the
# missing epoch clears: no entry holds it.
CLEAR = """
redis.call('UNLINK', KEYS[1])
redis.pcall('SET', KEYS[1], ARGV[1])
return 1
"""


def delete(keys: Keyspace, hashed: str) -> Operation[bool]:
    """Delete one answer; return whether there was one. One ``UNLINK``."""
    return bool((yield from unlink(keys.entry(hashed))))


def delete_by_key(keys: Keyspace, key: str) -> Operation[bool]:
    """Delete the answer with this key; return whether there was one. One ``UNLINK``.

    Raises ``InvalidPolicy`` at once for the key of another namespace, and for other text.
    """
    return delete(keys, hash_in(keys, key))


def hash_in(keys: Keyspace, key: object) -> str:
    """Return the hash in the key of an entry, or the hash itself; raise ``InvalidPolicy``."""
    text = key if isinstance(key, str) else ""
    entry = text if ":" in text else keys.entry(text)
    if not keys.owns_entry(entry):
        accepted = f"the 64 hexadecimal digits of a key, alone or after {keys.entry('')!r}"
        raise InvalidPolicy("key", key, accepted, withheld=True)
    return entry.rpartition(":")[2]


def flush_database(
    keys: Keyspace, *, token: str, now: float, asynchronous: bool
) -> Operation[None]:
    """Delete every key of the database, other programs' too, and set the epoch of ``keys``.

    One command, so that an answer in computation is not served afterwards. If the server refuses
    ``FLUSHDB`` in a script, two commands follow; an answer stored between them is served.
    """
    mode = "ASYNC" if asynchronous else "SYNC"
    try:
        yield from script(FLUSH, (keys.epoch,), cleared_epoch(now, token), mode)
    except StoreRefused:
        yield from flushdb(mode)
        yield from clear(keys, token=token, now=now)


FLUSH = """
redis.call('FLUSHDB', ARGV[2])
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


@dataclass(frozen=True, slots=True)
class Reclaimed:
    """The progress of a reclaim. ``cursor`` resumes it; ``"0"`` is both the start and the end.

    ``scanned`` and ``removed`` count entries; a dry run counts in ``removed`` what it would remove.
    ``failure`` is the error that ended the reclaim after its retries, or None.
    """

    scanned: int
    removed: int
    cursor: str
    failure: StoreError | None = field(default=None, compare=False)

    @property
    def complete(self) -> bool:
        """Whether every entry was scanned."""
        return self.cursor == "0" and self.failure is None


PAGE = 500  # keys of one SCAN
TRIES = 3  # per page
RETRY_PAUSE = 1.0  # seconds between two tries
EPOCH_BYTES = 128  # of an entry's head per epoch; an epoch with its hash takes 70

# One script decides and deletes, so it never deletes an entry that was stored in between. Only the
# entry names its tags, so their epochs are not among KEYS; Upstash accepts that. Each epoch is read
# once a page; the epoch in ARGV[4] counts as cleared. An entry without a readable head is freed.
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
    """Free the memory of cleared answers.

    Two commands per page of about ``PAGE`` keys. It stops after a page if ``proceed`` returns
    False. A dry run counts and frees nothing. It raises no ``StoreError``: it tries a page
    ``TRIES`` times, once if Upstash refuses it, and the result holds the failure.
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
    """Count the entries that a clear and a reclaim would free, earlier clears included.

    It costs as much as a reclaim.
    """
    return _each_page(keys, cursor, proceed, "EXISTS", epoch_of(keys, tag, tenant))


def _each_page(
    keys: Keyspace, cursor: str, proceed: Callable[[], bool], free: str, cleared: str
) -> Operation[Reclaimed]:
    """Run ``free`` on each entry that is cleared, or would be if ``cleared`` were replaced."""
    scanned = removed = 0
    while True:
        read = partial(_one_page, keys, cursor, free, cleared)
        try:
            cursor, page, freed = yield from retried(read, proceed)
        except StoreError as error:
            return Reclaimed(scanned, removed, cursor, error)
        scanned, removed = scanned + page, removed + freed
        if cursor == "0" or not proceed():
            return Reclaimed(scanned, removed, cursor)


def retried(page: Callable[[], Operation[T]], proceed: Callable[[], bool]) -> Operation[T]:
    """Return the result of ``page``, which is tried ``TRIES`` times; raise its ``StoreError``.

    It is tried once if Upstash refuses it, or if ``proceed`` returns False.
    """
    for _ in range(TRIES - 1):
        try:
            return (yield from page())
        except StoreError as error:
            if isinstance(error, StoreRefused) or not proceed():
                raise
            yield Pause(RETRY_PAUSE)
    return (yield from page())


def _one_page(
    keys: Keyspace, cursor: str, free: str, cleared: str
) -> Operation[tuple[str, int, int]]:
    """Return the next cursor, the number of entries, and the number that were freed."""
    following, names = yield from scan(cursor, keys.entry_pattern, PAGE)
    page = [name for name in names if keys.owns_entry(name)]
    if not page:
        return following, 0, 0
    args = (OPENING, keys.tag_epoch(""), free, cleared)
    freed = yield from script(RECLAIM_PAGE, (keys.epoch, *page), *args)
    return following, len(page), freed
