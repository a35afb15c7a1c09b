"""No secret and no content is in a log line, an error, a representation or the output."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import boto3
import pytest
from langchain_core.outputs import Generation
from moto import mock_aws
from tests.faults.faulty_proxy import misbehaving
from tests.faults.http_faults import HTTP_FAULTS
from tests.faults.matrix import short_timeouts
from tests.faults.output_recorder import Recorder, recorded_output
from tests.faults.socket_servers import read_command, send_reply, serving
from tests.integration.upstash.ssm import Ssm
from tests.integration.upstash.ssm import serving as serving_ssm
from tests.integration.upstash.ssm import use as use_environment
from upstash_redis import Redis

from llm_cache import (
    Breaker,
    CacheConfig,
    CacheNamespace,
    CachePolicy,
    InvalidPolicy,
    MemoryTier,
    Status,
    UpstashRedisCache,
)
from llm_cache._cli.main import main
from llm_cache._entries.protection import Signing
from llm_cache._upstash.credentials import Credentials, fetch
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

TOKEN, USER, PASSWORD = "mark-token", "mark-user", "mark-password"
PROMPT, ANSWER, LLM = "mark-prompt", "mark-answer", "mark-model"
TENANT, SALT, TAG, KEY = "mark-tenant", "mark-salt", "mark-tag", "mark-key"
MARK = "mark-"
TIMEOUT = 0.1  # seconds
POLICY = CachePolicy(tenant=TENANT, salt=SALT, tags=(TAG,))
ANSWERS = [Generation(text=ANSWER)]
NAMES = {
    "LLM_CACHE_URL_PARAMETER": "/cache/url",
    "LLM_CACHE_TOKEN_PARAMETER": "/cache/token",
    "LLM_CACHE_NAMESPACE": "n",
}
POLICIES = [
    POLICY,
    POLICY & CachePolicy(coalesce="fleet"),
    POLICY & CachePolicy(coalesce="process", stale_if_error=60),
    POLICY & CachePolicy(mode="only_if_cached"),
    POLICY & CachePolicy(mode="refresh", ttl=lambda *_: 1 / 0),
    CachePolicy(key=KEY, tenant=TENANT),
]


@pytest.fixture
def heard() -> Iterator[Recorder]:
    with recorded_output() as recorder:
        yield recorder


@pytest.fixture(scope="module")
def endpoint(redis_server: RedisServer) -> Iterator[UpstashEndpoint]:
    with UpstashEndpoint.start(redis_server, token=TOKEN) as started:
        yield started


def with_user(url: str) -> str:
    return url.replace("//", f"//{USER}:{PASSWORD}@")


def use(heard: Recorder, cache: UpstashRedisCache) -> None:
    """Run every operation of a cache, under every policy."""
    for policy in POLICIES:
        with cache.policy(policy) as report:
            heard.run(lambda: cache.lookup(PROMPT, LLM))
            heard.run(lambda: cache.update(PROMPT, LLM, ANSWERS))
            heard.run(lambda: cache.alookup(PROMPT + "2", LLM))
            heard.run(lambda: cache.aupdate(PROMPT + "2", LLM, ANSWERS))
        heard.lines += [repr(report), repr(policy), repr(cache)]
    with cache.policy(POLICY):
        heard.run(lambda: cache.delete(PROMPT, LLM))
        heard.run(lambda: cache.adelete(PROMPT, LLM))
    for clear in (cache.clear, cache.aclear):
        heard.run(partial(clear, tag=TAG))
        heard.run(clear)


def flush(heard: Recorder, namespace: CacheNamespace) -> None:
    heard.run(lambda: namespace.clear(TAG))
    heard.run(lambda: heard.lines.append(repr(namespace.preview(TAG, seconds=0))))
    heard.run(lambda: heard.lines.append(repr(namespace.reclaim(seconds=0))))
    heard.lines.append(repr(namespace))


def use_all(heard: Recorder, url: str, token: str = TOKEN) -> None:
    heard.run(lambda: heard.lines.append(repr(Credentials(url, token))))
    stores = [UpstashStore(lambda: Credentials(url, token)) for _ in range(2)]
    use(heard, UpstashRedisCache(stores[0], namespace="n", timeout=TIMEOUT, breaker=Breaker()))
    flush(heard, CacheNamespace(stores[1], "n"))


def test_successful_operations_log_no_secret(heard: Recorder, endpoint: UpstashEndpoint) -> None:
    use_all(heard, endpoint.url)
    cache = UpstashRedisCache(Redis(endpoint.url, TOKEN), memory=MemoryTier(seconds=9))
    use(heard, cache)
    use(heard, cache)
    assert "asyncio" in heard.text  # debug lines are recorded too
    assert heard.leaks(MARK) == []


def reply_with_error(connection: socket.socket) -> None:
    """Reply to each command except MGET with an error that repeats its longest argument."""
    while command := read_command(connection):
        longest = max(map(str, command[2:]), key=len)
        missing = {"result": ["ZWE=", *[None] * (len(command) - 2)]}
        error = {"error": f"ERR not accepted: {longest}"}
        send_reply(connection, missing if command[0] == "MGET" else error)


def test_error_of_upstash_that_repeats_an_answer_is_cut(heard: Recorder) -> None:
    with serving(reply_with_error) as url:
        cache = UpstashRedisCache(UpstashStore(lambda: Credentials(url, TOKEN)), namespace="n")
        with cache.policy() as report:
            cache.lookup(PROMPT, LLM)
            cache.update(PROMPT, LLM, ANSWERS)
        update = ("SET", "n:entry:1", f'{{"answer": "{ANSWER}"}}')
        heard.run(lambda: cache._runner.store.execute(update, 1))
        heard.run(lambda: cache._runner.store.aexecute(update, 1))
    assert [outcome.detail for outcome in report.having(Status.ERROR)] == ["ERR not accepted:"]
    heard.lines.append(repr(report))
    assert heard.leaks(MARK) == []


@pytest.mark.parametrize(
    "fault",
    [
        "no reply",
        "connection closed",
        "body one byte at a time",
        "HTML (502)",
        "JSON array",
        "invalid base64",
        "quota exceeded (429)",
    ],
)
def test_failing_upstash_logs_no_secret(heard: Recorder, fault: str) -> None:
    with short_timeouts(TIMEOUT), misbehaving(HTTP_FAULTS[fault][0]) as url:
        use_all(heard, url)
    assert "failed" in heard.text
    assert heard.leaks(MARK) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9",
        "http://mark-user:mark-password@127.0.0.1:9",
        "https://mark-user:mark/password@127.0.0.1:9",
        "https://mark-user:mark@password@x.upstash.io:port",
        "mark-user:mark-password@x.upstash.io",
        "rediss://mark-user:mark-password@x.upstash.io:6379",
        "http://[mark-user:mark-password@x",
    ],
)
def test_wrong_address_logs_no_secret(heard: Recorder, url: str) -> None:
    with short_timeouts(TIMEOUT):
        use_all(heard, url)
    assert heard.leaks(MARK) == []


def test_user_and_password_in_the_address_are_dropped(
    heard: Recorder, endpoint: UpstashEndpoint
) -> None:
    cache = UpstashRedisCache(UpstashStore(lambda: Credentials(with_user(endpoint.url), TOKEN)))
    cache.update(PROMPT, LLM, ANSWERS)
    assert cache.lookup(PROMPT, LLM) == ANSWERS
    assert heard.leaks(MARK) == []


def test_wrong_token_is_not_logged(heard: Recorder, upstash: UpstashEndpoint) -> None:
    use_all(heard, upstash.url)
    assert "WRONGPASS" in heard.text
    assert heard.leaks(MARK) == []


@contextmanager
def ssm(monkeypatch: pytest.MonkeyPatch, **values: str) -> Iterator[Any]:
    """Put parameters into the SSM of moto; yield its client."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        client = boto3.client("ssm")
        for name, value in values.items():
            client.put_parameter(Name=f"/cache/{name}", Value=value, Type="SecureString")
        yield client


def test_reading_ssm_logs_no_secret(
    monkeypatch: pytest.MonkeyPatch, endpoint: UpstashEndpoint, caplog: pytest.LogCaptureFixture
) -> None:
    # The ask function, which another test may have imported, raises this level.
    caplog.set_level(logging.NOTSET, "botocore")
    with (
        ssm(monkeypatch, url=with_user(endpoint.url), token=TOKEN) as client,
        recorded_output() as heard,
    ):
        settings = CacheConfig.from_env(NAMES)
        heard.lines.append(repr(settings))
        heard.run(lambda: fetch(settings, Signing))
        use(heard, UpstashRedisCache.from_env(NAMES))
        flush(heard, CacheNamespace.from_env(NAMES))
        assert "botocore" in heard.text
        assert heard.leaks(MARK) == []
        client.get_parameters(Names=["/cache/token"], WithDecryption=True)
        assert TOKEN in heard.text  # a user's own call is logged as usual


def test_missing_parameters_log_no_secret(heard: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    with ssm(monkeypatch):
        use(heard, UpstashRedisCache.from_env(NAMES))
    assert "SSM did not give" in heard.text
    assert heard.leaks(MARK) == []


DENIED = (400, {"__type": "Denied", "message": "mark-message"})


@pytest.mark.parametrize("environment", [Ssm.on_lambda, Ssm.under_snapstart])
@pytest.mark.parametrize("failure", [None, DENIED, (200, b"mark-page"), (500, {"mark-": "mark-"})])
def test_reading_ssm_on_lambda_logs_no_secret(
    heard: Recorder,
    endpoint: UpstashEndpoint,
    environment: property,
    failure: tuple[int, object] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving_ssm() as server:
        server.values = {"/cache/url": with_user(endpoint.url), "/cache/token": TOKEN}
        use_environment(environment.__get__(server), monkeypatch)
        server.failures = [failure] * 9 if failure else []
        use(heard, UpstashRedisCache.from_env(NAMES))
        flush(heard, CacheNamespace.from_env(NAMES))
    assert ("SSM did not give" in heard.text) is bool(failure)
    assert heard.leaks(MARK) == []


@pytest.mark.parametrize("token", [TOKEN, TOKEN + "-wrong"])
def test_command_line_prints_no_secret(
    heard: Recorder,
    endpoint: UpstashEndpoint,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", with_user(endpoint.url))
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", token)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "n")
    heard.lines.append(repr(CacheConfig.from_env()))
    for options in ([], ["--reclaim", "1"], ["--dry-run"], ["--tag", "x" * 1001]):
        main(["clear", *options])
    main(["reclaim"])
    assert MARK not in "".join(capfd.readouterr())
    assert heard.leaks(MARK) == []


@pytest.mark.parametrize(
    ("make", "fields"),
    [
        (CachePolicy, {"tenant": TENANT * 200}),
        (CachePolicy, {"tenant": [TENANT]}),
        (CachePolicy, {"salt": {"a": SALT}}),
        (CachePolicy, {"key": KEY * 200}),
        (CachePolicy, {"tags": TAG}),
        (CachePolicy, {"tags": [TAG] * 9}),
        (CachePolicy, {"tags": [TAG, TAG * 200]}),
        (CachePolicy.from_event, {"fields_of_event": {"tenant": TENANT}}),
        (CachePolicy.from_event, {"fields_of_event": {"question": PROMPT}}),
        (CachePolicy.from_event, {"fields_of_event": PROMPT}),
        (CachePolicy.from_event, {"fields_of_event": [{"tenant": TENANT}]}),
    ],
)
def test_error_names_the_field_without_its_value(
    heard: Recorder, make: Callable[..., object], fields: dict[str, Any]
) -> None:
    heard.run(lambda: make(**fields))
    assert "is not accepted" in heard.text
    assert heard.leaks(MARK) == []


def test_error_of_a_tag_or_a_context_does_not_show_it(heard: Recorder, redis: Redis) -> None:
    cache = UpstashRedisCache(redis, namespace="n")
    context: Any = {"question": PROMPT}
    heard.run(lambda: cache.clear(tag=TAG * 200))
    heard.run(lambda: cache.policy(context=context).__enter__())
    assert heard.text.count("is not accepted") >= 2
    assert heard.leaks(MARK) == []


def test_attribute_of_the_error_holds_the_refused_value() -> None:
    with pytest.raises(InvalidPolicy) as raised:
        CachePolicy(tenant=TENANT * 200)
    assert raised.value.value == TENANT * 200


def test_report_does_not_show_its_stale_answer(heard: Recorder, redis: Redis) -> None:
    now = [1000.0]
    cache = UpstashRedisCache(redis, clock=lambda: now[0])
    with cache.policy(CachePolicy(ttl=1, stale_if_error=600)) as report:
        cache.update(PROMPT, LLM, ANSWERS)
        now[0] += 60
        cache.lookup(PROMPT, LLM)
        assert report.stale_answer is not None
    heard.lines.append(repr(report))
    assert heard.leaks(MARK) == []
