"""Checks of configured values: Upstash's URL and token, header names, protection."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import TypeVar

from llm_cache._checks import instance
from llm_cache._errors import InvalidSettings

T = TypeVar("T")
MAX_PORT = 65_535
_USER = re.compile(r"^(.*?//)?.*@", re.DOTALL)
_URL = re.compile(
    r"https?://(\[[0-9a-f:.]+\]|[\w-]{1,63}(\.[\w-]{1,63})*\.?)(:(?P<port>[0-9]{1,5}))?(/[!-~]*)?",
    re.ASCII | re.IGNORECASE,
)


def rest_url(name: str, text: object) -> str:
    """Return a REST URL without user, password and surrounding spaces.

    Raises ``InvalidSettings``, which does not show the value.
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
    """Return a token without surrounding spaces; raise ``InvalidSettings`` without its value."""
    token = text.strip() if isinstance(text, str) else ""
    if not re.fullmatch("[!-~]+", token):
        accepted = (
            "the REST token is visible ASCII characters, without spaces or line breaks inside"
        )
        raise InvalidSettings(name, "…", accepted)
    return token


def header_names(name: str, value: object) -> frozenset[str]:
    """Return header names in lower case; raise ``InvalidSettings`` for anything else."""
    names = value if isinstance(value, Collection) and not isinstance(value, str | bytes) else [""]
    if not all(isinstance(each, str) and re.fullmatch(r"[!-9;-~]+", each) for each in names):
        raise InvalidSettings(name, value, "a collection of header names")
    return frozenset(map(str.lower, names))


def protection_or_none(protection: T) -> T:
    """Return ``protection``, or raise ``InvalidSettings``, which shows no key."""
    if protection is None:
        return protection
    from llm_cache._entries.protection import Encryption, Signing

    accepted = "Signing(keys), Encryption(keys), or None"
    return instance("protection", protection, Signing | Encryption, accepted, secret=True)
