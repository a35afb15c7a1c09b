"""The ``Cache-Control`` header of a request, taken apart (RFC 9111, section 5.2)."""

from __future__ import annotations

import re

from llm_cache._errors import InvalidPolicy
from llm_cache._policy.ttl import MAX_SECONDS

_DIRECTIVE = re.compile(
    r"""([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^,\s"]*)))?"""
)


def directives(header: str) -> dict[str, str]:
    """Return the directives by lower-case name; of one that is repeated, the first counts."""
    found: dict[str, str] = {}
    for name, quoted, plain in _DIRECTIVE.findall(header):
        found.setdefault(name.lower(), quoted or plain)
    return found


def delta_seconds(directive: str, text: str) -> float:
    """Return a directive's number; one too large counts as the largest (section 1.2.2)."""
    if not (text.isascii() and text.isdigit()):
        raise InvalidPolicy(f"Cache-Control {directive}", text, "a whole number of seconds")
    return float(min(int(text.lstrip("0")[:12] or 0), MAX_SECONDS))
