"""The ask function, called as Lambda calls it, with a real Redis and Converse on loopback."""

import json
import socket
import threading
import time

import pytest
from tests.faults import servers
from tests.functions.asking import QUESTION, at_once, call, cold
from tests.functions.bedrock import Bedrock
from tests.functions.events import function_url
from upstash_redis import Redis

from bedrock.model import model as made
from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint


def test_a_question_is_answered_by_the_model_and_then_from_the_cache(model: Bedrock) -> None:
    first, again = call(QUESTION), call(QUESTION)
    assert (first.status, first.body["answer"]) == (200, "Answer 1.")
    assert first.body["usage"] == {"input_tokens": 9, "output_tokens": 5, "saved_tokens": 0}
    assert first.body["cache"]["status"] == "miss"
    assert (again.status, again.body["answer"]) == (200, "Answer 1.")
    assert again.body["usage"] == {"input_tokens": 0, "output_tokens": 0, "saved_tokens": 14}
    cache = again.body["cache"]
    assert (cache["status"], cache["age"] < 60) == ("hit", True)
    assert cache["key"] == first.body["cache"]["key"]
    assert 540 <= cache["ttl"] <= 600
    assert len(model.requests) == 1


def test_headers_tell_what_the_cache_did(model: Bedrock) -> None:
    first, again = call(QUESTION), call(QUESTION)
    key = first.body["cache"]["key"].rpartition(":")[2]
    missed = f'llm-cache; fwd=uri-miss; stored; ttl=600; key="{key}"; detail=unknown'
    assert first.headers["cache-status"] == missed
    assert "age" not in first.headers
    assert again.headers["cache-status"].startswith("llm-cache; hit; ttl=")
    assert again.headers["cache-status"].endswith(f'; key="{key}"')
    assert 0 <= int(again.headers["age"]) < 60


async def test_callers_of_one_question_at_once_cost_one_call(model: Bedrock) -> None:
    replies = await at_once(model, [function_url("POST", "/ask", QUESTION)] * 3, calls=1)
    assert len(model.requests) == 1
    assert {reply.json()["answer"] for reply in replies} == {"Answer 1."}
    statuses = sorted(reply.json()["cache"]["status"] for reply in replies)
    assert statuses == ["collapsed", "collapsed", "miss"]
    told = [reply.headers["cache-status"].split("; key")[0] for reply in replies]
    assert told.count("llm-cache; fwd=uri-miss; collapsed") == 2


async def test_a_caller_may_ask_for_itself(model: Bedrock) -> None:
    alone = function_url("POST", "/ask", {**QUESTION, "cache": {"coalesce": "off"}})
    replies = await at_once(model, [alone] * 2, calls=2)
    assert {reply.json()["cache"]["status"] for reply in replies} == {"miss"}


@pytest.mark.parametrize(("wanted", "kept"), [(120, 120), (1, 10), (10**8, 3600), (None, 600)])
def test_the_callers_ttl_is_kept_within_the_operators_bounds(
    model: Bedrock, redis: Redis, wanted: int | None, kept: int
) -> None:
    cache = call({**QUESTION, "cache": {"ttl": wanted}}).body["cache"]
    assert cache["ttl"] == kept
    assert max(0, kept - 60) < redis.ttl(cache["key"]) <= kept


def test_a_ttl_of_zero_leaves_nothing_behind(model: Bedrock, redis: Redis) -> None:
    reply = call({**QUESTION, "cache": {"ttl": 0}})
    assert (reply.status, reply.body["cache"]["status"], reply.body["cache"]["ttl"]) == (
        200,
        "miss",
        None,
    )
    assert redis.keys("*:entry:*") == []


@pytest.mark.parametrize(
    ("accepts", "status", "calls"),
    [
        ("", "hit", 0),
        ("max-age=60", "hit", 0),
        ("no-cache", "refresh", 1),
        ("no-store", "hit", 0),
        ("no-cache, no-store", "bypass", 1),
    ],
)
def test_a_reader_says_what_it_accepts(
    model: Bedrock, accepts: str, status: str, calls: int
) -> None:
    call(QUESTION)
    model.requests.clear()
    assert call(QUESTION, cache_control=accepts).body["cache"]["status"] == status
    assert len(model.requests) == calls


@pytest.mark.parametrize(
    ("accepts", "cache", "max_bytes", "calls"),
    [
        ("", {}, "900000", 1),
        ("max-age=60", {}, "900000", 1),
        ("no-store", {}, "900000", 2),
        ("no-cache", {}, "900000", 2),
        ("", {"mode": "bypass"}, "900000", 2),
        ("", {"ttl": 0}, "900000", 2),
        ("", {}, "1", 2),
    ],
)
def test_retry_calls_the_model_again_only_where_no_answer_may_be_served(
    model: Bedrock,
    monkeypatch: pytest.MonkeyPatch,
    accepts: str,
    cache: dict[str, object],
    max_bytes: str,
    calls: int,
) -> None:
    monkeypatch.setenv("LLM_CACHE_MAX_BYTES", max_bytes)
    cold()
    for _ in range(2):
        assert call({**QUESTION, "cache": cache}, cache_control=accepts).status == 200
    assert len(model.requests) == calls


def test_miss_hit_and_refresh_cost_three_one_and_two_commands(
    model: Bedrock, upstash: UpstashEndpoint
) -> None:
    def commands(accepts: str = "") -> int:
        upstash.meter.reset()
        assert call(QUESTION, cache_control=accepts).status == 200
        return upstash.meter.read().commands

    assert (commands(), commands(), commands("no-cache")) == (3, 1, 2)


def test_max_age_bounds_the_age_of_the_answer(model: Bedrock) -> None:
    call(QUESTION)
    time.sleep(0.01)
    reply = call(QUESTION, cache_control="max-age=0")
    assert (reply.body["answer"], reply.body["cache"]["status"]) == ("Answer 2.", "miss")
    assert "fwd=request" in reply.headers["cache-status"]


def test_no_store_leaves_nothing_behind(model: Bedrock, redis: Redis) -> None:
    assert call(QUESTION, cache_control="no-store").body["cache"]["status"] == "miss"
    assert redis.keys("*") == []


def test_only_if_cached_never_asks_the_model(model: Bedrock) -> None:
    missed = call(QUESTION, cache_control="only-if-cached")
    assert (missed.status, missed.body["error"]["code"]) == (504, "not_cached")
    assert model.requests == []
    call(QUESTION)
    assert call(QUESTION, cache_control="only-if-cached").body["cache"]["status"] == "hit"


def test_no_cache_replaces_what_was_stored(model: Bedrock) -> None:
    call(QUESTION), call(QUESTION, cache_control="no-cache")
    assert call(QUESTION).body["answer"] == "Answer 2."


def test_the_body_and_the_header_both_count(model: Bedrock, redis: Redis) -> None:
    reply = call({**QUESTION, "cache": {"mode": "refresh"}}, cache_control="no-store")
    assert reply.body["cache"]["status"] == "bypass"
    assert redis.keys("*") == []


def test_system_text_and_earlier_turns_are_part_of_the_question(model: Bedrock) -> None:
    turns = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    bodies = [QUESTION, {**QUESTION, "system": "Be brief."}, {**QUESTION, "messages": turns}]
    assert [call(body).body["cache"]["status"] for body in bodies * 2] == ["miss"] * 3 + ["hit"] * 3
    assert model.requests[1]["system"] == [{"text": "Be brief."}]
    assert [one["role"] for one in model.requests[2]["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", "body"),
        ("[]", "body"),
        ("", "body"),
        ("\udcff", "body"),
        ({}, "question"),
        ({"question": ""}, "question"),
        ({"question": " \n\u00a0\x1c"}, "question"),
        ({**QUESTION, "system": "\t"}, "system"),
        ({**QUESTION, "messages": [{"role": "user", "content": " "}]}, "messages.0.content"),
        ({**QUESTION, "messages": [{"role": "assistant", "content": "x"}]}, "messages.0.role"),
        ({"question": 7}, "question"),
        ({"question": "x" * 20_001}, "question"),
        ({**QUESTION, "system": []}, "system"),
        ({**QUESTION, "temperature": 2}, "temperature"),
        ({**QUESTION, "stream": True}, "stream"),
        ({**QUESTION, "cache": "yes"}, "cache"),
        ({**QUESTION, "cache": {"ttl": -1}}, "cache.ttl"),
        ({**QUESTION, "cache": {"ttl": "60"}}, "cache.ttl"),
        ({**QUESTION, "cache": {"mode": "sometimes"}}, "cache.mode"),
        ({**QUESTION, "cache": {"tll": 60}}, "cache.tll"),
        ({**QUESTION, "messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
        ({**QUESTION, "messages": [{"role": "user", "content": "x"}] * 41}, "messages"),
    ],
)
def test_bad_input_is_422_with_the_field_named(model: Bedrock, body: object, field: str) -> None:
    text = body.encode("utf-8", "surrogateescape").decode("latin-1") if body == "\udcff" else body
    reply = call(text)
    assert (reply.status, reply.body["error"]["field"]) == (422, field)
    assert model.requests == []


def test_a_malformed_cache_control_is_422_too(model: Bedrock) -> None:
    reply = call(QUESTION, cache_control="max-age=soon")
    assert (reply.status, reply.body["error"]["field"]) == (422, "Cache-Control max-age")


@pytest.mark.parametrize(
    ("status", "error", "told", "code"),
    [
        (429, "ThrottlingException", 503, "model_busy"),
        (503, "ServiceUnavailableException", 503, "model_busy"),
        (408, "ModelTimeoutException", 504, "model_timeout"),
        (500, "InternalServerException", 503, "model_busy"),
        (424, "ModelErrorException", 503, "model_busy"),
        (599, "SomethingNewException", 503, "model_busy"),
        (400, "ValidationException", 500, "model_refused"),
        (403, "AccessDeniedException", 500, "model_misconfigured"),
        (404, "ResourceNotFoundException", 500, "model_misconfigured"),
    ],
)
def test_a_model_that_fails_is_told_clearly(
    model: Bedrock, redis: Redis, status: int, error: str, told: int, code: str
) -> None:
    model.status, model.error = status, error
    reply = call(QUESTION)
    assert (reply.status, reply.body["error"]["code"]) == (told, code)
    assert "do not show" not in json.dumps(reply.body)
    assert redis.keys("*:entry:*") == []


def test_retry_after_is_passed_on_where_the_model_gives_it(model: Bedrock) -> None:
    model.status, model.error, model.headers = 429, "ThrottlingException", {"Retry-After": "7"}
    assert call(QUESTION).headers["retry-after"] == "7"


@pytest.mark.timed
def test_a_model_that_hangs_is_504_before_lambda_gives_up_and_its_late_answer_is_kept(
    model: Bedrock,
) -> None:
    model.hold = threading.Event()
    made()  # the start of a cold model takes its own time
    began = time.monotonic()
    reply = call(QUESTION, seconds=1.5)
    assert (reply.status, reply.body["error"]["code"]) == (504, "model_timeout")
    assert time.monotonic() - began < 1.5
    model.hold.set()
    wait_until(
        lambda: call(QUESTION, cache_control="no-store").body["cache"]["status"] == "hit",
        seconds=60,
        what="the late answer",
    )


@pytest.mark.parametrize("broken", ["cache_status.body", "answer.call_model", "web.AskBody"])
def test_unexpected_error_leaves_the_handler_so_that_lambda_counts_it(
    model: Bedrock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
) -> None:
    monkeypatch.setattr(broken, None)
    with pytest.raises((TypeError, AttributeError)):
        call(QUESTION)
    assert caplog.text.count("Traceback") == 1


def unreachable(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", url)
    cold()


def test_without_upstash_the_model_still_answers(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    unreachable(monkeypatch, "http://127.0.0.1:9")
    reply = call(QUESTION)
    assert (reply.status, reply.body["answer"], reply.body["cache"]["status"]) == (
        200,
        "Answer 1.",
        "error",
    )
    key = reply.body["cache"]["key"].rpartition(":")[2]
    assert reply.headers["cache-status"] == (
        f'llm-cache; fwd=miss; key="{key}"; detail=unavailable'
    )


@pytest.mark.timed
def test_an_upstash_that_hangs_costs_its_timeout_once(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    call(QUESTION)
    monkeypatch.setenv("LLM_CACHE_TIMEOUT", "0.5")
    met: list[object] = []

    def silent(connection: socket.socket) -> None:
        met.append(connection)
        servers.silent(connection)

    with servers.serving(silent) as url:
        unreachable(monkeypatch, url)
        made()  # the start of a cold model is no part of what the cache costs
        began = time.monotonic()
        reply = call(QUESTION)
        assert (reply.status, reply.body["answer"]) == (200, "Answer 2.")
        assert time.monotonic() - began < 0.5 + 5.0
    assert len(met) == 1


def test_with_a_wrong_token_the_model_still_answers(
    model: Bedrock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    cold()
    reply = call(QUESTION)
    assert (reply.status, reply.body["cache"]["status"]) == (200, "error")


def test_health_touches_neither_cache_nor_model(model: Bedrock, upstash: UpstashEndpoint) -> None:
    reply = call(method="GET", path="/health")
    assert (reply.status, reply.body) == (200, {"status": "ok"})
    assert (model.requests, upstash.meter.read().requests) == ([], 0)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/ask", 405), ("POST", "/nowhere", 404)]
)
def test_other_routes_and_methods_are_told_in_json(
    model: Bedrock, method: str, path: str, status: int
) -> None:
    reply = call(QUESTION, method=method, path=path)
    assert (reply.status, reply.body["error"]["code"]) == (status, "http")
    assert ("allow" in reply.headers) == (status == 405)


def counted(capsys: pytest.CaptureFixture[str], *names: str) -> list[list[float | None]]:
    """Return the values of these metrics in each line that was written; None where it has none."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return [[line.get(name, [None])[0] for name in names] for line in lines]


def test_each_question_writes_one_line_of_metrics_an_unanswered_one_too(
    model: Bedrock, capsys: pytest.CaptureFixture[str]
) -> None:
    call(QUESTION), call(QUESTION)
    model.status, model.error = 400, "ValidationException"
    assert call({"question": "Another?"}).status == 500
    call(method="GET", path="/health")
    names = ("CacheHits", "CacheMisses", "CacheMissesUnknown", "TokensSaved")
    assert counted(capsys, *names) == [[0, 1, 1, 0], [1, 0, None, 14], [0, 1, 1, 0]]


@pytest.mark.parametrize(
    ("status", "error", "parameters", "errors", "misconfigured"),
    [
        (429, "ThrottlingException", {}, 1, None),
        (408, "ModelTimeoutException", {}, 1, None),
        (400, "ValidationException", {}, None, 1),
        (403, "AccessDeniedException", {}, None, 1),
        (400, "ValidationException", {"top_p": 0.5}, None, None),
        (200, "", {}, None, None),
    ],
)
def test_failures_of_the_model_are_counted_by_whose_they_are(
    model: Bedrock,
    capsys: pytest.CaptureFixture[str],
    status: int,
    error: str,
    parameters: dict[str, float],
    errors: int | None,
    misconfigured: int | None,
) -> None:
    model.status, model.error = status, error
    call({**QUESTION, "parameters": parameters})
    told = counted(capsys, "ModelErrors", "ModelMisconfigured")
    assert told == [[errors, misconfigured]]


def test_answer_without_text_counts_as_an_error_of_the_model_and_only_if_cached_does_not(
    model: Bedrock, capsys: pytest.CaptureFixture[str]
) -> None:
    model.content = []
    assert call(QUESTION).status == 502
    assert call(QUESTION, cache_control="only-if-cached").status == 504
    assert counted(capsys, "ModelErrors") == [[1], [None]]
