"""The secret keys of one cache: how they are written, and what is derived from each.

A key is never used itself. Of each, HMAC-SHA-256 makes one subkey for every use, by its label (the
expansion of RFC 5869, section 2.3, at its first block; the keys are random already, so nothing is
extracted): to sign, to encrypt, to key names, and to tell the key by in an entry.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass

from llm_cache._errors import InvalidSettings

SIZE = 32  # bytes of a key
FOR_NAMES = "names:"
ACCEPTED = (
    f"one or two keys of {SIZE} random bytes in base64, the one to write with first, "
    f"and maybe one more after {FOR_NAMES}"
)


@dataclass(frozen=True, slots=True, repr=False)
class Keyring:
    """One or two keys, of which the first writes and all read, and the key that names come from.

    Names must stay what they are while keys are rotated, or nothing would be found and no clear of
    a tag would reach what others stored: they come from the last key, or the one marked for it.
    """

    keys: tuple[bytes, ...]
    naming: bytes

    @classmethod
    def parse(cls, name: str, text: str) -> Keyring:
        """Read keys as they are written: ``NEW``, ``NEW OLD``, or ``NEW names:OLD``.

        Raises ``InvalidSettings`` that shows ``name``, the variable or the argument, and no key.
        """
        words = text.split() if isinstance(text, str) else []
        keys = [_key(name, word) for word in words if not _names(word)]
        naming = [_key(name, word[len(FOR_NAMES) :]) for word in words if _names(word)]
        if len(keys) not in (1, 2) or len(naming) > 1:
            raise InvalidSettings(name, "…", ACCEPTED)
        return cls(tuple(keys), (naming or keys)[-1])

    @property
    def names(self) -> bytes:
        """What names in Redis are keyed with."""
        return _subkey(self.naming, "names")

    def subkeys(self, use: str) -> dict[str, bytes]:
        """Return what to ``use``, by the ids of the keys; the first is the one to write with."""
        return {_subkey(key, "id").hex()[:8]: _subkey(key, use) for key in self.keys}


def _names(word: str) -> bool:
    return word.startswith(FOR_NAMES)


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
