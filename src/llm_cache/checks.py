"""Checks of arguments. Each is made once, by the constructor of the object that keeps the value."""

from __future__ import annotations

import re
from collections.abc import Callable
from types import UnionType
from typing import Any, TypeVar

from llm_cache.errors import InvalidSettings

T = TypeVar("T")
N = TypeVar("N", int, float)
MAX_PORT = 65_535
_USER = re.compile(r"^(.*?//)?.*@", re.DOTALL)
_URL = re.compile(
    r"https?://(\[[0-9a-f:.]+\]|[\w-]{1,63}(\.[\w-]{1,63})*\.?)(:(?P<port>[0-9]{1,5}))?(/[!-~]*)?",
    re.ASCII | re.IGNORECASE,
)


def number(name: str, value: N, accepted: str, fits: Callable[[Any], bool]) -> N:
    """Return ``value`` if it is a number that ``fits``; raise ``InvalidSettings`` otherwise.

    A bool is no number, and NaN fits no comparison.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
        raise InvalidSettings(name, value, accepted)
    return value


def above_zero(name: str, value: N) -> N:
    """Return ``value`` if it is a number above 0; raise ``InvalidSettings`` otherwise."""
    return number(name, value, "more than 0", lambda given: given > 0)


def instance(
    name: str, value: T, kinds: type | UnionType, accepted: str, *, secret: bool = False
) -> T:
    """Return ``value`` if it is of ``kinds``; raise ``InvalidSettings`` otherwise.

    Of a ``secret`` the error holds the class instead of the value.
    """
    if not isinstance(value, kinds):
        raise InvalidSettings(name, type(value).__qualname__ if secret else value, accepted)
    return value


def seal_or_none(seal: T) -> T:
    """Return ``seal`` if it is one, or None; raise ``InvalidSettings``, which shows no key."""
    if seal is None:
        return seal
    from llm_cache.seal import Encryption, Signing

    accepted = "Signing(keys), Encryption(keys), or None"
    return instance("seal", seal, Signing | Encryption, accepted, secret=True)


def function(name: str, value: T, returns: str) -> T:
    """Return ``value`` if it can be called; raise ``InvalidSettings`` otherwise."""
    if not callable(value):
        raise InvalidSettings(name, value, f"a function that returns {returns}")
    return value


def rest_url(name: str, text: object) -> str:
    """Return the address of a database, less a user and a password in it, and spaces around it.

    Raises ``InvalidSettings``, which does not show it.
    """
    found = _URL.fullmatch(_USER.sub(r"\1", text.strip())) if isinstance(text, str) else None
    if found is None or int(found["port"] or 0) > MAX_PORT:
        accepted = (
            "the REST URL begins with https:// and is ASCII without spaces (Upstash's console "
            "shows it as UPSTASH_REDIS_REST_URL); redis:// and rediss:// are not REST"
        )
        raise InvalidSettings(name, "…", accepted)
    return found.string.rstrip("/")


def rest_token(name: str, text: object) -> str:
    """Return a token, less spaces around it; raise ``InvalidSettings``, which does not show it."""
    token = text.strip() if isinstance(text, str) else ""
    if not re.fullmatch("[!-~]+", token):
        accepted = (
            "the REST token is visible ASCII characters, without spaces or line breaks inside"
        )
        raise InvalidSettings(name, "…", accepted)
    return token
