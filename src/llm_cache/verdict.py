"""The one verdict on a model's answer: whether it may be kept. To repeat a bad one is no use.

LangChain is not imported: a message is known by its attributes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llm_cache.reason import Reason

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
"""Objects, or lists of them, in which integrations put it too; OpenAI's calls it ``reason``."""

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
"""What integrations put beside the content that is an answer: the rest is about the answer."""

_THOUGHTS = (
    *("thinking", "redactedthinking", "reasoning", "reasoningcontent", "thought", "compaction"),
    "",  # of a block that holds nothing
)
"""Kinds of content blocks that lead to an answer, and are none."""


def uncacheable(message: AIMessage | Generation | str) -> Reason | None:
    """Return why an answer may not be kept, or None if it may.

    An answer may not be kept if the model was cut short, was filtered, refused or failed; if a
    tool call cannot be parsed; if an expired answer stands in for it; or if it has no content but
    blank text and reasoning. ``message`` is what a chat model returns, one of the ``generations``
    of a result, or plain text. A function that returns text alone also checks that text:
    ``uncacheable(message) or uncacheable(message.text)``.
    """
    return next(reasons(message), None)


def reasons(answer: Any) -> Iterator[Reason]:
    """Yield each reason why an answer may not be kept, the most telling first."""
    if isinstance(answer, str):
        yield from () if _visible(answer) else (Reason.EMPTY,)
        return
    message = answer if hasattr(answer, "content") else getattr(answer, "message", None)
    for place in ("response_metadata", "generation_info", "additional_kwargs"):
        told = getattr(answer, place, None) or getattr(message, place, None)
        if isinstance(told, Mapping):
            yield from _endings(told)
    yield from reasons(answer.text) if message is None else _of_message(message)


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


def _endings(told: Mapping[str, Any]) -> Iterator[Reason]:
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
    """Whether a block is visible text, or anything but text and thoughts: an image, a call."""
    if isinstance(block, str):
        return _visible(block)
    kind = _kind(block)
    if kind in ("text", "outputtext"):
        return isinstance(block.get("text"), str) and _visible(block["text"])
    return kind not in _THOUGHTS


def _visible(text: str) -> bool:
    return any(letter.isprintable() and letter != " " for letter in text)
