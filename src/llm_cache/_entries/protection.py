"""What protects answers at rest from whoever can read, or write, the database.

``Signing`` shows that an entry was altered or moved to another key; ``Encryption`` does that too,
and hides the answer. Both key the names in Redis, so that a guess of a prompt, a tenant or a tag
cannot be tested there. The epochs of an entry are under neither: a script fills them in, in Redis.

Only the text that was verified is read: the head of an entry must be epochs and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from llm_cache._entries import envelope as entries
from llm_cache._entries.envelope import AFTER_EPOCHS, EPOCHS, Entry
from llm_cache._entries.keyring import Keyring
from llm_cache._errors import ForgedEntry, InvalidSettings, UnreadableEntry

NONCE = 12  # bytes, random: a key is good for 2**32 entries (NIST SP 800-38D, section 8.3)
_BY = f'({EPOCHS})"by":"([0-9a-f]{{8}})",'
_SIGNED = re.compile(_BY + '"mac":"([^"]{44})",')
_BOXED = re.compile(_BY + '("created":[^,"]*,"ttl":[^,"]*,"codec":"[^"]*"),"box":"')


class Names(Protocol):
    """Keys the names in Redis."""

    @property
    def names(self) -> bytes:
        """What they are keyed with."""


class Protection(Names, Protocol):
    """Writes and reads the entries of a cache in a form that only its keys make."""

    def body(self, key: str, head: str, answer: Sequence[str]) -> str:
        """Return the text to store under ``key`` after the epochs, as ``entry.body`` does."""

    def decode(self, key: str, text: object) -> Entry:
        """Read what stood under ``key``; raise ``ForgedEntry``, or ``UnreadableEntry``."""


class Signing:
    """Signs entries with HMAC-SHA-256: one altered, moved or signed by nobody is never served.

    ``keys`` are one or two keys of 32 random bytes in base64, with a space between: the first
    writes, both read. ``"NEW names:OLD"`` reads no more of OLD, and keeps the names that come from
    it. Raises ``InvalidSettings``, which shows no key. An answer of 2 KB takes some 10 µs.
    """

    def __init__(self, keys: str | Keyring) -> None:
        ring = _ring(keys)
        self.names = ring.names
        self._keys = ring.subkeys("sign")

    def body(self, key: str, head: str, answer: Sequence[str]) -> str:
        """Return a body whose signature is over the key and all that follows it."""
        by, secret = next(iter(self._keys.items()))
        signed = entries.body(head, answer).removeprefix(AFTER_EPOCHS)
        return f'{AFTER_EPOCHS}"by":"{by}","mac":"{_mac(secret, key, signed)}",{signed}'

    def decode(self, key: str, text: object) -> Entry:
        """Verify the signature, and read what it is over."""
        found, by = _matched(_SIGNED, text)
        secret, signed = _chosen(self._keys, by), found.string[found.end() :]
        if not hmac.compare_digest(found[3], _mac(secret, key, signed)):
            raise ForgedEntry("the signature is of another key, or another text")
        return entries.decode(found[1] + signed)


class Encryption:
    """Encrypts answers with AES-256-GCM, and authenticates when they were stored, and where.

    ``keys`` as for ``Signing``, which is not needed beside it. Needs the package ``cryptography``
    (``pip install "lambda-llm-cache[encryption]"``), else raises ``InvalidSettings``.

    Answers are compressed first. That tells about a secret only where an attacker can have text of
    his own compressed together with it, over and over: an answer is compressed alone.
    """

    def __init__(self, keys: str | Keyring) -> None:
        ring, cipher = _ring(keys), aes_gcm()
        self.names = ring.names
        self._keys = {by: cipher(secret) for by, secret in ring.subkeys("encrypt").items()}

    def body(self, key: str, head: str, answer: Sequence[str]) -> str:
        """Return a body that shows when the answer was stored, and nothing else of it."""
        by, cipher = next(iter(self._keys.items()))
        plain, nonce = entries.deflated(entries.array(answer)), secrets.token_bytes(NONCE)
        box = base64.b64encode(nonce + cipher.encrypt(nonce, plain, _bound(key, head))).decode()
        return f'{AFTER_EPOCHS}"by":"{by}",{head},"box":"{box}"}}'

    def decode(self, key: str, text: object) -> Entry:
        """Decrypt the answer, which verifies all but the epochs."""
        found, by = _matched(_BOXED, text)
        cipher, epochs, head = _chosen(self._keys, by), found[1], found[3]
        protected = _decoded(found.string[found.end() :])
        try:
            plain = cipher.decrypt(protected[:NONCE], protected[NONCE:], _bound(key, head))
        except Exception as error:  # InvalidTag, or ValueError for what is too short
            raise ForgedEntry("the answer is of another key, or was altered") from error
        return entries.decode(f'{epochs}{head},"answer":{entries.inflated(plain)}}}')


def protecting(*, encrypts: bool) -> Callable[[Keyring], Protection]:
    """Return what makes a protection of keys; raise ``InvalidSettings`` now if it never could."""
    if encrypts:
        aes_gcm()
    return Encryption if encrypts else Signing


def aes_gcm() -> Any:
    """Return the cipher's class; raise ``InvalidSettings`` where its package is missing."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        needed = 'the package cryptography is missing: pip install "lambda-llm-cache[encryption]"'
        raise InvalidSettings("protection", "Encryption", needed) from error
    return AESGCM


def _ring(keys: str | Keyring) -> Keyring:
    return keys if isinstance(keys, Keyring) else Keyring.parse("keys", keys)


def _matched(form: re.Pattern[str], text: object) -> tuple[re.Match[str], str]:
    """Return a protected entry's parts and the id of its key; all of it is ASCII."""
    found = form.match(text) if isinstance(text, str) and text.isascii() else None
    if found is None:
        entries.decode(text)  # what is no entry at all is unreadable
        raise ForgedEntry("nobody has protected it")
    return found, found[2]


def _chosen(keys: dict[str, Any], by: str) -> Any:
    if by not in keys:  # no alarm: another process may have a newer key already
        raise UnreadableEntry("protected with a key that is not configured")
    return keys[by]


def _decoded(box: str) -> bytes:
    try:
        return binascii.a2b_base64(box.removesuffix('"}'), strict_mode=True)
    except ValueError as error:
        raise ForgedEntry("not base64 to its end") from error


def _bound(key: str, text: str) -> bytes:
    """Return the text to authenticate: the length of the key, the key, and the text."""
    name = key.encode()
    return b"%d:%b%b" % (len(name), name, text.encode())


def _mac(secret: bytes, key: str, signed: str) -> str:
    return base64.b64encode(hmac.digest(secret, _bound(key, signed), "sha256")).decode()
