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

EMPTY = Reason.EMPTY
CALL: Any = {"name": "f", "args": {}, "id": "1"}


def chat(content: Any = "hi", **fields: Any) -> ChatGeneration:
    return ChatGeneration(message=AIMessage(content, **fields))


@pytest.mark.parametrize("kind", FINISH_REASONS)
@pytest.mark.parametrize("name", FINISH_REASON_FIELDS)
def test_a_providers_word_for_a_bad_end_is_known(kind: Reason, name: str) -> None:
    for reason in FINISH_REASONS[kind]:
        assert list(uncacheable_reasons(chat(response_metadata={name: reason.upper()}))) == [kind]
        assert list(uncacheable_reasons(Generation(text="hi", generation_info={name: reason}))) == [
            kind
        ]


@pytest.mark.parametrize(
    "reason", ["stop", "end_turn", "tool_calls", "completed", None, 7, ["length"]]
)
def test_a_good_end_is_no_reason(reason: object) -> None:
    assert list(uncacheable_reasons(chat(response_metadata={"finish_reason": reason}))) == []


@pytest.mark.parametrize(
    ("generation", "found"),
    [
        (Generation(text="hi"), []),
        (Generation(text=""), [Reason.EMPTY]),
        (chat(""), [Reason.EMPTY]),
        (chat([]), [Reason.EMPTY]),
        (chat([{"type": "text", "text": ""}]), [Reason.EMPTY]),
        (chat("", tool_calls=[CALL]), []),
        (chat([{"type": "image", "base64": "AAAA"}]), []),
        (chat([{"type": "refusal", "refusal": "I will not."}]), [Reason.WITHHELD]),
        (chat("", additional_kwargs={"refusal": "I will not."}), [Reason.WITHHELD, Reason.EMPTY]),
        (chat("{}", additional_kwargs={"refusal": None}), []),
        (Generation(text=" \n\t"), [Reason.EMPTY]),
        (chat(" \u200b\ufeff\u2028"), [Reason.EMPTY]),
        (chat("."), []),
        (chat([" ", {"type": "text", "text": "\n"}]), [Reason.EMPTY]),
        (chat(["", {"type": "text", "text": " a "}]), []),
        (chat([{"type": "text"}]), [Reason.EMPTY]),
        (chat([{"text": " "}]), [Reason.EMPTY]),
        (chat([{"text": "a"}]), []),
        (chat([{}]), [Reason.EMPTY]),
        (chat([{"type": "thinking", "thinking": "Hm.", "signature": "s"}]), [Reason.EMPTY]),
        (chat([{"type": "redacted_thinking", "data": "Zm9v"}]), [Reason.EMPTY]),
        (chat([{"type": "reasoning", "summary": []}, {"type": "text", "text": ""}]), [EMPTY]),
        (chat([{"type": "reasoning_content", "reasoning_content": {"text": "a"}}]), [EMPTY]),
        (chat([{"reasoningContent": {"reasoningText": {"text": "Hm."}}}]), [Reason.EMPTY]),
        (chat([{"type": "non_standard", "value": {"type": "redacted_thinking"}}]), [EMPTY]),
        (chat([{"type": "non_standard", "value": {"type": "search", "found": []}}]), []),
        (chat("", additional_kwargs={"reasoning_content": "Hm."}), [Reason.EMPTY]),
        (chat([{"type": "thinking", "thinking": "Hm."}, {"type": "text", "text": "a"}]), []),
        (chat([{"type": "thinking", "thinking": "Hm."}], tool_calls=[CALL]), []),
        (chat("", additional_kwargs={"audio": {"id": "a1", "data": "AAAA"}}), []),
        (chat("", additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}}), []),
        (chat("", additional_kwargs={"tool_outputs": [{"type": "image_generation_call"}]}), []),
        (chat("", additional_kwargs={"audio": None, "tool_outputs": []}), [Reason.EMPTY]),
        (chat([{"type": "server_tool_use", "id": "1", "name": "web_search", "input": {}}]), []),
        (chat([{"type": "image_url", "image_url": {"url": "data:"}}]), []),
        (chat([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]), []),
        (chat(response_metadata={"cache": {"hit": False, "stale": True}}), [Reason.STALE]),
        (chat(response_metadata={"cache": {"hit": True, "stale": False}}), []),
        (chat(response_metadata={"cache": "stale"}), []),
        (chat("hi", invalid_tool_calls=[{**CALL, "args": "{"}]), [Reason.INVALID_TOOL_CALL]),
        (chat("", invalid_tool_calls=[{**CALL, "args": "{"}]), [Reason.INVALID_TOOL_CALL]),
    ],
)
def test_what_an_answer_holds_is_looked_at(generation: Generation, found: list[Reason]) -> None:
    assert list(uncacheable_reasons(generation)) == found


@pytest.mark.parametrize(
    ("metadata", "found"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            Reason.TRUNCATED,
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            Reason.WITHHELD,
        ),
        ({"incomplete_details": None, "status": "completed"}, None),
        ({"prompt_feedback": {"block_reason": "PROHIBITED_CONTENT"}}, Reason.WITHHELD),
        ({"results": [{"completionReason": "LENGTH", "tokenCount": 3}]}, Reason.TRUNCATED),
        ({"additionalModelResponseFields": {"stop_reason": "max_tokens"}}, Reason.TRUNCATED),
        ({"amazon-bedrock-guardrailAction": "INTERVENED"}, Reason.WITHHELD),
        ({"amazon-bedrock-guardrailAction": "NONE"}, None),
        ({"finish_reason": "FinishReason.MAX_TOKENS"}, Reason.TRUNCATED),
        ({"finish_reason": "FINISH_REASON_SAFETY"}, Reason.WITHHELD),
        ({"stopReason": "Content-Filtered"}, Reason.WITHHELD),
        ({"metadata": {"status": "failed"}}, None),  # the caller's own
        ({"reason": "length"}, None),
    ],
)
def test_a_reason_is_found_where_integrations_put_it(
    metadata: dict[str, Any], found: Reason | None
) -> None:
    assert uncacheable(chat(response_metadata=metadata)) is found
    assert uncacheable(Generation(text="hi", generation_info=metadata)) is found
    assert uncacheable(chat(additional_kwargs=metadata)) is found


def test_a_message_a_chunk_a_generation_and_text_are_judged_alike() -> None:
    cut = {"finish_reason": "length"}
    for kind in (AIMessage, AIMessageChunk):
        assert uncacheable(kind(content="hi")) is None
        assert uncacheable(kind(content="hi", response_metadata=cut)) is Reason.TRUNCATED
        assert uncacheable(kind(content="")) is Reason.EMPTY
    assert uncacheable(ChatGeneration(message=AIMessage("hi"), generation_info=cut)) == "truncated"
    assert (uncacheable("hi"), uncacheable(" "), uncacheable("")) == (None, EMPTY, EMPTY)
    call = AIMessage("", tool_calls=[CALL])
    assert (uncacheable(call), uncacheable(call.text)) == (None, Reason.EMPTY)


def test_the_verdict_knows_no_reason_but_those_that_may_be_switched_off() -> None:
    assert {*FINISH_REASONS, Reason.EMPTY, Reason.INVALID_TOOL_CALL, Reason.STALE} == UNCACHEABLE
