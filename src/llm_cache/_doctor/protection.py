"""Check the keys that sign or encrypt entries, and whether they read the stored entries."""

from __future__ import annotations

import re

from llm_cache._config.cache_config import CacheConfig
from llm_cache._doctor.database import Database
from llm_cache._doctor.finding import Finding, failed, passed, unknown
from llm_cache._doctor.located import Located
from llm_cache._entries import envelope
from llm_cache._entries.envelope import EPOCHS_PATTERN
from llm_cache._entries.keyring import Keyring
from llm_cache._entries.keys import Keyspace
from llm_cache._entries.protection import Protection, protection_factory
from llm_cache._errors import InvalidSettings, StoreError, UnreadableEntry
from llm_cache._protocol.redis_commands import mget, scan

CHECK, ENTRIES = "protection", "entries"
PAGE = 100  # keys of the one SCAN
SAMPLE = 5  # entries to read: at most 1 MB each
PROTECTED = re.compile(EPOCHS_PATTERN + '"by":"')


def check_protection(config: CacheConfig, keys: Located) -> tuple[Finding, Protection | None]:
    """Return what protects entries, after its keys and its package were checked."""
    if not config.protects:
        return passed(CHECK, "off: entries are neither signed nor encrypted"), None
    if keys.value is None:
        return keys.missing(CHECK), None
    try:
        make = protection_factory(encrypts=config.encrypts)
        protection = make(Keyring.parse(keys.place, keys.value))
    except InvalidSettings as error:
        if error.name == keys.place:
            text = f"{keys.place} holds no valid keys"
            return failed(CHECK, text, f"{error.accepted}. {keys.remedy}"), None
        text = "entries are to be encrypted, but the package cryptography is missing"
        return failed(CHECK, text, 'pip install "lambda-llm-cache[encryption]"'), None
    kind = "encrypted" if config.encrypts else "signed"
    return passed(CHECK, f"entries are {kind} with the keys of {keys.place}"), protection


def check_entries(database: Database, keys: Keyspace, protection: Protection | None) -> Finding:
    """Read a few entries of one page of keys. Two commands at any size of the database."""
    try:
        _, names = database.run(scan("0", keys.entry_pattern, PAGE))
        sample = [name for name in names if keys.owns_entry(name)][:SAMPLE]
        texts = database.run(mget(*sample)) if sample else []
    except StoreError as error:
        return unknown(ENTRIES, f"not checked: {error}")
    found = [(key, text) for key, text in zip(sample, texts, strict=True) if text is not None]
    if not found:
        return passed(ENTRIES, f"none of {keys.prefix} among the first {PAGE} keys")
    unreadable = sum(not _reads(key, text, protection) for key, text in found)
    return _judge(len(found), unreadable, is_protected=protection is not None)


def _reads(key: str, text: str, protection: Protection | None) -> bool:
    try:
        protection.decode(key, text) if protection else envelope.decode(text)
    except UnreadableEntry:
        return False
    return bool(protection) or not PROTECTED.match(text)


def _judge(count: int, unreadable: int, *, is_protected: bool) -> Finding:
    if unreadable < count:
        rest = f"; {unreadable} are misses until they expire" if unreadable else ""
        return passed(
            ENTRIES, f"{count - unreadable} of {count} sampled entries are readable{rest}"
        )
    with_keys = (
        "with the configured keys" if is_protected else "without a signing or encryption key"
    )
    remedy = (
        "configure the key and the mode that the functions use (docs/security.md); if these are "
        "old entries, llm-cache clear --reclaim 60"
    )
    return failed(ENTRIES, f"none of {count} sampled entries is readable {with_keys}", remedy)
