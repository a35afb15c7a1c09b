"""The tokens of an answer, as the functions keep them. Imports no LangChain."""

from __future__ import annotations

from llm_cache._entries.json_bounds import is_count


def is_usage(value: object) -> bool:
    """Whether a value is what ``model.usage`` returns: anyone may have written it into Redis."""
    return (
        isinstance(value, dict)
        and value.keys() == {"input_tokens", "output_tokens"}
        and all(is_count(count) for count in value.values())
    )
