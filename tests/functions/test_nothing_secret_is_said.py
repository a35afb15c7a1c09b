"""What the functions log, at DEBUG, and what they tell their callers, holds no secret."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest
from tests.faults.witness import Witness, witness
from tests.functions import documents
from tests.functions.asking import call, cold
from tests.functions.bedrock import Bedrock
from tests.functions.documents import Documents
from tests.functions.events import Context, signed_by

import ask
import flush_cache
import s3_client
import summarize
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

TOKEN, TENANT, PROMPT, SALT, TAG = (
    "mark-token",
    "mark-tenant",
    "mark-prompt",
    "mark-salt",
    "mark-tag",
)
MARK = "mark-"
SECRET = (TOKEN, "mark-user", "mark-password", TENANT, TAG)  # of a reply: the rest is the caller's
WHO = signed_by(f"AROAROLE:{TENANT}")
QUESTION: dict[str, Any] = {
    "question": PROMPT,
    "system": PROMPT,
    "messages": [{"role": "user", "content": PROMPT}],
    "cache": {"salt": SALT, "tags": [TAG]},
}


@pytest.fixture(scope="module")
def endpoint(redis_server: RedisServer) -> Iterator[UpstashEndpoint]:
    with UpstashEndpoint.start(redis_server, token=TOKEN) as started:
        yield started


@pytest.fixture
def heard(
    model: Bedrock, endpoint: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Witness]:
    monkeypatch.setenv(
        "UPSTASH_REDIS_REST_URL", endpoint.url.replace("//", "//mark-user:mark-password@")
    )
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", TOKEN)
    with witness() as listening:
        yield listening


def asked(body: object = QUESTION, **headers: Any) -> str:
    reply = call(body, iam=WHO, **headers)
    return json.dumps([reply.status, reply.body, reply.headers])


def nothing_is_told(heard: Witness, *replies: str) -> None:
    assert heard.leaks(MARK) == []
    assert [mark for mark in SECRET if mark in " ".join(replies)] == []


def test_an_answer_and_a_hit(heard: Witness) -> None:
    replies = [asked(), asked(), asked(cache_control="no-cache")]
    assert '"hit"' in replies[1]
    assert "answered" in heard.text
    assert "Answer 1." not in heard.text
    nothing_is_told(heard, *replies)


@pytest.mark.parametrize(
    ("status", "error"),
    [(429, "ThrottlingException"), (400, "ValidationException"), (500, PROMPT), (200, "")],
)
def test_a_model_that_fails(heard: Witness, model: Bedrock, status: int, error: str) -> None:
    model.status, model.error = status, error
    reply = asked({**QUESTION, "cache": {"mode": "only_if_cached"}} if status == 200 else QUESTION)
    assert "no answer" in heard.text
    nothing_is_told(heard, reply)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UPSTASH_REDIS_REST_TOKEN", TOKEN + "-wrong"),
        ("UPSTASH_REDIS_REST_URL", "http://mark-user:mark-password@127.0.0.1:9"),
    ],
)
def test_a_cache_that_fails(
    heard: Witness, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    cold()
    reply = asked()
    assert '"error"' in reply
    nothing_is_told(heard, reply)


def test_a_setting_that_is_wrong(heard: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", "https://mark-user:mark/password@x:port")
    cold()
    heard.hear(asked)
    assert "UPSTASH_REDIS_REST_URL" in heard.text
    nothing_is_told(heard)


@pytest.mark.parametrize(
    "body",
    [
        PROMPT,
        {"question": [PROMPT]},
        {**QUESTION, PROMPT: PROMPT},
        {**QUESTION, "cache": {"tenant": PROMPT}},
        {**QUESTION, "cache": {"salt": [PROMPT]}},
        {**QUESTION, "cache": {"mode": PROMPT}},
        {**QUESTION, "cache": PROMPT},
    ],
)
def test_a_wrong_request(heard: Witness, body: object) -> None:
    reply = asked(body)
    assert "invalid" in reply
    nothing_is_told(heard, reply)


def test_a_request_of_nobody(heard: Witness) -> None:
    reply = call(QUESTION, iam={"callerId": TENANT})
    assert reply.status == 403
    nothing_is_told(heard, json.dumps(reply.body))


@pytest.mark.parametrize(
    "event",
    [
        QUESTION,
        {"question": [PROMPT]},
        {**QUESTION, "cache": {"tenant": PROMPT}},
        {**QUESTION, "cache": {"mode": PROMPT}},
        {**QUESTION, "cache": {"salt": [PROMPT]}},
        {**QUESTION, "cache": {"mode": "only_if_cached"}},
        [PROMPT],
        PROMPT,
    ],
)
def test_an_invocation_that_is_no_http(heard: Witness, event: Any) -> None:
    reply = ask.handler(event, cast(Any, Context()))
    assert "answered" in heard.text or "no answer" in heard.text
    nothing_is_told(heard, json.dumps(reply))


def test_a_caller_whose_id_is_long(heard: Witness) -> None:
    reply = call(QUESTION, iam=signed_by(TENANT * 200))
    assert reply.status == 200
    nothing_is_told(heard, json.dumps([reply.body, reply.headers]))


def test_a_failure_of_our_own(heard: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache_status.body", lambda *_: 1 / 0)
    heard.hear(asked)
    assert "ZeroDivisionError" in heard.text
    nothing_is_told(heard)


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": PROMPT}]},
        {"detail-type": "x", "source": "mark-source", "detail": {"question": PROMPT}},
        {"requestContext": {"connectionId": "mark-1", "eventType": "MESSAGE"}, "body": PROMPT},
        {"requestContext": {"http": {"method": "POST"}}, "body": PROMPT},
        {"requestContext": {"elb": {}}, "path": "/", "httpMethod": "GET", "body": [PROMPT]},
    ],
)
def test_an_event_that_cannot_be_read(heard: Witness, event: Any) -> None:
    reply = ask.handler(event, cast(Any, Context()))
    assert "no answer" in heard.text
    nothing_is_told(heard, json.dumps(reply))


def test_a_log_of_the_function_itself_is_heard(heard: Witness) -> None:
    ask.logger.warning(MARK)
    flush_cache.logger.warning(MARK)
    summarize.logger.warning(MARK)
    assert len(heard.leaks(MARK)) == 3


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"tag": TAG},
        {"tag": TAG, "dry_run": True},
        {"tag": [TAG]},
        {"tags": [TAG]},
        {"cursor": "0", "question": PROMPT},
        [TAG],
    ],
)
def test_a_flush(heard: Witness, event: Any) -> None:
    heard.hear(lambda: flush_cache.handler(event, Context()))
    assert "flushed" in heard.text or "is not accepted" in heard.text
    nothing_is_told(heard)


def test_a_flush_that_fails(heard: Witness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", TOKEN + "-wrong")
    heard.hear(lambda: flush_cache.handler({"tag": TAG}, Context()))
    assert "WRONGPASS" in heard.text
    nothing_is_told(heard)


BUCKET, KEY, TEXT = "mark-bucket", "documents/mark-name.txt", "mark-text, and something else."


@pytest.fixture
def bucket(heard: Witness, model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Documents]:
    with documents.bucket(model, monkeypatch, BUCKET) as made:
        made.put(KEY, TEXT)
        heard.said.clear()  # what the test itself has asked S3 for
        yield made


def delivered(heard: Witness, body: object, ttl: str | None = None) -> None:
    heard.hear(lambda: documents.deliver(documents.message(body, ttl=ttl)))


def test_a_document(heard: Witness, bucket: Documents) -> None:
    delivered(heard, documents.body(KEY, of=BUCKET))
    delivered(heard, documents.body(KEY, of=BUCKET))
    assert "'written'" in heard.text
    assert "'there already'" in heard.text
    assert "Answer 1." not in heard.text
    nothing_is_told(heard)


@pytest.mark.parametrize(
    "body",
    [
        PROMPT,
        {"bucket": BUCKET, "key": [PROMPT]},
        {"bucket": BUCKET, "key": KEY, PROMPT: PROMPT},
        {"bucket": "mark-Bucket", "key": KEY},
        {"bucket": "mark-another", "key": KEY},
        {"bucket": BUCKET, "key": "documents/../mark-secret"},
        {"Records": [{"eventName": "ObjectCreated:Put", "s3": {"object": {"key": PROMPT}}}]},
    ],
)
def test_a_message_that_fails(heard: Witness, bucket: Documents, body: object) -> None:
    delivered(heard, body)
    assert "not summarized" in heard.text
    nothing_is_told(heard)


@pytest.mark.parametrize(
    "body",
    [
        {"bucket": BUCKET, "key": "documents/mark-none.txt"},
        {"bucket": BUCKET, "key": KEY, "version_id": PROMPT},
    ],
)
def test_a_document_that_is_gone(heard: Witness, bucket: Documents, body: object) -> None:
    delivered(heard, body)
    assert "message done" in heard.text
    nothing_is_told(heard)


def test_a_message_that_asks_for_no_time(heard: Witness, bucket: Documents) -> None:
    delivered(heard, documents.body(KEY, of=BUCKET), ttl=PROMPT)
    assert "the attribute cache-ttl is not a number of seconds" in heard.text
    nothing_is_told(heard)


@pytest.mark.parametrize(("status", "error"), [(429, "ThrottlingException"), (500, PROMPT)])
def test_a_document_of_a_model_that_fails(
    heard: Witness, bucket: Documents, model: Bedrock, status: int, error: str
) -> None:
    model.status, model.error = status, error
    delivered(heard, documents.body(KEY, of=BUCKET))
    assert "not summarized" in heard.text
    nothing_is_told(heard)


def test_what_is_asked_of_s3(
    heard: Witness, model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", model.url)  # over HTTP; it refuses what is no POST
    documents.cold()
    delivered(heard, documents.body(KEY, of=BUCKET))
    s3_client.s3().close()
    documents.cold()
    assert "S3 failed: 501" in heard.text
    nothing_is_told(heard)


def test_a_document_of_a_cache_that_fails(
    heard: Witness, bucket: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", TOKEN + "-wrong")
    documents.cold()
    delivered(heard, documents.body(KEY, of=BUCKET))
    assert "'written'" in heard.text
    nothing_is_told(heard)
