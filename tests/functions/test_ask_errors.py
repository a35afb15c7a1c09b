"""`ask` without an answer: invalid requests, failures of the model, the cache and the function."""

import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.faults import socket_servers
from tests.functions.asking import QUESTION, call, invoke, question
from tests.functions.bedrock import Bedrock
from tests.functions.documents import stored
from tests.functions.events import FRONTS, front
from upstash_redis import Redis

from bedrock.model import model as made
from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint

FIELDS: list[tuple[dict[str, Any], str]] = [
    ({"question": ""}, "question"),
    ({"question": " \n\u00a0\x1c"}, "question"),
    ({"question": 7}, "question"),
    ({"question": "x" * 20_001}, "question"),
    ({"system": "\t"}, "system"),
    ({"system": []}, "system"),
    ({"messages": [{"role": "user", "content": " "}]}, "messages.0.content"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "system", "content": "x"}]}, "messages.0.role"),
    ({"messages": [{"role": "user", "content": "x"}] * 41}, "messages"),
    ({"temperature": 2}, "temperature"),
    ({"stream": True}, "stream"),
    ({"cache": "yes"}, "cache"),
    ({"cache": {"ttl": -1}}, "cache.ttl"),
    ({"cache": {"ttl": "60"}}, "cache.ttl"),
    ({"cache": {"mode": "sometimes"}}, "cache.mode"),
    ({"cache": {"tll": 60}}, "cache.tll"),
    ({"parameters": {"temperature": 2}}, "parameters.temperature"),
    ({"parameters": {"top_p": -0.1}}, "parameters.top_p"),
    ({"parameters": {"max_tokens": 513}}, "parameters.max_tokens"),
    ({"parameters": {"max_tokens": 0}}, "parameters.max_tokens"),
    ({"parameters": {"stop": []}}, "parameters.stop"),
    ({"parameters": {"stop": ["a"] * 5}}, "parameters.stop"),
    ({"parameters": {"stop": ["a" * 101]}}, "parameters.stop.0"),
    ({"parameters": {"model": "a more expensive one"}}, "parameters.model"),
    ({"parameters": {"system": "x"}}, "parameters.system"),
]
BODIES = [("{", "body"), ("[]", "body"), ("", "body"), ("\xff", "body"), ({}, "question")]


@pytest.mark.parametrize(
    ("body", "field"), [*BODIES, *((question(**fields), field) for fields, field in FIELDS)]
)
def test_invalid_body_is_422_that_names_the_field(model: Bedrock, body: object, field: str) -> None:
    reply = call(body)
    assert (reply.status, reply.error["field"]) == (422, field)
    assert model.requests == []


def test_invalid_cache_control_is_422(model: Bedrock) -> None:
    reply = call(QUESTION, cache_control="max-age=soon")
    assert (reply.status, reply.error["field"]) == (422, "Cache-Control max-age")


def counted(capsys: pytest.CaptureFixture[str], *names: str) -> list[list[float | None]]:
    """Return the values of metrics in each line of metrics; None for an absent one."""
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return [[line.get(name, [None])[0] for name in names] for line in lines]


@pytest.mark.parametrize(
    ("status", "error", "parameters", "replied", "code", "metrics"),
    [
        (429, "ThrottlingException", {}, 503, "model_busy", [1, None]),
        (503, "ServiceUnavailableException", {}, 503, "model_busy", [1, None]),
        (500, "InternalServerException", {}, 503, "model_busy", [1, None]),
        (424, "ModelErrorException", {}, 503, "model_busy", [1, None]),
        (429, "SomethingNewException", {}, 503, "model_busy", [1, None]),
        (599, "SomethingNewException", {}, 503, "model_busy", [1, None]),
        (408, "ModelTimeoutException", {}, 504, "model_timeout", [1, None]),
        (400, "ValidationException", {}, 500, "model_refused", [None, 1]),
        (400, "ValidationException", {"top_p": 0.5}, 422, "model_refused", [None, None]),
        (403, "AccessDeniedException", {}, 500, "model_misconfigured", [None, 1]),
        (404, "ResourceNotFoundException", {}, 500, "model_misconfigured", [None, 1]),
    ],
)
def test_failure_of_the_model_is_a_problem_with_its_cause_and_a_metric(
    model: Bedrock,
    redis: Redis,
    capsys: pytest.CaptureFixture[str],
    status: int,
    error: str,
    parameters: dict[str, float],
    replied: int,
    code: str,
    metrics: list[float | None],
) -> None:
    model.fail(status, error, **{"Retry-After": "7"})
    reply = call(question(parameters=parameters))
    assert (reply.status, reply.error["code"]) == (replied, code)
    assert reply.headers.get("retry-after") == ("7" if code == "model_busy" else None)
    assert "do not show" not in json.dumps(reply.body)
    assert stored(redis) == []
    assert counted(capsys, "ModelErrors", "ModelMisconfigured") == [metrics]
    assert invoke(question(parameters=parameters))["error"] == reply.error


def test_answer_without_text_is_a_problem_that_names_the_stop_reason(
    model: Bedrock, capsys: pytest.CaptureFixture[str]
) -> None:
    model.content, model.stops = [], "guardrail_intervened"
    reply = call(QUESTION)
    assert (reply.status, reply.error["code"]) == (502, "no_answer")
    assert invoke(QUESTION)["error"]["stop_reason"] == "guardrail_intervened"
    assert call(QUESTION, cache_control="only-if-cached").status == 504
    assert counted(capsys, "ModelErrors") == [[1], [1], [None]]


def test_each_question_writes_one_line_of_metrics_even_without_an_answer(
    model: Bedrock, capsys: pytest.CaptureFixture[str]
) -> None:
    call(QUESTION), call(QUESTION)
    model.fail(400, "ValidationException")
    assert call({"question": "Another?"}).status == 500
    call(method="GET", path="/health")
    names = ("CacheHits", "CacheMisses", "CacheMissesUnknown", "TokensSaved")
    assert counted(capsys, *names) == [[0, 1, 1, 0], [1, 0, None, 14], [0, 1, 1, 0]]


@pytest.mark.timed
def test_slow_model_is_504_before_lambdas_timeout_and_its_late_answer_is_stored(
    model: Bedrock,
) -> None:
    model.hold = threading.Event()
    made()  # creating the client takes its own time
    began = time.monotonic()
    reply = call(QUESTION, seconds=1.5)
    assert (reply.status, reply.error["code"]) == (504, "model_timeout")
    assert time.monotonic() - began < 1.5
    model.hold.set()
    wait_until(
        lambda: call(QUESTION, cache_control="no-store").cache == "hit",
        seconds=60,
        what="the late answer",
    )


@pytest.mark.parametrize(
    ("variable", "value", "detail"),
    [
        ("UPSTASH_REDIS_REST_URL", "http://127.0.0.1:9", "unavailable"),
        ("UPSTASH_REDIS_REST_TOKEN", "wrong", "refused"),
    ],
)
def test_failed_cache_loses_no_answer(
    model: Bedrock, configure: Callable[..., None], variable: str, value: str, detail: str
) -> None:
    configure(**{variable: value})
    reply = call(QUESTION)
    cache = reply.body["cache"]
    assert (reply.status, reply.body["answer"]) == (200, "Answer 1.")
    assert (cache["status"], cache["stored"], cache["why"]) == ("error", False, "lookup_failed")
    key = cache["key"].rpartition(":")[2]
    assert reply.headers["cache-status"] == f'llm-cache; fwd=miss; key="{key}"; detail={detail}'


@pytest.mark.timed
def test_silent_upstash_costs_its_timeout_once(
    model: Bedrock, configure: Callable[..., None]
) -> None:
    call(QUESTION)
    met: list[object] = []

    def silent(connection: socket.socket) -> None:
        met.append(connection)
        socket_servers.silent(connection)

    with socket_servers.serving(silent) as url:
        configure(UPSTASH_REDIS_REST_URL=url, LLM_CACHE_TIMEOUT="0.5")
        made()  # creating the client takes its own time
        began = time.monotonic()
        reply = call(QUESTION)
        assert (reply.status, reply.body["answer"]) == (200, "Answer 2.")
        assert time.monotonic() - began < 0.5 + 5.0
    assert len(met) == 1


BROKEN = ["cache_status.body", "answer.call_model", "web.AskBody"]


@pytest.mark.parametrize(
    ("broken", "name"),
    [*((one, "function_url_iam") for one in BROKEN), *(("web.tenant_of", one) for one in FRONTS)],
)
def test_unexpected_error_leaves_the_handler_so_that_lambda_counts_it(
    model: Bedrock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    broken: str,
    name: str,
) -> None:
    monkeypatch.setattr(broken, None)
    with pytest.raises((TypeError, AttributeError)):
        invoke(front(name))
    assert caplog.text.count("Traceback") == 1


def test_health_calls_neither_cache_nor_model(model: Bedrock, upstash: UpstashEndpoint) -> None:
    reply = call(method="GET", path="/health")
    assert (reply.status, reply.body) == (200, {"status": "ok"})
    assert (model.requests, upstash.meter.read().requests) == ([], 0)
