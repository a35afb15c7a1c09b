"""After a clear by ``flush_cache``, ``ask`` asks again what was asked most."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

import pytest
from tests.faults.witness import witness
from tests.functions.asking import Reply, call, cold
from tests.functions.bedrock import Bedrock
from tests.functions.events import Context, function_url, signed_by
from upstash_redis import Redis

import answering
import ask
import direct
import flush_cache
import refill
from llm_cache import InvalidSettings, StoreError
from local_cloud.children import wait_until
from local_cloud.upstash import UpstashEndpoint

ONE, TWO = signed_by("AROAROLE:mark-one"), signed_by("AROAROLE:two")
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:ask:live"
PROMPT = "mark-prompt"


@pytest.fixture
def counting(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Bedrock:
    monkeypatch.setenv("LLM_CACHE_POPULAR", "3")
    monkeypatch.setenv("LLM_CACHE_POPULAR_SHARE", "1")
    cold()
    return model


def question(text: str, iam: object = ONE, **fields: Any) -> Reply:
    return call({"question": text, **fields}, iam=iam)


def refilled(seconds: float = 60) -> dict[str, Any]:
    return ask.handler(ask.REFILL, cast(Any, Context(seconds)))


def flush(**event: Any) -> dict[str, Any]:
    return flush_cache.handler(event, Context())


def asked_of(model: Bedrock) -> list[str]:
    return [request["messages"][-1]["content"][0]["text"] for request in model.requests]


def test_what_was_asked_most_is_a_hit_after_a_clear_for_who_asked_it(counting: Bedrock) -> None:
    for text in ("often", "often", "often", "now and then", "now and then", "twice", "twice"):
        question(text)
    question("once", TWO)
    flush()
    counting.requests.clear()
    assert refilled() == {"found": 3, "refilled": 3, "failed": 0}
    assert sorted(asked_of(counting)) == ["now and then", "often", "twice"]
    assert [question(text).cache for text in ("often", "now and then", "twice")] == ["hit"] * 3
    assert question("often", TWO).cache == "miss"
    assert question("once", TWO).cache == "miss"


def test_each_tenants_question_is_asked_for_it_alone(counting: Bedrock) -> None:
    for iam in (ONE, TWO):
        question("the same", iam)
    question("the same", TWO)
    flush()
    assert refilled()["refilled"] == 2
    assert [question("the same", iam).cache for iam in (ONE, TWO)] == ["hit", "hit"]
    assert question("the same", signed_by("AROAROLE:three")).cache == "miss"


def test_it_is_asked_and_kept_as_it_was(counting: Bedrock, redis: Redis) -> None:
    settings: dict[str, Any] = {
        "system": "Be brief.",
        "messages": [{"role": "user", "content": "Hello."}],
        "parameters": {"temperature": 0.5},
        "cache": {"tags": ["red"], "ttl": 100, "salt": "s"},
    }
    question("often", **settings)
    before = counting.requests[0]
    flush()
    refilled()
    assert counting.requests[1] == before
    again = question("often", **settings)
    assert again.cache == "hit"
    assert 90 < again.body["cache"]["ttl"] <= 100
    flush(tag="red")
    assert question("often", **settings).cache == "miss"


def test_what_is_there_already_is_not_asked_again(counting: Bedrock) -> None:
    question("often")
    assert refilled() == {"found": 1, "refilled": 0, "failed": 0}
    assert len(counting.requests) == 1


def test_two_refills_at_once_pay_once(counting: Bedrock) -> None:
    for text in ("a", "b"):
        question(text)
    flush()
    counting.requests.clear()
    counting.hold = threading.Event()
    told: list[dict[str, Any]] = []
    both = [threading.Thread(target=lambda: told.append(refilled())) for _ in range(2)]
    for each in both:
        each.start()
    threading.Timer(1, counting.hold.set).start()
    for each in both:
        each.join(20)
    assert sorted(asked_of(counting)) == ["a", "b"]
    assert sum(each["refilled"] for each in told) == 2


@pytest.mark.parametrize("number", [1, 2, 3])
def test_so_many_are_asked_at_once_as_there_are_workers(
    counting: Bedrock, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    for text in ("a", "b", "c"):
        question(text)
    flush()
    counting.requests.clear()
    counting.hold = threading.Event()
    monkeypatch.setenv("REFILL_WORKERS", str(number))
    running = threading.Thread(target=refilled)
    running.start()
    wait_until(lambda: len(counting.requests) >= number, seconds=10, what="the model")
    running.join(0.3)  # one too many would be there by now
    assert len(counting.requests) == number
    counting.hold.set()
    running.join(20)
    assert len(counting.requests) == 3


@pytest.mark.parametrize("number", ["0", "11", "-1", "two"])
def test_a_number_of_workers_out_of_bounds_is_refused_by_name(
    counting: Bedrock, monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv("REFILL_WORKERS", number)
    with pytest.raises(InvalidSettings, match="REFILL_WORKERS"):
        refilled()


def test_off_it_costs_no_command(model: Bedrock, upstash: UpstashEndpoint) -> None:
    question("often")
    upstash.meter.reset()
    assert question("often").cache == "hit"
    assert upstash.meter.read().commands == 1
    assert refilled() == {"found": 0, "refilled": 0, "failed": 0}
    assert upstash.meter.read().commands == 1


def test_on_a_question_costs_one_more(counting: Bedrock, upstash: UpstashEndpoint) -> None:
    question("often")
    upstash.meter.reset()
    assert question("often").cache == "hit"
    assert upstash.meter.read().commands == 2


def test_a_repeated_and_a_direct_question_count_too_and_no_retry_as_a_question(
    counting: Bedrock,
) -> None:
    question("repeated")
    call({"question": "repeated"}, iam=ONE, idempotency_key="k")
    ask.handler({"question": "direct"}, cast(Any, Context()))
    flush()
    assert refilled() == {"found": 2, "refilled": 2, "failed": 0}
    again = ask.handler({"question": "direct"}, cast(Any, Context()))
    assert again["cache"]["status"] == "hit"


def test_a_refill_does_not_make_what_it_asks_more_popular(counting: Bedrock, redis: Redis) -> None:
    question("often")
    counts, _, hashed = redis.keys("test:popular:*:*")[0].rpartition(":")
    for expected in (0.5, 0.25):
        refilled()
        assert redis.zscore(counts, hashed) == expected


@pytest.mark.parametrize(
    ("status", "error", "at_most"),
    [(500, "InternalServerException", 3), (429, "ThrottlingException", 2)],
)
def test_a_model_that_fails_harms_nothing(
    counting: Bedrock, status: int, error: str, at_most: int
) -> None:
    for text in ("a", "b", "c"):
        question(text)
    flush()
    counting.status, counting.error = status, error
    told = refilled()
    assert told["refilled"] == 0
    assert told["failed"] <= at_most
    counting.status, counting.error = 200, ""
    assert question("a").cache == "miss"
    assert refilled()["refilled"] == 2


def test_with_no_time_left_nothing_is_begun(counting: Bedrock) -> None:
    question("often")
    flush()
    counting.requests.clear()
    assert refilled(seconds=refill.ENOUGH) == {"found": 1, "refilled": 0, "failed": 0}
    assert counting.requests == []


def test_a_model_that_is_slow_is_given_up_on_in_time(
    counting: Bedrock, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    question("often")
    flush()
    counting.hold = threading.Event()
    monkeypatch.setattr(refill, "ENOUGH", 0.0)
    ended = threading.Event()

    def work() -> None:
        assert refilled(seconds=answering.RESERVE + 1)["refilled"] == 0
        ended.set()

    threading.Thread(target=work).start()
    assert ended.wait(5)
    counting.hold.set()
    wait_until(
        lambda: bool(redis.keys("test:entry:*")), seconds=10, what="what is paid for to be kept"
    )


def test_it_raises_where_the_counts_cannot_be_read(
    counting: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    cold()
    with pytest.raises(StoreError):
        refilled()


def test_a_count_that_fails_is_no_callers_failure(counting: Bedrock, redis: Redis) -> None:
    question("often")
    (counts,) = [key for key in redis.keys("test:popular:*") if key.count(":") == 2]
    redis.set(counts, "of another type")
    assert question("often").cache == "hit"


def test_planted_in_redis_a_question_stays_within_what_the_operator_allows(
    counting: Bedrock, redis: Redis
) -> None:
    question("often")
    (key,) = redis.keys("test:popular:*:*")
    evil = {"question": "x", "parameters": {"max_tokens": 100_000}}
    entry = json.loads(str(redis.get(key)))
    redis.set(key, json.dumps({**entry, "answer": [{"request": evil, "policy": {}}]}))
    counting.requests.clear()
    assert refilled() == {"found": 1, "refilled": 0, "failed": 1}
    assert counting.requests == []


@pytest.mark.parametrize(
    "event",
    [
        {"refill": {"tenant": "one"}},
        {"refill": True, "question": "x"},
        {"refill": True, "tenant": "one"},
        {"refill": "true"},
        {"refill": False},
        {"refill": None},
        {"refill": [True]},
    ],
    ids=json.dumps,
)
def test_whoever_invokes_ask_can_say_nothing_of_what_is_refilled(
    counting: Bedrock, upstash: UpstashEndpoint, event: dict[str, Any]
) -> None:
    question("often")
    flush()
    counting.requests.clear()
    with pytest.raises(direct.NotValid):
        ask.handler(event, cast(Any, Context()))
    assert counting.requests == []


def test_over_http_nothing_is_refilled(counting: Bedrock) -> None:
    question("often")
    flush()
    counting.requests.clear()
    assert call(ask.REFILL, iam=ONE).status == 422
    event = function_url("POST", "/ask", ask.REFILL, {}, ONE)
    assert ask.handler({**event, **ask.REFILL}, cast(Any, Context()))["statusCode"] == 422
    assert counting.requests == []


def test_a_refill_tells_counts_and_nothing_of_what_was_asked(
    counting: Bedrock, capsys: pytest.CaptureFixture[str]
) -> None:
    with witness() as heard:
        question(PROMPT, cache={"salt": "mark-salt", "tags": ["mark-tag"]})
        question("fails")
        flush()
        told = refilled()
        counting.status, counting.error = 500, PROMPT
        flush()
        refilled()
    assert json.dumps(told) == '{"found": 2, "refilled": 2, "failed": 0}'
    assert "not refilled" in heard.text
    assert heard.leaks("mark-") == []
    written = capsys.readouterr().out
    assert "mark-" not in written
    lines = [json.loads(line) for line in written.splitlines() if "QuestionsRefilled" in line]
    assert [line["QuestionsRefilled"] for line in lines] == [[2], [0]]


def test_encrypted_it_refills_and_no_question_can_be_read(
    counting: Bedrock, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_CACHE_ENCRYPTION_KEY", base64.b64encode(b"k" * 32).decode())
    cold()
    question(PROMPT)
    stored = " ".join(f"{key} {redis.get(key)}" for key in redis.keys("test:popular:*:*"))
    assert stored
    assert "mark-" not in stored
    flush()
    assert refilled()["refilled"] == 1
    assert question(PROMPT).cache == "hit"


Invoked = list[tuple[str, str, Any]]


class Invocations(BaseHTTPRequestHandler):
    """What of Lambda's API a flush calls: it takes an invocation, and answers at once."""

    protocol_version = "HTTP/1.1"

    def __init__(self, invoked: Invoked, status: int, *arguments: Any) -> None:
        self.invoked, self.status = invoked, status
        super().__init__(*arguments)

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        payload = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.invoked.append((self.path, self.headers["X-Amz-Invocation-Type"], payload))
        self.send_response(self.status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def invocations(status: int = 202) -> Iterator[tuple[str, Invoked]]:
    invoked: Invoked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Invocations, invoked, status))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", invoked
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def invoked(counting: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoked]:
    with invocations() as (url, invoked):
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("REFILL_FUNCTION", FUNCTION)
        yield invoked


def test_a_clear_of_all_has_ask_ask_again_and_waits_for_nothing(invoked: Invoked) -> None:
    question("often")
    assert flush()["refilling"] is True
    ((path, kind, event),) = invoked
    assert path == f"/2015-03-31/functions/{FUNCTION.replace(':', '%3A')}/invocations"
    assert kind == "Event"
    assert event == ask.REFILL
    assert ask.handler(event, cast(Any, Context())) == {"found": 1, "refilled": 1, "failed": 0}
    assert question("often").cache == "hit"


@pytest.mark.parametrize(
    "event",
    [{"tag": "red"}, {"dry_run": True}, {"cursor": 7}, {"namespace": "other"}],
    ids=json.dumps,
)
def test_after_anything_else_nothing_is_asked_again(
    invoked: Invoked, event: dict[str, Any]
) -> None:
    assert flush(**event)["refilling"] is False
    assert invoked == []


def test_where_ask_cannot_be_invoked_the_clear_is_done_and_the_log_says_so(
    counting: Bedrock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    question("often")
    with invocations(status=403) as (url, invoked):
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("REFILL_FUNCTION", FUNCTION)
        result = flush()
    assert len(invoked) == 1
    assert (result["cleared"], result["refilling"], result["removed"]) == (True, False, 1)
    assert "not refilled" in caplog.text
    assert question("often").cache == "miss"
