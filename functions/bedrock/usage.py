"""Check the token usage of a stored response. Imports no LangChain."""

from __future__ import annotations

MAX_COUNT = 10**9  # tokens of one call


def is_usage(value: object) -> bool:
    """Return whether a value has the form of ``model.usage``; an entry in Redis may be forged."""
    return (
        isinstance(value, dict)
        and value.keys() == {"input_tokens", "output_tokens"}
        and all(type(count) is int and 0 <= count <= MAX_COUNT for count in value.values())
    )
