"""Decide whether a model's answer may be stored.

All paths share it: LangChain's cache, streams, ``ask``, ``summarize`` and your own functions.
It reads attributes and does not import LangChain, so that a hit of ``ResponseCache`` stays cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llm_cache._reasons import Reason

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import Generation

FINISH_REASON_FIELDS = (
    *("finish_reason", "finishReason", "stop_reason", "stopReason", "completionReason"),
    *("done_reason", "block_reason", "amazon-bedrock-guardrailAction"),
    "status",  # OpenAI's responses
)
"""Fields in which integrations put the provider's finish reason."""

_DETAILS = ("incomplete_details", "prompt_feedback", "additionalModelResponseFields", "results")
"""Objects, or lists of objects, that may hold it too; OpenAI's field for it is ``reason``."""

FINISH_REASONS = {
    Reason.TRUNCATED: (
        *("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "max_length"),
        *("model_length", "model_context_window_exceeded", "context_length_exceeded"),
        *("error_limit", "token_limit", "time_limit", "pause_turn", "compaction"),
        *("incomplete", "in_progress", "queued", "not_finished"),
    ),
    Reason.WITHHELD: (
        *("content_filter", "content_filtered", "guardrail_intervened", "intervened", "refusal"),
        *("safety", "recitation", "blocklist", "prohibited_content", "spii", "language"),
        *("image_safety", "image_prohibited_content", "image_recitation", "model_armor"),
        *("jailbreak", "error_toxic", "sensitive", "blocked"),
    ),
    Reason.FAILED: (
        *("error", "failed", "cancelled", "canceled", "user_cancel", "abort", "aborted"),
        *("timeout", "network_error", "insufficient_system_resource", "other", "image_other"),
        *("malformed_function_call", "malformed_model_output", "malformed_tool_use"),
        *("malformed_response", "unexpected_tool_call", "too_many_tool_calls", "no_image"),
        "missing_thought_signature",
    ),
}
"""The providers' finish reasons, in lower case, of answers that must not be stored."""

_REASON_BY_WORD = {word: reason for reason, words in FINISH_REASONS.items() for word in words}

_OUTPUT_FIELDS = ("audio", "function_call", "tool_calls", "tool_outputs")
"""Fields of ``additional_kwargs`` that hold an answer; the others describe it."""

_NO_OUTPUT_KINDS = (
    *("thinking", "redactedthinking", "reasoning", "reasoningcontent", "thought", "compaction"),
    "",  # an empty block
)
"""Kinds of content blocks that are no answer; any other kind except text is one."""


def uncacheable(message: AIMessage | Generation | str) -> Reason | None:
    """Return why an answer must not be stored, or None if it may be.

    ``message`` is a chat model's message, one generation of a result, or plain text. An answer must
    not be stored if

    - the model was truncated, filtered, refused, or failed
    - a tool call cannot be parsed
    - ``or_stale`` served it after it had expired
    - it holds only blank text and reasoning

    A function that returns text must check the text too, because a tool call has none:
    ``uncacheable(message) or uncacheable(message.text)``. Costs no command.
    """
    return next(uncacheable_reasons(message), None)


def uncacheable_reasons(answer: Any) -> Iterator[Reason]:
    """Yield each reason why an answer must not be stored; the provider's finish reason first."""
    if isinstance(answer, str):
        yield from () if _is_visible(answer) else (Reason.EMPTY,)
        return
    fields = _fields(answer)
    message = answer if "content" in fields else fields.get("message")
    inner = _fields(message)
    for place in ("response_metadata", "generation_info", "additional_kwargs"):
        metadata = fields.get(place) or inner.get(place)
        if metadata and isinstance(metadata, Mapping):
            yield from reasons_in_metadata(metadata)
    yield from uncacheable_reasons(answer.text) if message is None else _of_message(message)


def _fields(answer: Any) -> Mapping[str, Any]:
    """Return an object's fields; pydantic takes microseconds to miss an attribute."""
    return getattr(answer, "__dict__", {})


def _of_message(message: Any) -> Iterator[Reason]:
    blocks, extras = list(_blocks(message.content)), message.additional_kwargs
    if extras.get("refusal") or any(_kind(block) == "refusal" for block in blocks):
        yield Reason.WITHHELD
    if getattr(message, "invalid_tool_calls", None):
        yield Reason.INVALID_TOOL_CALL
    elif not (
        getattr(message, "tool_calls", None)
        or any(extras.get(name) for name in _OUTPUT_FIELDS)
        or any(map(_is_output, blocks))
    ):
        yield Reason.EMPTY


def reasons_in_metadata(metadata: Mapping[str, Any]) -> Iterator[Reason]:
    """Yield the reasons that a provider's metadata, or hit metadata, gives."""
    for name in _DETAILS:
        details = metadata.get(name)
        for each in details if isinstance(details, list) else [details]:
            if isinstance(each, Mapping):
                yield from _finish_reasons(each, (*FINISH_REASON_FIELDS, "reason"))
    yield from _finish_reasons(metadata, FINISH_REASON_FIELDS)
    hit = metadata.get("cache")
    if isinstance(hit, Mapping) and hit.get("stale") is True:
        yield Reason.STALE


def _finish_reasons(metadata: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Reason]:
    for word in (metadata.get(name) for name in names):
        if isinstance(word, str):
            plain = word.lower().rpartition(".")[2].replace("-", "_").replace(" ", "_")
            if reason := _REASON_BY_WORD.get(plain.removeprefix("finish_reason_")):
                yield reason


def _blocks(content: Any) -> Iterator[Any]:
    for block in content if isinstance(content, list) else [content]:
        wrapped = isinstance(block, dict) and block.get("type") == "non_standard"
        yield block.get("value") if wrapped else block


def _kind(block: Any) -> str:
    """Return a block's type, or else the name of its first field."""
    kind = block.get("type") or next(iter(block), "") if isinstance(block, dict) else ""
    return str(kind).lower().replace("_", "")


def _is_output(block: Any) -> bool:
    """Return whether a block is part of an answer: visible text, an image, a tool call."""
    if isinstance(block, str):
        return _is_visible(block)
    kind = _kind(block)
    if kind in ("text", "outputtext"):
        return isinstance(block.get("text"), str) and _is_visible(block["text"])
    return kind not in _NO_OUTPUT_KINDS


def _is_visible(text: str) -> bool:
    return any(letter.isprintable() and letter != " " for letter in text)
