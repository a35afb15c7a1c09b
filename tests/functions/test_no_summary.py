"""Answers that are no summary: none is written, none is stored, none is served."""

import json
from typing import Any

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import (
    KEY,
    TEXT,
    Documents,
    body,
    deliver,
    message,
    stored,
)
from upstash_redis import Redis

NO_SUMMARY: dict[str, tuple[str, list[dict[str, Any]] | None, str]] = {
    "truncated": ("max_tokens", None, "truncated"),
    "too large for the model": ("model_context_window_exceeded", None, "truncated"),
    "blocked by a guardrail": ("guardrail_intervened", None, "withheld"),
    "filtered": ("content_filtered", None, "withheld"),
    "malformed": ("malformed_model_output", None, "failed"),
    "empty": ("end_turn", [], "empty"),
    "blank": ("end_turn", [{"text": " \n"}], "empty"),
    "a thought": ("end_turn", [{"reasoningContent": {"reasoningText": {"text": "a"}}}], "empty"),
    "a call of a tool": (
        "tool_use",
        [{"toolUse": {"toolUseId": "t", "name": "f", "input": {}}}],
        "empty",
    ),
}


@pytest.mark.parametrize(("stops", "content", "why"), NO_SUMMARY.values(), ids=NO_SUMMARY)
def test_answer_that_is_no_summary_fails_the_message_and_nothing_is_written_or_stored(
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
    (told,) = [record for record in caplog.records if record.message == "not summarized"]
    assert told.why == f"the model's answer is no summary: {why}"  # type: ignore[attr-defined]
    model.stops, model.content = "end_turn", None
    assert deliver(message(body(KEY))) == []
    assert documents.summary(KEY) is not None


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
def test_planted_summary_of_another_shape_is_replaced(
    model: Bedrock, documents: Documents, redis: Redis, planted: dict[str, Any]
) -> None:
    documents.put(KEY, TEXT)
    deliver(message(body(KEY)))
    (key,) = stored(redis)
    head, _, _ = str(redis.get(key)).partition('"answer":')
    redis.set(key, f'{head}"answer":[{json.dumps(planted)}]}}')
    documents.put("documents/copy.txt", TEXT)
    assert deliver(message(body("documents/copy.txt"))) == []
    written = documents.summary("documents/copy.txt")
    assert written is not None
    assert written["summary"] == "Answer 2."
