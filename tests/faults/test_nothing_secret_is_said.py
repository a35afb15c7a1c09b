"""No secret and no content is in a log line, an error, a representation or the output."""

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import boto3
import pytest
from langchain_core.outputs import Generation
from moto import mock_aws
from tests.faults import servers
from tests.faults.proxy import misbehaving
from tests.faults.test_upstash_fails import FAULTS
from tests.faults.wire import WIRE
from tests.faults.witness import Witness, witness
from tests.integration.upstash.ssm import Ssm
from tests.integration.upstash.ssm import serving as serving_ssm
from tests.integration.upstash.ssm import use as use_environment
from upstash_redis import Redis

from llm_cache import (
    Breaker,
    CacheNamespace,
    CachePolicy,
    InvalidPolicy,
    MemoryTier,
    Settings,
    Status,
    UpstashRedisCache,
)
from llm_cache._admin.cli import main
from llm_cache._entries.protection import Signing
from llm_cache._upstash.credentials import Credentials, fetch
from llm_cache._upstash.store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

TOKEN, USER, PASSWORD = "mark-token", "mark-user", "mark-password"
PROMPT, ANSWER, LLM = "mark-prompt", "mark-answer", "mark-model"
TENANT, SALT, TAG, KEY = "mark-tenant", "mark-salt", "mark-tag", "mark-key"
MARK = "mark-"
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
def heard() -> Iterator[Witness]:
    with witness() as listening:
        yield listening


@pytest.fixture(scope="module")
def endpoint(redis_server: RedisServer) -> Iterator[UpstashEndpoint]:
    with UpstashEndpoint.start(redis_server, token=TOKEN) as started:
        yield started


def with_user(url: str) -> str:
    return url.replace("//", f"//{USER}:{PASSWORD}@")


def use(heard: Witness, cache: UpstashRedisCache) -> None:
    """Do all there is to do with a cache, in each way there is to do it."""
    for policy in POLICIES:
        with cache.policy(policy) as report:
            heard.hear(lambda: cache.lookup(PROMPT, LLM))
            heard.hear(lambda: cache.update(PROMPT, LLM, ANSWERS))
            heard.hear(lambda: cache.alookup(PROMPT + "2", LLM))
            heard.hear(lambda: cache.aupdate(PROMPT + "2", LLM, ANSWERS))
        heard.said += [repr(report), repr(policy), repr(cache)]
    with cache.policy(POLICY):
        heard.hear(lambda: cache.delete(PROMPT, LLM))
        heard.hear(lambda: cache.adelete(PROMPT, LLM))
    heard.hear(lambda: cache.clear(tag=TAG))
    heard.hear(lambda: cache.aclear(tag=TAG))
    heard.hear(cache.clear)
    heard.hear(cache.aclear)


def flush(heard: Witness, namespace: CacheNamespace) -> None:
    heard.hear(lambda: namespace.clear(TAG))
    heard.hear(lambda: heard.said.append(repr(namespace.preview(TAG, seconds=0))))
    heard.hear(lambda: heard.said.append(repr(namespace.reclaim(seconds=0))))
    heard.said.append(repr(namespace))


def tell_all(heard: Witness, url: str, token: str = TOKEN) -> None:
    heard.hear(lambda: heard.said.append(repr(Credentials(url, token))))
    stores = [UpstashStore(lambda: Credentials(url, token)) for _ in range(2)]
    use(heard, UpstashRedisCache(stores[0], namespace="n", timeout=0.2, breaker=Breaker()))
    flush(heard, CacheNamespace(stores[1], "n"))


def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_cache._engine.core.CLEAR_TIMEOUT", 0.2)
    monkeypatch.setattr("llm_cache._admin.namespace.COMMAND_TIMEOUT", 0.2)


def test_nothing_is_said_when_all_goes_well(heard: Witness, endpoint: UpstashEndpoint) -> None:
    tell_all(heard, endpoint.url)
    cache = UpstashRedisCache(Redis(endpoint.url, TOKEN), memory=MemoryTier(seconds=9))
    use(heard, cache)
    use(heard, cache)
    assert "asyncio" in heard.text  # it hears what is logged for debugging
    assert heard.leaks(MARK) == []


def test_an_error_of_upstash_that_repeats_an_answer_does_not_say_it(heard: Witness) -> None:
    with servers.serving(servers.repeating) as url:
        cache = UpstashRedisCache(UpstashStore(lambda: Credentials(url, TOKEN)), namespace="n")
        with cache.policy() as report:
            cache.lookup(PROMPT, LLM)
            cache.update(PROMPT, LLM, ANSWERS)
        update = ("SET", "n:entry:1", f'{{"answer": "{ANSWER}"}}')
        heard.hear(lambda: cache._store.execute(update, 1))
        heard.hear(lambda: cache._store.aexecute(update, 1))
    assert [outcome.detail for outcome in report.having(Status.ERROR)] == ["ERR not accepted:"]
    heard.said.append(repr(report))
    assert heard.leaks(MARK) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_said_when_upstash_fails(
    heard: Witness, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    with misbehaving(WIRE[fault]) as url:
        tell_all(heard, url)
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
def test_nothing_is_said_of_a_wrong_address(
    heard: Witness, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    tell_all(heard, url)
    assert heard.leaks(MARK) == []


def test_user_and_password_in_the_address_are_left_out(
    heard: Witness, endpoint: UpstashEndpoint
) -> None:
    store = UpstashStore(lambda: Credentials(with_user(endpoint.url), TOKEN))
    cache = UpstashRedisCache(store)
    cache.update(PROMPT, LLM, ANSWERS)
    assert cache.lookup(PROMPT, LLM) == ANSWERS
    assert heard.leaks(MARK) == []


def test_nothing_is_said_with_a_wrong_token(heard: Witness, upstash: UpstashEndpoint) -> None:
    tell_all(heard, upstash.url)
    assert "WRONGPASS" in heard.text
    assert heard.leaks(MARK) == []


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def put(**values: str) -> None:
        for name, value in values.items():
            boto3.client("ssm").put_parameter(
                Name=f"/cache/{name}", Value=value, Type="SecureString"
            )

    with mock_aws():
        yield put


def test_nothing_is_said_while_ssm_is_read(
    ssm: Callable[..., None], endpoint: UpstashEndpoint, request: pytest.FixtureRequest
) -> None:
    # The ask function, which another test may have imported, has it say less.
    botocore = logging.getLogger("botocore")
    request.addfinalizer(partial(botocore.setLevel, botocore.level))
    botocore.setLevel(logging.NOTSET)
    ssm(url=with_user(endpoint.url), token=TOKEN)
    with witness() as heard:
        settings = Settings.from_env(NAMES)
        heard.said.append(repr(settings))
        heard.hear(lambda: fetch(settings, Signing))
        use(heard, UpstashRedisCache.from_env(NAMES))
        flush(heard, CacheNamespace.from_env(NAMES))
        assert "botocore" in heard.text
        assert heard.leaks(MARK) == []
        boto3.client("ssm").get_parameters(Names=["/cache/token"], WithDecryption=True)
        assert TOKEN in heard.text  # what the user's own calls log is the user's


SNAPSTART, DENIED = Ssm.under_snapstart, (400, {"__type": "Denied", "message": "mark-message"})


@pytest.mark.parametrize("environment", [Ssm.on_lambda, SNAPSTART])
@pytest.mark.parametrize("failure", [None, DENIED, (200, b"mark-page"), (500, {"mark-": "mark-"})])
def test_nothing_is_said_while_ssm_is_read_on_lambda(
    heard: Witness,
    endpoint: UpstashEndpoint,
    environment: property,
    failure: tuple[int, object] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving_ssm() as ssm:
        ssm.values = {"/cache/url": with_user(endpoint.url), "/cache/token": TOKEN}
        use_environment(environment.__get__(ssm), monkeypatch)
        ssm.failures = [failure] * 9 if failure else []
        use(heard, UpstashRedisCache.from_env(NAMES))
        flush(heard, CacheNamespace.from_env(NAMES))
    assert ("SSM did not give" in heard.text) is bool(failure)
    assert heard.leaks(MARK) == []


def test_nothing_is_said_when_ssm_has_nothing(heard: Witness, ssm: Callable[..., None]) -> None:
    use(heard, UpstashRedisCache.from_env(NAMES))
    assert "SSM did not give" in heard.text
    assert heard.leaks(MARK) == []


@pytest.fixture
def environment(endpoint: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", with_user(endpoint.url))
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", TOKEN)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "n")


@pytest.mark.parametrize("token", [TOKEN, TOKEN + "-wrong"])
def test_the_command_line_says_nothing_secret(
    heard: Witness,
    environment: None,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", token)
    heard.said.append(repr(Settings.from_env()))
    for options in ([], ["--reclaim", "1"], ["--dry-run"], ["--tag", "x" * 1001]):
        main(["clear", *options])
    main(["reclaim"])
    out, err = capfd.readouterr()
    assert MARK not in heard.text + out + err


WRONG: list[tuple[Callable[..., object], dict[str, Any]]] = [
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
]


@pytest.mark.parametrize(("make", "fields"), WRONG)
def test_an_error_names_the_field_and_not_what_was_in_it(
    heard: Witness, make: Callable[..., object], fields: dict[str, Any]
) -> None:
    heard.hear(lambda: make(**fields))
    assert "is not accepted" in heard.text
    assert heard.leaks(MARK) == []


def test_an_error_of_a_tag_or_a_context_does_not_show_it(heard: Witness, redis: Redis) -> None:
    cache = UpstashRedisCache(redis, namespace="n")
    context: Any = {"question": PROMPT}
    heard.hear(lambda: cache.clear(tag=TAG * 200))
    heard.hear(lambda: cache.policy(context=context).__enter__())
    assert heard.text.count("is not accepted") >= 2
    assert heard.leaks(MARK) == []


def test_the_value_is_there_for_who_asks_for_it() -> None:
    with pytest.raises(InvalidPolicy) as raised:
        CachePolicy(tenant=TENANT * 200)
    assert raised.value.value == TENANT * 200


def test_a_report_does_not_show_the_answer_it_spares(heard: Witness, redis: Redis) -> None:
    now = [1000.0]
    cache = UpstashRedisCache(redis, clock=lambda: now[0])
    with ExitStack() as stack:
        report = stack.enter_context(cache.policy(CachePolicy(ttl=1, stale_if_error=600)))
        cache.update(PROMPT, LLM, ANSWERS)
        now[0] += 60
        cache.lookup(PROMPT, LLM)
    assert report.stale_answer is not None
    assert MARK not in repr(report)
