"""The one verdict on a model's answer: whether it may be kept.

Every path uses it: LangChain's cache, streams, ``ask``, ``summarize``, a function of your own. It
reads attributes only and does not import LangChain, so that a hit of ``ResponseCache`` stays cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llm_cache._reasons import Reason

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage
    from langchain_core.outputs import Generation

REASONS = (
    *("finish_reason", "finishReason", "stop_reason", "stopReason", "completionReason"),
    *("done_reason", "block_reason", "amazon-bedrock-guardrailAction"),
    "status",  # of OpenAI's responses
)
"""Where integrations put a provider's reason for ending."""

_DETAILS = ("incomplete_details", "prompt_feedback", "additionalModelResponseFields", "results")
"""Objects, or lists of objects, that may hold it too; OpenAI's names it ``reason``."""

ENDINGS = {
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
"""The reasons, in lower case, for which the providers' models end before they are done."""

_BY_REASON = {word: reason for reason, words in ENDINGS.items() for word in words}

_OUTPUTS = ("audio", "function_call", "tool_calls", "tool_outputs")
"""Fields of ``additional_kwargs`` that hold an answer; the others describe it."""

_THOUGHTS = (
    *("thinking", "redactedthinking", "reasoning", "reasoningcontent", "thought", "compaction"),
    "",  # an empty block
)
"""Kinds of content blocks that are no answer; any other kind, but for text, is one."""


def uncacheable(message: AIMessage | Generation | str) -> Reason | None:
    """Return why an answer may not be kept, or None if it may.

    ``message`` is what a chat model returns, one generation of a result, or plain text. An answer
    may not be kept if

    - the model was cut short, filtered, refused, or failed
    - a tool call cannot be parsed
    - it is an expired answer that ``or_stale`` served
    - it holds nothing but blank text and reasoning

    A function that returns text also checks the text, since a tool call has none:
    ``uncacheable(message) or uncacheable(message.text)``. Costs no command.
    """
    return next(reasons(message), None)


def reasons(answer: Any) -> Iterator[Reason]:
    """Yield each reason why an answer may not be kept; the provider's own words come first."""
    if isinstance(answer, str):
        yield from () if _visible(answer) else (Reason.EMPTY,)
        return
    fields = _fields(answer)
    message = answer if "content" in fields else fields.get("message")
    inner = _fields(message)
    for place in ("response_metadata", "generation_info", "additional_kwargs"):
        told = fields.get(place) or inner.get(place)
        if told and isinstance(told, Mapping):
            yield from endings(told)
    yield from reasons(answer.text) if message is None else _of_message(message)


def _fields(answer: Any) -> Mapping[str, Any]:
    """Return what an object holds; pydantic takes microseconds to say that a field is missing."""
    return getattr(answer, "__dict__", {})


def _of_message(message: Any) -> Iterator[Reason]:
    blocks, extras = list(_blocks(message.content)), message.additional_kwargs
    if extras.get("refusal") or any(_kind(block) == "refusal" for block in blocks):
        yield Reason.WITHHELD
    if getattr(message, "invalid_tool_calls", None):
        yield Reason.INVALID_TOOL_CALL
    elif not (
        getattr(message, "tool_calls", None)
        or any(extras.get(name) for name in _OUTPUTS)
        or any(map(_answers, blocks))
    ):
        yield Reason.EMPTY


def endings(told: Mapping[str, Any]) -> Iterator[Reason]:
    """Yield what a provider says of how its model ended, where that was before it was done."""
    for name in _DETAILS:
        details = told.get(name)
        for one in details if isinstance(details, list) else [details]:
            if isinstance(one, Mapping):
                yield from _named(one, (*REASONS, "reason"))
    yield from _named(told, REASONS)
    mark = told.get("cache")
    if isinstance(mark, Mapping) and mark.get("stale") is True:
        yield Reason.STALE


def _named(told: Mapping[str, Any], names: tuple[str, ...]) -> Iterator[Reason]:
    for word in (told.get(name) for name in names):
        if isinstance(word, str):
            plain = word.lower().rpartition(".")[2].replace("-", "_").replace(" ", "_")
            if reason := _BY_REASON.get(plain.removeprefix("finish_reason_")):
                yield reason


def _blocks(content: Any) -> Iterator[Any]:
    for block in content if isinstance(content, list) else [content]:
        wrapped = isinstance(block, dict) and block.get("type") == "non_standard"
        yield block.get("value") if wrapped else block


def _kind(block: Any) -> str:
    """Return what a block is, as its type says, or else its first field."""
    told = block.get("type") or next(iter(block), "") if isinstance(block, dict) else ""
    return str(told).lower().replace("_", "")


def _answers(block: Any) -> bool:
    """Whether a block is part of an answer: visible text, an image, a call of a tool."""
    if isinstance(block, str):
        return _visible(block)
    kind = _kind(block)
    if kind in ("text", "outputtext"):
        return isinstance(block.get("text"), str) and _visible(block["text"])
    return kind not in _THOUGHTS


def _visible(text: str) -> bool:
    return any(letter.isprintable() and letter != " " for letter in text)
