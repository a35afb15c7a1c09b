from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, Generation

from llm_cache import uncacheable
from llm_cache._langchain.uncacheable import (
    FINISH_REASON_FIELDS,
    FINISH_REASONS,
    uncacheable_reasons,
)
from llm_cache._reasons import UNCACHEABLE, Reason

EMPTY, INVALID, STALE = Reason.EMPTY, Reason.INVALID_TOOL_CALL, Reason.STALE
TRUNCATED, WITHHELD = Reason.TRUNCATED, Reason.WITHHELD
CALL: Any = {"name": "f", "args": {}, "id": "1"}


def chat(content: Any = "hi", **fields: Any) -> ChatGeneration:
    return ChatGeneration(message=AIMessage(content, **fields))


@pytest.mark.parametrize("kind", FINISH_REASONS)
@pytest.mark.parametrize("name", FINISH_REASON_FIELDS)
def test_finish_reason_of_a_provider_is_read(kind: Reason, name: str) -> None:
    for word in FINISH_REASONS[kind]:
        assert list(uncacheable_reasons(chat(response_metadata={name: word.upper()}))) == [kind]
        text = Generation(text="hi", generation_info={name: word})
        assert list(uncacheable_reasons(text)) == [kind]


@pytest.mark.parametrize(
    "reason", ["stop", "end_turn", "tool_calls", "completed", None, 7, ["length"]]
)
def test_answer_with_any_other_finish_reason_is_cacheable(reason: object) -> None:
    assert uncacheable(chat(response_metadata={"finish_reason": reason})) is None


THOUGHT = {"type": "thinking", "thinking": "Hm."}
BROKEN_CALL: Any = {**CALL, "args": "{"}


@pytest.mark.parametrize(
    ("generation", "found"),
    [
        (Generation(text="hi"), []),
        (Generation(text=""), [EMPTY]),
        (Generation(text=" \n\t"), [EMPTY]),
        (chat(""), [EMPTY]),
        (chat(" \u200b\ufeff\u2028"), [EMPTY]),
        (chat("."), []),
        (chat([]), [EMPTY]),
        (chat([{"type": "text", "text": ""}]), [EMPTY]),
        (chat([" ", {"type": "text", "text": "\n"}]), [EMPTY]),
        (chat(["", {"type": "text", "text": " a "}]), []),
        (chat([{"type": "text"}]), [EMPTY]),
        (chat([{"text": " "}]), [EMPTY]),
        (chat([{"text": "a"}]), []),
        (chat([{}]), [EMPTY]),
        (chat("", tool_calls=[CALL]), []),
        (chat([{"type": "image", "base64": "AAAA"}]), []),
        (chat([{"type": "image_url", "image_url": {"url": "data:"}}]), []),
        (chat([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]), []),
        (chat([{"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}}]), []),
        (chat([{"type": "refusal", "refusal": "I will not."}]), [WITHHELD]),
        (chat("", additional_kwargs={"refusal": "I will not."}), [WITHHELD, EMPTY]),
        (chat("{}", additional_kwargs={"refusal": None}), []),
        (chat([THOUGHT]), [EMPTY]),
        (chat([THOUGHT, {"type": "text", "text": "a"}]), []),
        (chat([THOUGHT], tool_calls=[CALL]), []),
        (chat([{"type": "redacted_thinking", "data": "Zm9v"}]), [EMPTY]),
        (chat([{"type": "reasoning", "summary": []}, {"type": "text", "text": ""}]), [EMPTY]),
        (chat([{"type": "reasoning_content", "reasoning_content": {"text": "a"}}]), [EMPTY]),
        (chat([{"reasoningContent": {"reasoningText": {"text": "Hm."}}}]), [EMPTY]),
        (chat([{"type": "non_standard", "value": {"type": "redacted_thinking"}}]), [EMPTY]),
        (chat([{"type": "non_standard", "value": {"type": "search", "found": []}}]), []),
        (chat("", additional_kwargs={"reasoning_content": "Hm."}), [EMPTY]),
        (chat("", additional_kwargs={"audio": {"id": "a1", "data": "AAAA"}}), []),
        (chat("", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}), []),
        (chat("", additional_kwargs={"tool_outputs": [{"type": "image_generation_call"}]}), []),
        (chat("", additional_kwargs={"audio": None, "tool_outputs": []}), [EMPTY]),
        (chat(response_metadata={"cache": {"hit": False, "stale": True}}), [STALE]),
        (chat(response_metadata={"cache": {"hit": True, "stale": False}}), []),
        (chat(response_metadata={"cache": "stale"}), []),
        (chat("hi", invalid_tool_calls=[BROKEN_CALL]), [INVALID]),
        (chat("", invalid_tool_calls=[BROKEN_CALL]), [INVALID]),
    ],
)
def test_content_of_an_answer_is_judged(generation: Generation, found: list[Reason]) -> None:
    assert list(uncacheable_reasons(generation)) == found


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        ({"incomplete_details": {"reason": "max_output_tokens"}}, TRUNCATED),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, WITHHELD),
        ({"incomplete_details": None, "status": "completed"}, None),
        ({"prompt_feedback": {"block_reason": "PROHIBITED_CONTENT"}}, WITHHELD),
        ({"results": [{"completionReason": "LENGTH", "tokenCount": 3}]}, TRUNCATED),
        ({"additionalModelResponseFields": {"stop_reason": "max_tokens"}}, TRUNCATED),
        ({"amazon-bedrock-guardrailAction": "INTERVENED"}, WITHHELD),
        ({"amazon-bedrock-guardrailAction": "NONE"}, None),
        ({"finish_reason": "FinishReason.MAX_TOKENS"}, TRUNCATED),
        ({"finish_reason": "FINISH_REASON_SAFETY"}, WITHHELD),
        ({"stopReason": "Content-Filtered"}, WITHHELD),
        ({"metadata": {"status": "failed"}}, None),  # the caller's own
        ({"reason": "length"}, None),
    ],
)
def test_finish_reason_is_found_in_every_field_of_the_integrations(
    metadata: dict[str, Any], found: Reason | None
) -> None:
    assert uncacheable(chat(response_metadata=metadata)) is found
    assert uncacheable(Generation(text="hi", generation_info=metadata)) is found
    assert uncacheable(chat(additional_kwargs=metadata)) is found


def test_message_chunk_generation_and_text_are_judged_alike() -> None:
    cut = {"finish_reason": "length"}
    for kind in (AIMessage, AIMessageChunk):
        assert uncacheable(kind(content="hi")) is None
        assert uncacheable(kind(content="hi", response_metadata=cut)) is TRUNCATED
        assert uncacheable(kind(content="")) is EMPTY
    assert uncacheable(ChatGeneration(message=AIMessage("hi"), generation_info=cut)) == "truncated"
    assert (uncacheable("hi"), uncacheable(" "), uncacheable("")) == (None, EMPTY, EMPTY)
    call = AIMessage("", tool_calls=[CALL])
    assert (uncacheable(call), uncacheable(call.text)) == (None, EMPTY)


def test_reasons_are_the_values_of_do_not_store() -> None:
    assert {*FINISH_REASONS, EMPTY, INVALID, STALE} == UNCACHEABLE
