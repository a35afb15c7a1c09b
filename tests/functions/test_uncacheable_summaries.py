"""`summarize` writes and stores only complete summaries, and serves only entries of its form."""

from typing import Any

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import (
    COPY,
    KEY,
    TEXT,
    Documents,
    body,
    deliver,
    message,
    plant,
    stored,
)
from upstash_redis import Redis

REASONING = {"reasoningContent": {"reasoningText": {"text": "a"}}}
TOOL_CALL = {"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}
NO_SUMMARY: dict[str, tuple[str, list[dict[str, Any]] | None, str]] = {
    "truncated": ("max_tokens", None, "truncated"),
    "too large for the model": ("model_context_window_exceeded", None, "truncated"),
    "blocked by a guardrail": ("guardrail_intervened", None, "withheld"),
    "filtered": ("content_filtered", None, "withheld"),
    "malformed": ("malformed_model_output", None, "failed"),
    "empty": ("end_turn", [], "empty"),
    "blank": ("end_turn", [{"text": " \n"}], "empty"),
    "only reasoning": ("end_turn", [REASONING], "empty"),
    "only a tool call": ("tool_use", [TOOL_CALL], "empty"),
}


@pytest.mark.parametrize(("stops", "content", "why"), NO_SUMMARY.values(), ids=NO_SUMMARY)
def test_incomplete_summary_fails_the_message_and_is_neither_written_nor_stored(
    model: Bedrock,
    documents: Documents,
    redis: Redis,
    caplog: pytest.LogCaptureFixture,
    stops: str,
    content: list[dict[str, Any]] | None,
    why: str,
) -> None:
    documents.put(KEY, TEXT)
    model.stops, model.content = stops, content
    assert deliver(message(body(KEY))) == ["message-1"]
    assert documents.summary(KEY) is None
    assert stored(redis) == []
    (line,) = [record for record in caplog.records if record.message == "not summarized"]
    assert line.why == f"the model's answer is no summary: {why}"  # type: ignore[attr-defined]
    model.recover()
    assert deliver(message(body(KEY))) == []
    assert documents.summary(KEY)


@pytest.mark.parametrize(
    "planted",
    [
        {"x": 1},
        {"summary": None, "usage": {"input_tokens": 1, "output_tokens": 1}},
        {"summary": "\ud800", "usage": {"input_tokens": 1, "output_tokens": 1}},
        {"summary": "Planted.", "usage": None},
        {"summary": "Planted.", "usage": {"input_tokens": 10**400, "output_tokens": 1}},
        {"summary": "Planted.", "usage": {"input_tokens": 1, "output_tokens": 1}, "more": 1},
    ],
    ids=str,
)
def test_planted_response_of_another_form_is_not_written(
    documents: Documents, redis: Redis, planted: dict[str, Any]
) -> None:
    documents.put(KEY, TEXT)
    deliver(message(body(KEY)))
    plant(redis, planted)
    documents.put(COPY, TEXT)
    assert deliver(message(body(COPY))) == []
    assert documents.summary(COPY) == "Answer 2."
