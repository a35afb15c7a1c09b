"""No log of the functions, even at DEBUG, and no reply contains a secret."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.faults.output_recorder import Recorder, recorded_output
from tests.functions import documents
from tests.functions.asking import call, invoke
from tests.functions.bedrock import Bedrock
from tests.functions.documents import Documents
from tests.functions.events import Context, signed_by

import ask
import flush_cache
import s3_client
import summarize
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

MARK = "mark-"
TOKEN, TENANT, PROMPT, SALT, TAG = (
    MARK + name for name in ("token", "tenant", "prompt", "salt", "tag")
)
SECRETS = (TOKEN, "mark-user", "mark-password", TENANT, TAG)  # in replies; others are the caller's
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
) -> Iterator[Recorder]:
    url = endpoint.url.replace("//", "//mark-user:mark-password@")
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", TOKEN)
    with recorded_output() as listening:
        yield listening
        assert listening.leaks(MARK) == []


def ask_model(body: object = QUESTION, caller: str = TENANT, **headers: Any) -> str:
    """Return the reply as text, and check that it contains no secret."""
    reply = call(body, iam=signed_by(f"AROAROLE:{caller}"), **headers)
    return checked([reply.status, reply.body, reply.headers])


def checked(reply: object) -> str:
    text = json.dumps(reply)
    assert [secret for secret in SECRETS if secret in text] == []
    return text


def test_recorder_hears_the_log_of_each_function(model: Bedrock) -> None:
    with recorded_output() as listening:
        for function in (ask, flush_cache, summarize):
            function.logger.warning(MARK)
    assert len(listening.leaks(MARK)) == 3


def test_answer_and_hit_leak_nothing(heard: Recorder) -> None:
    replies = [ask_model(), ask_model(), ask_model(cache_control="no-cache")]
    replies.append(ask_model(caller=TENANT * 200))
    assert '"hit"' in replies[1]
    assert "answered" in heard.text
    assert "Answer 1." not in heard.text


@pytest.mark.parametrize(
    ("status", "error"), [(429, "ThrottlingException"), (400, "ValidationException"), (500, PROMPT)]
)
def test_failure_of_the_model_leaks_nothing(
    heard: Recorder, model: Bedrock, status: int, error: str
) -> None:
    model.fail(status, error)
    ask_model()
    assert "no answer" in heard.text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("UPSTASH_REDIS_REST_TOKEN", TOKEN + "-wrong"),
        ("UPSTASH_REDIS_REST_URL", "http://mark-user:mark-password@127.0.0.1:9"),
    ],
)
def test_failure_of_the_cache_leaks_nothing(
    heard: Recorder, configure: Callable[..., None], name: str, value: str
) -> None:
    configure(**{name: value})
    assert "lookup_failed" in ask_model()


def test_invalid_setting_leaks_nothing(heard: Recorder, configure: Callable[..., None]) -> None:
    configure(UPSTASH_REDIS_REST_URL="https://mark-user:mark/password@x:port")
    heard.run(ask_model)
    assert "UPSTASH_REDIS_REST_URL" in heard.text


def test_unexpected_error_leaks_nothing(heard: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cache_status.body", lambda *_: 1 / 0)
    heard.run(ask_model)
    assert "ZeroDivisionError" in heard.text


def test_unidentified_caller_leaks_nothing(heard: Recorder) -> None:
    reply = call(QUESTION, iam={"callerId": TENANT})
    assert reply.status == 403
    checked(reply.body)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (QUESTION, None),
        (PROMPT, "invalid"),
        ([PROMPT], "invalid"),
        ({"question": [PROMPT]}, "invalid"),
        ({**QUESTION, PROMPT: PROMPT}, "invalid"),
        ({**QUESTION, "cache": {"tenant": PROMPT}}, "invalid"),
        ({**QUESTION, "cache": {"salt": [PROMPT]}}, "invalid"),
        ({**QUESTION, "cache": {"mode": PROMPT}}, "invalid"),
        ({**QUESTION, "cache": PROMPT}, "invalid"),
        ({**QUESTION, "cache": {"mode": "only_if_cached"}}, "not_cached"),
    ],
)
def test_request_and_direct_invocation_leak_nothing(
    heard: Recorder, body: Any, code: str | None
) -> None:
    for reply in (ask_model(body), checked(invoke(body))):
        assert (f'"code": "{code}"' in reply) == (code is not None)
    assert ("no answer" if code else "answered") in heard.text


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
def test_unreadable_event_leaks_nothing(heard: Recorder, event: Any) -> None:
    checked(invoke(event))
    assert "no answer" in heard.text


@pytest.mark.parametrize(
    ("event", "logged"),
    [
        ({}, "flushed"),
        ({"tag": TAG}, "flushed"),
        ({"tag": TAG, "dry_run": True}, "flushed"),
        ({"tag": [TAG]}, "is not accepted"),
        ({"tags": [TAG]}, "is not accepted"),
        ({"namespace": "mark-\n"}, "is not accepted"),
        ({"cursor": "0", "question": PROMPT}, "is not accepted"),
        ([TAG], "is not accepted"),
    ],
)
def test_flush_leaks_nothing(heard: Recorder, event: Any, logged: str) -> None:
    heard.run(lambda: flush_cache.handler(event, Context()))
    assert logged in heard.text


def test_failed_flush_leaks_nothing(heard: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", TOKEN + "-wrong")
    heard.run(lambda: flush_cache.handler({"tag": TAG}, Context()))
    assert "WRONGPASS" in heard.text


BUCKET, KEY, TEXT = "mark-bucket", "documents/mark-name.txt", "mark-text, and something else."


@pytest.fixture
def bucket(heard: Recorder, model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Documents]:
    with documents.bucket(model, monkeypatch, BUCKET) as made:
        made.put(KEY, TEXT)
        heard.lines.clear()  # the test's own request to S3
        yield made


def deliver(heard: Recorder, body: object = None, ttl: str | None = None) -> None:
    content = documents.body(KEY, of=BUCKET) if body is None else body
    heard.run(lambda: documents.deliver(documents.message(content, ttl=ttl)))


def test_summary_leaks_nothing(heard: Recorder, bucket: Documents) -> None:
    deliver(heard)
    deliver(heard)
    assert "'written'" in heard.text
    assert "'there already'" in heard.text
    assert "Answer 1." not in heard.text


CREATED = {"eventName": "ObjectCreated:Put", "s3": {"object": {"key": PROMPT}}}


@pytest.mark.parametrize(
    ("body", "ttl", "logged"),
    [
        (PROMPT, None, "not summarized"),
        ({"bucket": BUCKET, "key": [PROMPT]}, None, "not summarized"),
        ({"bucket": BUCKET, "key": KEY, PROMPT: PROMPT}, None, "not summarized"),
        ({"bucket": "mark-Bucket", "key": KEY}, None, "not summarized"),
        ({"bucket": "mark-another", "key": KEY}, None, "not summarized"),
        ({"bucket": BUCKET, "key": "documents/../mark-secret"}, None, "not summarized"),
        ({"Records": [CREATED]}, None, "not summarized"),
        (None, PROMPT, "the attribute cache-ttl is not a number of seconds"),
        ({"bucket": BUCKET, "key": "documents/mark-none.txt"}, None, "message done"),
        ({"bucket": BUCKET, "key": KEY, "version_id": PROMPT}, None, "message done"),
    ],
)
def test_message_without_a_summary_leaks_nothing(
    heard: Recorder, bucket: Documents, body: object, ttl: str | None, logged: str
) -> None:
    deliver(heard, body, ttl)
    assert logged in heard.text


@pytest.mark.parametrize(("status", "error"), [(429, "ThrottlingException"), (500, PROMPT)])
def test_summary_by_a_failing_model_leaks_nothing(
    heard: Recorder, bucket: Documents, model: Bedrock, status: int, error: str
) -> None:
    model.fail(status, error)
    deliver(heard)
    assert "not summarized" in heard.text


def test_requests_to_s3_leak_nothing(
    heard: Recorder, model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", model.url)  # answers 501 to methods except POST
    documents.cold()
    deliver(heard)
    s3_client.s3().close()
    documents.cold()
    assert "S3 failed: 501" in heard.text


def test_summary_without_a_cache_leaks_nothing(
    heard: Recorder, bucket: Documents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", TOKEN + "-wrong")
    documents.cold()
    deliver(heard)
    assert "'written'" in heard.text
