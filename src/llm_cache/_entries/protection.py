"""Protection of entries against readers and writers of the database.

``Signing`` detects entries that were altered or moved to another key. ``Encryption`` does too, and
hides the answer. Both key the names in Redis, so that guesses of a prompt, a tenant or a tag cannot
be tested. Neither protects an entry's epochs, because a script in Redis fills them in.

Only authenticated text is read; nothing but epochs may precede it.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from llm_cache._entries import envelope
from llm_cache._entries.compression import compress, decompress
from llm_cache._entries.envelope import EPOCHS_END, EPOCHS_PATTERN, Entry
from llm_cache._entries.keyring import Keyring
from llm_cache._errors import ForgedEntry, InvalidSettings, UnreadableEntry

NONCE = 12  # bytes, random: a key is good for 2**32 entries (NIST SP 800-38D, section 8.3)
_KEY_ID = f'({EPOCHS_PATTERN})"by":"([0-9a-f]{{8}})",'
_SIGNED = re.compile(_KEY_ID + '"mac":"([^"]{44})",')
_ENCRYPTED = re.compile(_KEY_ID + '("created":[^,"]*,"ttl":[^,"]*,"codec":"[^"]*"),"box":"')


class NameSecret(Protocol):
    """Keys the names in Redis."""

    @property
    def name_secret(self) -> bytes:
        """The secret that keys the hashes of requests, tenants and tags."""


class Protection(NameSecret, Protocol):
    """Writes and reads entries in a form that only its keys can produce."""

    def encode_body(self, key: str, metadata: str, answer: Sequence[str]) -> str:
        """Return the text to store under ``key`` after the epochs."""

    def decode(self, key: str, text: object) -> Entry:
        """Return the entry stored under ``key``; raise ``ForgedEntry`` or ``UnreadableEntry``."""


class Signing:
    """Signs entries with HMAC-SHA-256: altered, moved and unsigned entries are never served.

    ``keys`` are one or two keys of 32 random bytes in base64, with a space between: the first
    writes, both read. ``"NEW names:OLD"`` no longer reads entries of OLD, and keeps the names
    derived from it. Raises ``InvalidSettings``, without the key. 2 KB take some 10 µs.
    """

    def __init__(self, keys: str | Keyring) -> None:
        keyring = _keyring(keys)
        self.name_secret = keyring.name_secret
        self._keys = keyring.subkeys("sign")

    def encode_body(self, key: str, metadata: str, answer: Sequence[str]) -> str:
        """Return a body with a signature of the key and of the text after the signature."""
        key_id, secret = next(iter(self._keys.items()))
        signed = envelope.encode_body(metadata, answer).removeprefix(EPOCHS_END)
        return f'{EPOCHS_END}"by":"{key_id}","mac":"{_mac(secret, key, signed)}",{signed}'

    def decode(self, key: str, text: object) -> Entry:
        """Verify the signature and return the entry."""
        found = _match(_SIGNED, text)
        secret, signed = _select(self._keys, found[2]), found.string[found.end() :]
        if not hmac.compare_digest(found[3], _mac(secret, key, signed)):
            raise ForgedEntry("the signature does not match the key and the text")
        return envelope.decode(found[1] + signed)


class Encryption:
    """Encrypts answers with AES-256-GCM; authenticates the key, the time, the TTL and the codec.

    ``keys`` as for ``Signing``, which it replaces. Needs the package ``cryptography``
    (``pip install "lambda-llm-cache[encryption]"``), else raises ``InvalidSettings``.

    Answers are compressed first. Their length could reveal a secret only if an attacker's text were
    compressed with it repeatedly; each answer is compressed alone.
    """

    def __init__(self, keys: str | Keyring) -> None:
        keyring, cipher = _keyring(keys), aes_gcm()
        self.name_secret = keyring.name_secret
        self._keys = {key_id: cipher(key) for key_id, key in keyring.subkeys("encrypt").items()}

    def encode_body(self, key: str, metadata: str, answer: Sequence[str]) -> str:
        """Return a body that shows the metadata and hides the answer."""
        key_id, cipher = next(iter(self._keys.items()))
        plain, nonce = compress(envelope.json_array(answer)), secrets.token_bytes(NONCE)
        encrypted = nonce + cipher.encrypt(nonce, plain, _authenticated(key, metadata))
        box = base64.b64encode(encrypted).decode()
        return f'{EPOCHS_END}"by":"{key_id}",{metadata},"box":"{box}"}}'

    def decode(self, key: str, text: object) -> Entry:
        """Decrypt the answer, which authenticates everything but the epochs."""
        found = _match(_ENCRYPTED, text)
        epochs, key_id, metadata = found[1], found[2], found[3]
        cipher, box = _select(self._keys, key_id), _from_base64(found.string[found.end() :])
        try:
            plain = cipher.decrypt(box[:NONCE], box[NONCE:], _authenticated(key, metadata))
        except Exception as error:  # InvalidTag, or ValueError if it is too short
            raise ForgedEntry("the answer was altered or moved from another key") from error
        return envelope.decode(f'{epochs}{metadata},"answer":{decompress(plain)}}}')


def protection_factory(*, encrypts: bool) -> Callable[[Keyring], Protection]:
    """Return the type of protection; raise ``InvalidSettings`` if its package is missing."""
    if encrypts:
        aes_gcm()
    return Encryption if encrypts else Signing


def aes_gcm() -> Any:
    """Return the class of the cipher; raise ``InvalidSettings`` if its package is missing."""
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        needed = 'the package cryptography is missing: pip install "lambda-llm-cache[encryption]"'
        raise InvalidSettings("protection", "Encryption", needed) from error
    return AESGCM


def _keyring(keys: str | Keyring) -> Keyring:
    return keys if isinstance(keys, Keyring) else Keyring.parse("keys", keys)


def _match(form: re.Pattern[str], text: object) -> re.Match[str]:
    """Return the match of a protected entry, whose second group is the id of the key."""
    found = form.match(text) if isinstance(text, str) and text.isascii() else None
    if found is None:
        envelope.decode(text)  # raises UnreadableEntry for any text but an entry
        raise ForgedEntry("the entry is not protected")
    return found


def _select(keys: dict[str, Any], key_id: str) -> Any:
    if key_id not in keys:  # not ForgedEntry: another process may have a newer key already
        raise UnreadableEntry("protected with a key that is not configured")
    return keys[key_id]


def _from_base64(box: str) -> bytes:
    try:
        return binascii.a2b_base64(box.removesuffix('"}'), strict_mode=True)
    except ValueError as error:
        raise ForgedEntry("the encrypted answer is not base64") from error


def _authenticated(key: str, text: str) -> bytes:
    """Return the text to authenticate: the length of the key, the key, and the text."""
    name = key.encode()
    return b"%d:%b%b" % (len(name), name, text.encode())


def _mac(secret: bytes, key: str, signed: str) -> str:
    return base64.b64encode(hmac.digest(secret, _authenticated(key, signed), "sha256")).decode()
