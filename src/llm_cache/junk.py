"""Answers that are not worth keeping: to repeat them would repeat an accident."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llm_cache.reason import Reason

# Where integrations put a provider's reason for ending; the last is that of OpenAI's responses.
REASONS = ("finish_reason", "stop_reason", "stopReason", "done_reason", "status")

ENDINGS = {
    Reason.TRUNCATED: (
        *("length", "max_tokens", "max_output_tokens", "model_length", "incomplete"),
        *("model_context_window_exceeded", "pause_turn"),
    ),
    Reason.WITHHELD: (
        *("content_filter", "content_filtered", "guardrail_intervened", "refusal", "safety"),
        *("recitation", "blocklist", "prohibited_content", "spii", "language", "error_toxic"),
    ),
    Reason.FAILED: (
        *("error", "failed", "cancelled", "other", "malformed_function_call"),
        *("malformed_model_output", "malformed_tool_use"),
    ),
}
"""The reasons, in lower case, for which the providers' models end before they are done."""

_BY_REASON = {reason: kind for kind, reasons in ENDINGS.items() for reason in reasons}


def junk(generation: Any) -> Iterator[Reason]:
    """Yield what makes a LangChain generation not worth keeping; nothing for a good one."""
    message = getattr(generation, "message", None)
    for told in (generation.generation_info, getattr(message, "response_metadata", None)):
        yield from _ended(told)
        if isinstance(told, Mapping) and _stale(told.get("cache")):
            yield Reason.STALE
    if _refused(message):
        yield Reason.WITHHELD
    calls = getattr(message, "tool_calls", None)
    if getattr(message, "invalid_tool_calls", None):
        yield Reason.INVALID_TOOL_CALL
    elif not calls and not generation.text and not _blocks(message):
        yield Reason.EMPTY


def _ended(told: Mapping[str, Any] | None) -> Iterator[Reason]:
    for name in REASONS:
        reason = told.get(name) if isinstance(told, Mapping) else None
        if isinstance(reason, str) and reason.lower() in _BY_REASON:
            yield _BY_REASON[reason.lower()]


def _refused(message: Any) -> bool:
    """Whether OpenAI's model said no: beside the content in completions, within it in responses."""
    extras = getattr(message, "additional_kwargs", None) or {}
    return bool(extras.get("refusal")) or any(
        block.get("type") == "refusal" for block in _blocks(message)
    )


def _stale(mark: object) -> bool:
    return isinstance(mark, Mapping) and mark.get("stale") is True


def _blocks(message: Any) -> list[Any]:
    """Return the content blocks that are something else than text: an image has no text."""
    content = getattr(message, "content", None)
    blocks = content if isinstance(content, list) else []
    return [block for block in blocks if isinstance(block, dict) and block.get("type") != "text"]
