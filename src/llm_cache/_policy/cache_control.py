"""The ``Cache-Control`` header of a request (RFC 9111, section 5.2)."""

from __future__ import annotations

import re

from llm_cache._errors import InvalidPolicy
from llm_cache._policy.ttl import MAX_SECONDS

AGES = ("max-age", "min-fresh", "max-stale", "stale-if-error")  # each has a field of CachePolicy
_DIRECTIVE = re.compile(
    r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^,\s"]*)))?"""
)


def directives(header: str) -> dict[str, str]:
    """Return the directives by lower-case name; the first of two with one name counts."""
    found: dict[str, str] = {}
    for name, quoted, plain in _DIRECTIVE.findall(header):
        found.setdefault(name.lower(), quoted or plain)
    return found


def ages(found: dict[str, str]) -> dict[str, float]:
    """Return the seconds of the directives in ``AGES``, by field of ``CachePolicy``.

    ``max-stale`` without a number means any time. Raises ``InvalidPolicy`` for a wrong number.
    """
    if found.get("max-stale") == "":
        found = {**found, "max-stale": str(MAX_SECONDS)}
    known = [name for name in AGES if name in found]
    return {name.replace("-", "_"): delta_seconds(name, found[name]) for name in known}


def delta_seconds(directive: str, text: str) -> float:
    """Return a directive's number; a number too large counts as the largest (section 1.2.2)."""
    if not (text.isascii() and text.isdigit()):
        raise InvalidPolicy(f"Cache-Control {directive}", text, "a whole number of seconds")
    return float(min(int(text.lstrip("0")[:12] or 0), MAX_SECONDS))
