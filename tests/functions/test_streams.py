"""An answer as it is made, from a real ASGI server, by who the Lambda Web Adapter says asks."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.faults.witness import witness
from tests.functions.asking import QUESTION, call, cold
from tests.functions.bedrock import Bedrock
from tests.functions.events import signed_by
from tests.functions.fronts import NOT_HTTP, front
from tests.functions.serving import served
from tests.functions.test_fronts import invoke
from upstash_redis import Redis

from local_cloud.children import wait_until

STREAMED = {**QUESTION, "stream": True}
ALICE = {"x-amzn-request-context": json.dumps({"authorizer": {"iam": signed_by("AIDAALICE")}})}
BOB = {"x-amzn-request-context": json.dumps({"authorizer": {"iam": signed_by("AIDABOB")}})}


@pytest.fixture
def _adapted(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LWA_INVOKE_MODE", "response_stream")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "ask")
    monkeypatch.setenv("LLM_CACHE_TIMEOUT", "10")  # none of this is about time
    monkeypatch.delenv("SHARE_ANSWERS", raising=False)
    cold()


@pytest.fixture
def server(model: Bedrock, _adapted: None) -> Iterator[httpx.Client]:
    with served() as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client


def post(server: httpx.Client, body: object = STREAMED, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.post("/ask", json=body, headers=ALICE | named)


@contextmanager
def opened(server: httpx.Client) -> Iterator[Iterator[str]]:
    with server.stream("POST", "/ask", json=STREAMED, headers=ALICE) as response:
        assert response.status_code == 200
        yield response.iter_lines()


def events(response: httpx.Response) -> list[Any]:
    assert (response.status_code, response.headers["content-type"].split(";")[0]) == (
        200,
        "text/event-stream",
    )
    *told, rest = response.text.split("\n\n")
    assert rest == ""
    return [event(one) for one in told]


def event(text: str) -> Any:
    name, _, data = text.rpartition("data: ")
    return (name.strip(), json.loads(data)) if name else json.loads(data)


def test_a_miss_comes_in_parts_and_a_hit_in_the_same_form(
    server: httpx.Client, model: Bedrock
) -> None:
    *parts, told = events(post(server))
    assert parts == [{"text": "Answer "}, {"text": "1"}, {"text": "."}]
    assert told["cache"]["status"] == "miss"
    assert told["usage"] == {"input_tokens": 9, "output_tokens": 5, "saved_tokens": 0}
    part, again = events(post(server))
    assert part == {"text": "Answer 1."}
    assert (again["cache"]["status"], again["cache"]["key"]) == ("hit", told["cache"]["key"])
    assert again["usage"] == {"input_tokens": 0, "output_tokens": 0, "saved_tokens": 14}
    assert len(model.requests) == 1


def test_what_was_streamed_is_told_whole_too_and_the_other_way_round(
    server: httpx.Client, model: Bedrock
) -> None:
    events(post(server))
    whole = post(server, QUESTION).json()
    assert (whole["answer"], whole["cache"]["status"]) == ("Answer 1.", "hit")
    other = {"question": "Another?"}
    post(server, other)
    assert events(post(server, {**other, "stream": True}))[0] == {"text": "Answer 2."}
    assert len(model.requests) == 2


def test_each_part_is_sent_as_it_comes(server: httpx.Client, model: Bedrock) -> None:
    model.hold = threading.Event()
    with opened(server) as lines:
        assert event(next(lines)) == {"text": "Answer "}
        model.hold.set()
        assert event(list(lines)[-2])["cache"]["status"] == "miss"


def test_a_reader_that_leaves_stores_nothing(
    server: httpx.Client, model: Bedrock, redis: Redis
) -> None:
    model.hold = threading.Event()
    with opened(server) as lines:
        next(lines)
    wait_until(lambda: not redis.keys("*:lease:*"), seconds=10, what="the lease to be given back")
    model.hold.set()
    assert events(post(server))[-1]["cache"]["status"] == "miss"
    assert len(model.requests) == 2


def test_a_question_under_way_is_streamed_to_one_and_told_to_who_waits(
    server: httpx.Client, model: Bedrock
) -> None:
    model.hold = threading.Event()
    with opened(server) as lines:
        next(lines)
        waiting: list[httpx.Response] = []
        second = threading.Thread(target=lambda: waiting.append(post(server)))
        second.start()
        model.hold.set()
        list(lines)
    second.join()
    assert events(waiting[0])[0] == {"text": "Answer 1."}
    assert len(model.requests) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [("throttlingException", "model_busy"), ("validationException", "model_failed")],
)
def test_a_model_that_fails_in_the_middle_is_an_event(
    server: httpx.Client, model: Bedrock, redis: Redis, error: str, code: str
) -> None:
    model.breaks = error
    first, (name, told) = events(post(server))
    assert (first, name) == ({"text": "Answer "}, "event: error")
    assert "do not show" not in json.dumps(told)
    assert set(told) == {"error"}
    assert redis.keys("*:entry:*") == []
    assert told["error"]["code"] == code


def ending_in(seconds: float) -> dict[str, str]:
    """What the adapter says of Lambda's context."""
    return {"x_amzn_lambda_context": json.dumps({"deadline": int(1000 * (time.time() + seconds))})}


def test_a_model_that_hangs_in_the_middle_is_given_up_on_in_time(
    server: httpx.Client, model: Bedrock, redis: Redis
) -> None:
    model.hold = threading.Event()
    began = time.monotonic()
    first, (name, told) = events(post(server, **ending_in(2.5)))
    assert time.monotonic() - began < 2.5
    model.hold.set()
    assert (first, name) == ({"text": "Answer "}, "event: error")
    assert told["error"]["code"] == "model_timeout"
    wait_until(lambda: not redis.keys("*:lease:*"), seconds=10, what="the lease to be given back")
    assert redis.keys("*:entry:*") == []


def test_before_the_first_part_that_is_a_plain_reply(server: httpx.Client, model: Bedrock) -> None:
    model.hold = threading.Event()
    late = post(server, QUESTION, **ending_in(2.0))
    model.hold.set()
    assert (late.status_code, late.json()["error"]["code"]) == (504, "model_timeout")


@pytest.mark.parametrize("context", ["", "null", "{", "[]", "{}", '{"deadline": "soon"}'])
def test_an_end_that_nobody_tells_is_none(server: httpx.Client, context: str) -> None:
    assert events(post(server, x_amzn_lambda_context=context))[-1]["cache"]["status"] == "miss"


@pytest.mark.parametrize("missing", ["AWS_LWA_INVOKE_MODE", "AWS_LAMBDA_FUNCTION_NAME"])
def test_an_end_is_the_adapters_to_tell(
    server: httpx.Client, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    monkeypatch.setenv("SHARE_ANSWERS", "all")
    cold()
    assert events(post(server, **ending_in(0.0)))[-1]["cache"]["status"] == "miss"


def test_a_failure_of_our_own_in_the_middle_is_no_end_that_looks_like_one(
    server: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache_status.body", lambda *_: 1 / 0)
    with pytest.raises(httpx.RemoteProtocolError, match="without sending complete"):
        post(server)


def test_what_goes_wrong_before_is_a_plain_reply(server: httpx.Client, model: Bedrock) -> None:
    model.status, model.error, model.headers = 429, "ThrottlingException", {"Retry-After": "7"}
    busy = post(server)
    assert (busy.status_code, busy.json()["error"]["code"]) == (503, "model_busy")
    assert busy.headers["retry-after"] == "7"
    assert post(server, cache_control="only-if-cached").status_code == 504
    assert post(server, {**STREAMED, "question": 7}).status_code == 422
    assert post(server, {**QUESTION, "stream": "yes"}).json()["error"]["field"] == "stream"


def test_an_expired_answer_stands_in_as_ever(
    server: httpx.Client, model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STALE_IF_ERROR", "600")
    monkeypatch.setenv("LLM_CACHE_TTL_FLOOR", "0.001")
    cold()
    post(server, {**STREAMED, "cache": {"ttl": 0.001}})
    model.status, model.error = 429, "ThrottlingException"
    wait_until(
        lambda: events(post(server))[-1]["cache"]["status"] == "stale", seconds=5, what="it expires"
    )
    assert events(post(server))[0] == {"text": "Answer 1."}


@pytest.mark.parametrize(
    ("accepts", "status", "kept"),
    [
        ("no-store", "miss", False),
        ("no-cache", "refresh", True),
        ("no-cache, no-store", "bypass", False),
    ],
)
def test_a_stream_stores_no_more_than_it_may(
    server: httpx.Client, redis: Redis, accepts: str, status: str, kept: bool
) -> None:
    assert events(post(server, cache_control=accepts))[-1]["cache"]["status"] == status
    assert bool(redis.keys("*:entry:*")) is kept


@pytest.mark.parametrize("breaks", ["", "throttlingException"])
def test_a_stream_says_nothing_secret(server: httpx.Client, model: Bedrock, breaks: str) -> None:
    model.breaks = breaks
    with witness() as heard:
        events(
            post(server, {**STREAMED, "question": "mark-prompt", "cache": {"tags": ["mark-tag"]}})
        )
    assert ("no answer" if breaks else "answered") in heard.text
    assert heard.leaks("mark-") == []
    assert "Answer " not in heard.text


@pytest.mark.usefixtures("model")
def test_a_front_that_streams_nothing_is_answered_as_without() -> None:
    assert (call(STREAMED).cache, call(QUESTION).cache) == ("miss", "hit")
    for name in NOT_HTTP:
        assert invoke({**front(name), "stream": True})["answer"]


# --- who asks -------------------------------------------------------------------------------------


def test_everybody_has_answers_of_their_own(server: httpx.Client) -> None:
    told = [events(server.post("/ask", json=STREAMED, headers=who)) for who in (ALICE, BOB, ALICE)]
    assert [one[-1]["cache"]["status"] for one in told] == ["miss", "miss", "hit"]


@pytest.mark.parametrize("context", ["null", "", "{", "[]", "{}", '{"elb": {}}', "[" * 5000, '"x"'])
def test_what_the_adapter_does_not_vouch_for_is_nobody(
    server: httpx.Client, model: Bedrock, context: str
) -> None:
    reply = server.post("/ask", json=STREAMED, headers={"x-amzn-request-context": context})
    assert (reply.status_code, model.requests) == (403, [])
    assert server.post("/ask", json=STREAMED).status_code == 403


@pytest.mark.parametrize("missing", ["AWS_LWA_INVOKE_MODE", "AWS_LAMBDA_FUNCTION_NAME"])
def test_the_header_counts_for_nothing_at_another_server(
    server: httpx.Client, model: Bedrock, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.delenv(missing)
    assert (post(server).status_code, model.requests) == (403, [])


def test_a_server_of_ones_own_answers_where_everybody_shares(
    server: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_LWA_INVOKE_MODE")
    monkeypatch.setenv("SHARE_ANSWERS", "all")
    cold()
    statuses = [events(server.post("/ask", json=STREAMED))[-1]["cache"]["status"] for _ in "ab"]
    assert statuses == ["miss", "hit"]


@pytest.mark.usefixtures("_adapted")
def test_the_header_counts_for_nothing_beside_an_event() -> None:
    forged = {"x_amzn_request_context": ALICE["x-amzn-request-context"]}
    assert call(QUESTION, iam=signed_by("AIDAALICE")).cache == "miss"
    assert call(QUESTION, iam=signed_by("AIDABOB"), **forged).cache == "miss"  # type: ignore[arg-type]
    assert call(QUESTION, iam={}, **forged).status == 403  # type: ignore[arg-type]
