"""The secret keys of one cache: how they are written, and the subkeys derived from them.

No key is used itself. HMAC-SHA-256 derives a subkey for each use (signing, encryption, names in
Redis, the key's id in entries) from the key and a label. This is the first block of the expansion
of RFC 5869, section 2.3; the keys are random, so the extraction step is not needed.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from llm_cache._errors import InvalidSettings

SIZE = 32  # bytes of a key
NAMING_PREFIX = "names:"
ACCEPTED = (
    f"one or two keys of {SIZE} random bytes in base64, first the key that writes; "
    f"optionally a key for names after {NAMING_PREFIX}"
)


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """One or two keys, and the key for names in Redis. The first key writes; all keys read.

    Names must not change while keys are rotated: lookups and clears would miss older entries. They
    are derived from the last key, or from the key after ``names:``.
    """

    keys: tuple[bytes, ...]
    naming_key: bytes

    @classmethod
    def parse(cls, name: str, text: str) -> Keyring:
        """Return the keys written as ``NEW``, ``NEW OLD``, or ``NEW names:OLD``.

        Raises ``InvalidSettings`` with ``name``, the variable or the argument, and without a key.
        """
        words = text.split() if isinstance(text, str) else []
        keys = [_key(name, word) for word in words if not _is_naming(word)]
        naming = [_key(name, word[len(NAMING_PREFIX) :]) for word in words if _is_naming(word)]
        if len(keys) not in (1, 2) or len(naming) > 1:
            raise InvalidSettings(name, "…", ACCEPTED)
        return cls(tuple(keys), (naming or keys)[-1])

    @property
    def name_secret(self) -> bytes:
        """The secret that keys the names in Redis."""
        return _subkey(self.naming_key, "names")

    def subkeys(self, use: str) -> dict[str, bytes]:
        """Return the subkeys for ``use`` by the ids of their keys; the first one writes."""
        return {_subkey(key, "id").hex()[:8]: _subkey(key, use) for key in self.keys}


def _is_naming(word: str) -> bool:
    return word.startswith(NAMING_PREFIX)


def _key(name: str, word: str) -> bytes:
    try:
        key = base64.b64decode(word, validate=True)
    except ValueError:
        key = b""
    if len(key) != SIZE:
        raise InvalidSettings(name, "…", ACCEPTED)
    return key


def _subkey(key: bytes, use: str) -> bytes:
    return hmac.digest(key, b"llm_cache %b\x01" % use.encode(), "sha256")
