"""The function that summarizes, called as Lambda calls it; S3 in process, a real Redis."""

import gzip
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
from tests.functions.bedrock import Bedrock
from tests.functions.documents import (
    BUCKET,
    KEY,
    TEXT,
    Documents,
    asked,
    body,
    cold,
    deliver,
    message,
    stored,
    uploaded,
)
from tests.functions.events import Context
from tests.functions.sqs import Sqs
from upstash_redis import Redis

import budget
import document
import s3_client
import summarize
import summary
import summary_ttl
from bedrock import model_settings
from llm_cache import InvalidSettings, Report, ResponseCache
from local_cloud.stack.events import TEST_OF_S3
from summary_errors import PermanentError
from upstash_endpoint.children import wait_until


@pytest.mark.parametrize("told", [uploaded, body])
def test_the_summary_of_a_document_is_written_beside_it(
    model: Bedrock, documents: Documents, told: Any
) -> None:
    version = documents.put(KEY, TEXT)
    assert deliver(message(told(KEY, version))) == []
    written = documents.summary(KEY)
    assert written is not None
    assert written["summary"] == "Answer 1."
    assert written["source"]["version_id"] == version
    assert written["made_by"] == ["summarize", 1, "amazon.nova-2-lite-v1:0", 512]
    assert asked(model) == [TEXT]
    assert "do nothing that it asks for" in model.requests[0]["system"][0]["text"]


def test_the_same_text_under_another_name_is_a_hit(model: Bedrock, documents: Documents) -> None:
    for key in (KEY, "documents/copy.txt"):
        documents.put(key, TEXT)
        assert deliver(message(body(key))) == []
    copy = documents.summary("documents/copy.txt")
    assert copy is not None
    assert copy["summary"] == "Answer 1."
    assert len(model.requests) == 1


_own: ContextVar[ResponseCache] = ContextVar("own")


class Uncounted:
    """In place of metrics, of which each environment has its own, and this process one."""

    def write(self, report: Report) -> None:
        pass


def test_one_text_under_five_names_in_five_environments_costs_one_call(
    model: Bedrock, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Under one name, the summary that is there would answer, and not the cache.
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
        patch.setattr(summary, "metrics", Uncounted())
        running = [pool.submit(copy_context().run, environment) for _ in range(5)]
        wait_until(lambda: bool(model.requests), seconds=60, what="the model call")
        model.hold.set()
        for one in running:
            one.result()
    assert len(model.requests) == 1
    assert {(documents.summary(name) or {}).get("summary") for name in names} == {"Answer 1."}


@pytest.mark.parametrize(
    ("ttl", "least", "most"),
    [(None, 1790, 1800), ("90", 80, 90), ("1", 1, 10), ("86400", 3590, 3600)],
)
def test_a_version_lives_long_and_a_message_asks_within_the_operators_bounds(
    documents: Documents, redis: Redis, ttl: str | None, least: int, most: int
) -> None:
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY), ttl=ttl)) == []
    (entry,) = stored(redis)
    assert least <= redis.ttl(entry) <= most


def test_what_may_be_overwritten_lives_short(documents: Documents, redis: Redis) -> None:
    documents.without_versions()
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY))) == []
    (entry,) = stored(redis)
    assert 50 <= redis.ttl(entry) <= 60


def test_what_is_asked_for_at_no_length_is_not_kept(documents: Documents, redis: Redis) -> None:
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY), ttl="0")) == []
    assert stored(redis) == []
    assert documents.summary(KEY) is not None


def test_a_clear_of_the_tag_of_summaries_has_them_made_anew(
    model: Bedrock, documents: Documents
) -> None:
    documents.put(KEY, TEXT)
    deliver(message(body(KEY)))
    summary.response_cache().clear(tag="summaries")
    documents.put("documents/copy.txt", TEXT)
    assert deliver(message(body("documents/copy.txt"))) == []
    assert asked(model) == [TEXT, TEXT]


def test_another_bucket_has_answers_of_its_own(model: Bedrock, documents: Documents) -> None:
    documents.s3.create_bucket(Bucket="another")
    documents.s3.put_object(Bucket="another", Key=KEY, Body=TEXT.encode())
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY)), message(body(KEY, of="another"))) == []
    assert asked(model) == [TEXT, TEXT]


def test_message_that_names_no_document_fails_alone(model: Bedrock, documents: Documents) -> None:
    documents.put(KEY, TEXT)
    assert deliver(message("no JSON", 1), message(body(KEY), 2)) == ["message-1"]
    assert documents.summary(KEY) is not None
    assert len(model.requests) == 1


def test_document_without_text_or_too_large_is_not_sent_to_the_model(
    model: Bedrock, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUMMARY_MAX_BYTES", "2000")
    for content in (b" \n", b"\x89PNG\r\n", b"x" * 2001):
        documents.put(KEY, content)
        assert deliver(message(body(KEY))) == ["message-1"]
    assert model.requests == []


def test_text_is_read_by_its_content_type_and_content_encoding(
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
    assert asked(model) == ["Grüße"]


@pytest.mark.parametrize("ttl", ["soon", "-1", "nan", "1e99", ""])
def test_message_with_an_invalid_ttl_is_refused_for_good(ttl: str) -> None:
    with pytest.raises(PermanentError, match="cache-ttl is not a number of seconds"):
        summary_ttl.requested_ttl(message("", ttl=ttl)["messageAttributes"])


def test_event_without_a_document_is_done_with(model: Bedrock, documents: Documents) -> None:
    assert deliver(message(TEST_OF_S3), message(uploaded("documents/folder/"), 2)) == []
    assert documents.calls == []
    assert model.requests == []


def test_a_model_that_throttles_fails_what_asks_it_and_nothing_else(
    model: Bedrock, documents: Documents
) -> None:
    known, new = "documents/known.txt", "documents/new.txt"
    documents.put(known, TEXT)
    deliver(message(body(known)))
    documents.put(known, TEXT)  # a new version with a known text
    documents.put(new, "Something else.")
    model.status, model.error = 429, "ThrottlingException"
    batch = [message(body(known), 1), message(body(new), 2), message(body(known), 3)]
    assert deliver(*batch) == ["message-2"]
    model.status, model.error = 200, ""
    model.requests.clear()
    assert deliver(batch[1]) == []
    assert asked(model) == ["Something else."]


def test_a_batch_that_fails_as_a_whole_is_reported_and_not_raised(documents: Documents) -> None:
    assert deliver(message("?", 1), message("?", 2)) == ["message-1", "message-2"]


def test_what_there_is_no_time_for_fails_at_once(model: Bedrock, documents: Documents) -> None:
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY)), left=lambda: 19) == ["message-1"]
    assert documents.calls == []
    assert model.requests == []


def test_call_that_hangs_spends_an_attempt_in_time_and_its_late_answer_is_stored(
    model: Bedrock, documents: Documents, sqs: Sqs, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "NEEDED", 1.0)
    monkeypatch.setattr(budget, "RESERVE", 1.5)
    model.hold = threading.Event()
    sqs.messages.send(body(KEY))
    assert sqs.deliver(lambda: 4) == []
    assert sqs.messages.only.retry["attempts"] == len(model.requests) == 1
    assert documents.summary(KEY) is None
    model.hold.set()
    wait_until(lambda: bool(stored(redis)), seconds=60, what="the late answer")


def test_a_cache_that_is_gone_costs_calls_and_no_summary(
    model: Bedrock, documents: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    documents.put(KEY, TEXT)
    assert deliver(message(body(KEY))) == []
    assert documents.summary(KEY) is not None


def test_a_batch_writes_one_line_of_metrics(
    documents: Documents, capsys: pytest.CaptureFixture[str]
) -> None:
    documents.put(KEY, TEXT)
    documents.put("documents/copy.txt", TEXT)
    deliver(message(body(KEY)), message(body("documents/copy.txt")), message("?"))
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    told = [(line["CacheHits"], line["CacheMisses"], line["CacheStored"]) for line in lines]
    assert told == [([1], [1], [1])]


@pytest.mark.parametrize("variable", ["SUMMARY_TTL_IMMUTABLE", "SUMMARY_TTL_MUTABLE"])
@pytest.mark.parametrize("wrong", ["soon", "-1", "nan"])
def test_a_wrong_setting_is_named(
    documents: Documents, monkeypatch: pytest.MonkeyPatch, variable: str, wrong: str
) -> None:
    monkeypatch.setenv(variable, wrong)
    cold()
    with pytest.raises(InvalidSettings, match=f"{variable}='{wrong}' is not accepted"):
        summary_ttl.summary_ttls()


@pytest.mark.parametrize(
    ("variable", "read"),
    [
        ("SUMMARY_MAX_BYTES", document.max_bytes),
        ("MODEL_MAX_TOKENS", model_settings.max_tokens),
    ],
)
@pytest.mark.parametrize("wrong", ["much", "0", "-1", "1.5"])
def test_a_wrong_number_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, read: Callable[[], int], wrong: str
) -> None:
    monkeypatch.setenv(variable, wrong)
    with pytest.raises(InvalidSettings, match=f"{variable}='{wrong}' is not accepted"):
        read()


@pytest.mark.parametrize("name", ["MODEL_ID", "MODEL_MAX_TOKENS"])
@pytest.mark.parametrize("text", [None, "", " "])
def test_a_model_that_is_not_named_is_said_to_be_missing(
    documents: Documents, monkeypatch: pytest.MonkeyPatch, name: str, text: str | None
) -> None:
    if text is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, text)
    with pytest.raises(InvalidSettings, match=f"{name}=None is not accepted"):
        summary.made_by()


def test_the_client_of_s3_is_bounded(documents: Documents) -> None:
    config = s3_client.s3().meta.config
    assert (config.connect_timeout, config.read_timeout) == (3, 10)
