"""The twin of each Lua script of the library: the same in Python, found by the script's source.

A twin receives ``KEYS`` and ``ARGV``, and returns the reply. A property test compares each with its
script in a real server.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias

from llm_cache._doctor.memory import WRITE
from llm_cache._entries.envelope import FINGERPRINT_LENGTH
from llm_cache._entries.keys import MAX_EPOCHS, STORE_MARK
from llm_cache._inspect.entry_heads import HEADS
from llm_cache._protocol.clearing import CLEAR, EPOCH_BYTES, FLUSH, RECLAIM_PAGE
from llm_cache._protocol.leases import HELD, NO_LEADER, RELEASE, RENEW, TAKE, TAKEN, UNCACHEABLE
from llm_cache._protocol.lookup import ANY_ENTRY
from llm_cache._protocol.store import STORE
from llm_cache.testing._database import Database, RedisError, Reply

Bytes: TypeAlias = list[bytes]
Twin: TypeAlias = Callable[[Database, Bytes, Bytes], Reply]

_STORE_MARK = STORE_MARK.encode()
_HEAD_END = re.compile(rb'"codec":"[^"]*","[a-z]+"')
_TAG = re.compile(rb',"([0-9a-f]{32})":"([^"]*)"')


def _store(database: Database, keys: Bytes, argv: Bytes) -> Reply:
    (entry, lease, *epochs), (token, ttl, text, body, leader, known, *seen) = keys, argv
    if leader and (database.get(lease) or b"").startswith(leader):
        database.unlink(lease)
    for key, mark, before in zip(epochs, seen[::2], seen[1::2], strict=True):
        epoch = mark[1:] if mark.startswith(b"=") else database.get(key)
        if mark == b"-" and epoch is not None and not epoch.startswith(_STORE_MARK):
            return 0
        if epoch is None:
            epoch = token
            database.set(key, epoch)
        text += before + epoch
    text += body
    there = database.get(entry)
    if there == text:
        return 1
    if there is not None and known not in (ANY_ENTRY.encode(), _fingerprint(there)):
        return 2
    database.set(entry, text, milliseconds=1000 * int(ttl))
    return 1


def _fingerprint(text: bytes) -> bytes:
    return b"%d:%s" % (len(text), text[:FINGERPRINT_LENGTH])


def _take(database: Database, keys: Bytes, argv: Bytes) -> Reply:
    token, life, longest = argv
    held, *found = database.mget(*keys)
    under = b"".join(b":" + _unless_stored(epoch or b"") for epoch in found[:-1])
    holder, colon, rest = (held or b"").partition(b":")
    valid = colon and colon + rest == under and 0 <= database.pttl(keys[0]) <= int(longest)
    if valid and holder != token:
        return [UNCACHEABLE if holder == NO_LEADER.encode() else HELD, *found]
    database.set(keys[0], token + under, milliseconds=int(life))
    return [TAKEN, *found]


def _unless_stored(epoch: bytes) -> bytes:
    return b"" if epoch.startswith(_STORE_MARK) else epoch


def _renew(database: Database, keys: Bytes, argv: Bytes) -> Reply:
    (lease,), (token, life) = keys, argv
    held = database.get(lease)
    if held is None or not held.startswith(token):
        return 0
    database.set(lease, held, milliseconds=int(life))
    return 1


def _release(database: Database, keys: Bytes, argv: Bytes) -> Reply:
    (lease,), (token, instead) = keys, argv
    held = database.get(lease)
    if held is None or not held.startswith(token):
        return 0
    if not instead:
        return database.unlink(lease)
    database.set_keeping_ttl(lease, instead + held[len(token) :])
    return 1


def _clear(database: Database, keys: Bytes, argv: Bytes) -> Reply:
    database.unlink(keys[0])
    with suppress(RedisError):  # as pcall
        database.set(keys[0], argv[0])
    return 1


def _flush(database: Database, keys: Bytes, argv: Bytes) -> Reply:
    database.flush()
    database.set(keys[0], argv[0])
    return 1


def _reclaim_page(database: Database, keys: Bytes, argv: Bytes) -> Reply:
    head, tag_epoch, free, cleared = argv
    epochs: dict[bytes, bytes | None] = {cleared: None}

    def epoch(key: bytes) -> bytes | None:
        return epochs.setdefault(key, database.get(key))

    namespace = epoch(keys[0])
    live = None if namespace is None else head + namespace + b'"'

    def reachable(key: bytes) -> bool:
        if live is None:
            return False
        stored = database.getrange(key, len(live) + MAX_EPOCHS * EPOCH_BYTES)
        at = len(live)
        while found := _TAG.match(stored, at):
            if epoch(tag_epoch + found[1]) != found[2]:
                return False
            at = found.end()
        return stored.startswith(live) and stored[at : at + 1] == b"}"

    remove = {b"UNLINK": database.unlink, b"EXISTS": database.exists}[free]
    return sum(remove(key) for key in keys[1:] if not reachable(key))


def _heads(database: Database, keys: Bytes, argv: Bytes) -> Reply:
    return [_head(database, key, int(argv[0]) + 1) for key in keys]


def _head(database: Database, key: bytes, most: int) -> bytes:
    whole = database.get(key) or b""
    text = whole[:most]
    codec = text.find(b'"codec":"')
    found = _HEAD_END.match(text, codec) if codec >= 0 else None
    numbers = b"%d %d " % (len(whole), database.pttl(key))
    return numbers + text[: found.end() if found else 0]


def _write(database: Database, keys: Bytes, argv: Bytes) -> Reply:
    database.set(keys[0], argv[0], milliseconds=5000)
    return database.unlink(keys[0])


TWINS: dict[str, Twin] = {
    CLEAR: _clear,
    FLUSH: _flush,
    HEADS: _heads,
    RECLAIM_PAGE: _reclaim_page,
    RELEASE: _release,
    RENEW: _renew,
    STORE: _store,
    TAKE: _take,
    WRITE: _write,
}
