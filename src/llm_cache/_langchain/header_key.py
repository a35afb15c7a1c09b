"""Select the HTTP headers for the key: all that may change an answer."""

from __future__ import annotations

import re
from collections.abc import Collection
from operator import itemgetter
from typing import Any

from llm_cache._langchain.repr_parser import parse_literal

HEADER_SETTINGS = re.compile(r"(.*_)?headers|default_metadata")
_IGNORED = re.compile(
    r"(proxy-)?authorization|.*api[-_]?key|cookie"  # credentials
    r"|traceparent|tracestate|baggage|x-(request|correlation|amzn-trace)-id|b3|x-b3-.*"
    r"|idempotency-key|user-agent|accept-encoding|content-(type|length)|connection|host",
    re.DOTALL,
)


def is_ignored(name: str, ignored: Collection[str] = ()) -> bool:
    """Return whether a header is for credentials, tracing or transport, or in ``ignored``."""
    return _IGNORED.fullmatch(name.lower()) is not None or name.lower() in ignored


def header_key(headers: Any, ignored: Collection[str]) -> Any:
    """Return the headers that enter the key as sorted pairs; return any other value unchanged."""
    try:
        # langchain-core gives an object that it cannot serialise a field with its repr
        plain = parse_literal(headers["repr"]) if "lc" in headers else headers
        pairs = plain.items() if isinstance(plain, dict) else plain
        kept = [[name.lower(), value] for name, value in pairs if not is_ignored(name, ignored)]
        return sorted(kept, key=itemgetter(0))
    except (AttributeError, KeyError, TypeError, ValueError):
        return headers
