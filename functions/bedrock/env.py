"""Read a function's own settings from environment variables."""

from __future__ import annotations

import os

from llm_cache import CachePolicy, InvalidSettings


def text(name: str) -> str:
    """Return the text of a variable; raise ``InvalidSettings`` if it is missing or blank."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise InvalidSettings(name, None, "it must be set")
    return value


def whole_number(name: str, default: int | None = None) -> int:
    """Return a number of 1 or more; raise ``InvalidSettings`` for any other value."""
    value = os.environ.get(name, "").strip() or str(default or "")
    if not (value.isdecimal() and int(value) > 0):
        raise InvalidSettings(name, value or None, "a whole number, 1 or more")
    return int(value)


def seconds(name: str, default: float) -> float:
    """Return a number of seconds that a TTL may have; raise ``InvalidSettings`` for others."""
    value = os.environ.get(name, "").strip() or str(default)
    try:
        return parse_seconds(value)
    except ValueError:
        accepted = f"0 to {CachePolicy.SECONDS_LIMIT} seconds"
        raise InvalidSettings(name, value, accepted) from None


def parse_seconds(value: str) -> float:
    """Return the seconds that a text holds; raise ``ValueError`` if no TTL may have them."""
    parsed = float(value)
    CachePolicy(ttl=parsed)  # raises InvalidPolicy, a ValueError
    return parsed
