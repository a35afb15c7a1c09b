"""Which HTTP headers of a model's settings enter the key: all that may change an answer."""

from __future__ import annotations

import re
from collections.abc import Collection
from operator import itemgetter
from typing import Any

from llm_cache._langchain import repr_parser

NAMES = re.compile(r"(.*_)?headers|default_metadata")  # the settings that hold headers
_PASSING = re.compile(
    r"(proxy-)?authorization|.*api[-_]?key|cookie"  # credentials
    r"|traceparent|tracestate|baggage|x-(request|correlation|amzn-trace)-id|b3|x-b3-.*"
    r"|idempotency-key|user-agent|accept-encoding|content-(type|length)|connection|host",
    re.DOTALL,
)


def passes(name: str, ignored: Collection[str] = ()) -> bool:
    """Whether a header concerns credentials, tracing or transport alone, or is to be ignored."""
    return _PASSING.fullmatch(name.lower()) is not None or name.lower() in ignored


def entering(headers: Any, ignored: Collection[str]) -> Any:
    """Return the headers that enter, as sorted pairs; what holds no headers, as it is."""
    try:
        # an object that langchain-core cannot serialise has its repr for a value
        given = repr_parser.literal(headers["repr"]) if "lc" in headers else headers
        pairs = given.items() if isinstance(given, dict) else given
        kept = [[name.lower(), value] for name, value in pairs if not passes(name, ignored)]
        return sorted(kept, key=itemgetter(0))
    except (AttributeError, KeyError, TypeError, ValueError):
        return headers
