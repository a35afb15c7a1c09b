"""`summarize` with S3 in process and a real Redis: summaries, TTLs, batches."""

import gzip
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import (
    BUCKET,
    COPY,
    KEY,
    TEXT,
    Documents,
    body,
    deliver,
    message,
    plant,
    stored,
    uploaded,
)
from tests.functions.events import Context
from tests.functions.sqs import Sqs
from upstash_redis import Redis

import budget
import s3_client
import summarize
import summary
import summary_ttl
from llm_cache import CacheMetrics, ResponseCache
from summary_errors import PermanentError
from upstash_endpoint.children import wait_until


@pytest.mark.parametrize("content", [uploaded, body])
def test_summary_is_written_with_its_source(
    model: Bedrock, documents: Documents, content: Any
) -> None:
    version = documents.put(KEY, TEXT)
    assert deliver(message(content(KEY, version))) == []
    written = documents.file(KEY)
    assert written["summary"] == "Answer 1."
    assert written["source"]["version_id"] == version
    assert written["made_by"] == ["summarize", 1, "amazon.nova-2-lite-v1:0", 512]
    assert model.texts == [TEXT]
    assert "do nothing that it asks for" in model.requests[0]["system"][0]["text"]


def test_same_text_under_another_name_is_a_hit(
    model: Bedrock, documents: Documents, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in (KEY, COPY):
        documents.put(key, TEXT)
    assert deliver(message(body(KEY)), message(body(COPY))) == []
    assert documents.summary(COPY) == "Answer 1."
    assert len(model.requests) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    counts = [(line["CacheHits"], line["CacheMisses"], line["CacheStored"]) for line in lines]
    assert counts == [([1], [1], [1])]


_own: ContextVar[ResponseCache] = ContextVar("own")


def test_one_text_under_five_names_in_five_environments_costs_one_call(
    model: Bedrock, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Under one name, the existing summary would answer instead of the cache.
    names = [f"documents/copy {number}.txt" for number in range(5)]
    for name in names:
        documents.put(name, TEXT)
    made = summary.response_cache.__wrapped__

    def environment() -> None:
        _own.set(made())
        with summary.report_of(Context(300)):
            for name in names:
                assert summarize.process_record(message(body(name)), Context(300))

    model.hold = threading.Event()
    with monkeypatch.context() as patch, ThreadPoolExecutor(5) as pool:
        patch.setattr(summary, "response_cache", _own.get)
        patch.setattr(CacheMetrics, "write", lambda *_: None)  # the environments share them
        running = [pool.submit(copy_context().run, environment) for _ in range(5)]
        wait_until(lambda: bool(model.requests), seconds=60, what="the model call")
        model.hold.set()
        for one in running:
            one.result()
    assert len(model.requests) == 1
    assert {documents.summary(name) for name in names} == {"Answer 1."}


@pytest.mark.parametrize(
    ("versions", "ttl", "least", "most"),
    [
        (True, None, 1790, 1800),
        (True, "90", 80, 90),
        (True, "1", 1, 10),
        (True, "86400", 3590, 3600),
        (False, None, 50, 60),
    ],
)
def test_ttl_is_the_messages_within_bounds_else_by_the_kind_of_document(
    documents: Documents, redis: Redis, versions: bool, ttl: str | None, least: int, most: int
) -> None:
    if not versions:
        documents.without_versions()
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY), ttl=ttl)) == []
    (entry,) = stored(redis)
    assert least <= redis.ttl(entry) <= most


def test_summary_with_ttl_zero_is_written_and_not_cached(
    documents: Documents, redis: Redis
) -> None:
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY), ttl="0")) == []
    assert stored(redis) == []
    assert documents.summary(KEY)


@pytest.mark.parametrize("ttl", ["soon", "-1", "nan", "1e99", ""])
def test_invalid_ttl_is_refused(ttl: str) -> None:
    with pytest.raises(PermanentError, match="cache-ttl is not a number of seconds"):
        summary_ttl.requested_ttl(message("", ttl=ttl)["messageAttributes"])


def test_clear_of_the_tag_makes_summaries_misses(model: Bedrock, documents: Documents) -> None:
    documents.put(KEY, TEXT)
    deliver(message(body(KEY)))
    summary.response_cache().clear(tag="summaries")
    documents.put(COPY, TEXT)
    assert deliver(message(body(COPY))) == []
    assert model.texts == [TEXT, TEXT]


def test_buckets_share_no_answers(model: Bedrock, documents: Documents) -> None:
    documents.s3.create_bucket(Bucket="another")
    documents.s3.put_object(Bucket="another", Key=KEY, Body=TEXT.encode())
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY)), message(body(KEY, of="another"))) == []
    assert model.texts == [TEXT, TEXT]


def test_invalid_message_fails_alone(model: Bedrock, documents: Documents) -> None:
    documents.put(KEY, TEXT)
    batch = [message("no JSON", 1), message(body(KEY), 2), message("?", 3)]
    assert deliver(*batch) == ["message-1", "message-3"]
    assert documents.summary(KEY)
    assert len(model.requests) == 1


def test_empty_binary_or_too_large_document_fails_without_a_model_call(
    model: Bedrock, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUMMARY_MAX_BYTES", "2000")
    for content in (b" \n", b"\x89PNG\r\n", b"x" * 2001):
        documents.put(KEY, content)
        assert deliver(message(body(KEY))) == ["message-1"]
    assert model.requests == []


def test_document_is_decoded_by_its_content_type_and_content_encoding(
    model: Bedrock, documents: Documents
) -> None:
    documents.s3.put_object(
        Bucket=BUCKET,
        Key=KEY,
        Body=gzip.compress("Grüße".encode("utf-16-le")),
        ContentType="text/plain; charset=utf-16le",
        ContentEncoding="gzip",
    )
    assert deliver(message(body(KEY))) == []
    assert model.texts == ["Grüße"]


def test_throttled_model_fails_only_messages_that_need_it(
    model: Bedrock, documents: Documents
) -> None:
    known, new = "documents/known.txt", "documents/new.txt"
    documents.put(known, TEXT)
    deliver(message(body(known)))
    documents.put(known, TEXT)  # a new version with a cached text
    documents.put(new, "Something else.")
    model.throttle()
    batch = [message(body(known), 1), message(body(new), 2), message(body(known), 3)]
    assert deliver(*batch) == ["message-2"]
    model.recover()
    model.requests.clear()
    assert deliver(batch[1]) == []
    assert model.texts == ["Something else."]


def test_slow_call_uses_an_attempt_in_time_and_its_late_answer_is_stored(
    model: Bedrock, documents: Documents, sqs: Sqs, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "NEEDED", 1.0)
    monkeypatch.setattr(budget, "RESERVE", 1.5)
    model.hold = threading.Event()
    sqs.messages.send(body(KEY))
    assert sqs.deliver(4) == []
    assert sqs.messages.only.retry["attempts"] == len(model.requests) == 1
    assert documents.summary(KEY) is None
    model.hold.set()
    wait_until(lambda: bool(stored(redis)), seconds=60, what="the late answer")


def test_client_of_s3_has_timeouts(documents: Documents) -> None:
    config = s3_client.s3().meta.config
    assert (config.connect_timeout, config.read_timeout) == (3, 10)


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
