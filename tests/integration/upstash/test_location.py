"""An address or a token that cannot be one is refused by its name, and nowhere shown."""

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator

import boto3
import pytest
from moto import mock_aws
from upstash_redis import Redis

from llm_cache import (
    CacheConfig,
    CacheNamespace,
    InvalidSettings,
    Reason,
    ResponseCache,
    StoreError,
    UpstashRedisCache,
)
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

URL, TOKEN = "https://x.upstash.io", "token"
MARK = "mark"
WRONG_TOKENS = [
    "mark\ntoken",
    "mark\r\nHost: evil",
    "mark\ttoken",
    "mark token",
    "mark\x00token",
    "mark\x7f",
    "markß",
    "mark\u2028token",
    "mark\u200b",
    "mark\ud800",
    "Bearer mark",
]
WRONG_URLS = [
    "rediss://default:mark@mark.upstash.io:6379",
    "redis://mark.upstash.io",
    "mark.upstash.io",
    "//mark.upstash.io",
    "ftp://mark.upstash.io",
    "https://",
    "https:// mark.upstash.io",
    "https://mark\n.upstash.io",
    "https://mark.upstash.io/a path",
    "https://mark.upstash.io\x00",
    "https://märk.upstash.io/mark",
    "https://mark.upstash.io:port",
    "https://mark.upstash.io:65536",
    "https://mark..upstash.io",
    "http://[mark",
    "https://mark?token=mark",
]
SOURCES: dict[str, Callable[[str, str], object]] = {
    "client": lambda url, token: UpstashRedisCache(Redis(url, token)),
    "client of responses": lambda url, token: ResponseCache(Redis(url, token), version="1"),
    "environment": lambda url, token: UpstashRedisCache.from_env(environment(url, token)),
    "settings": lambda url, token: CacheConfig.from_env(environment(url, token)),
    "namespace": lambda url, token: CacheNamespace.from_env(environment(url, token)),
    "credentials": Credentials,
}
sources = pytest.mark.parametrize("source", SOURCES)


def environment(url: str, token: str) -> dict[str, str]:
    return {
        "UPSTASH_REDIS_REST_URL": url,
        "UPSTASH_REDIS_REST_TOKEN": token,
        "LLM_CACHE_NAMESPACE": "n",
    }


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, its causes and its contexts."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def refusal(make: Callable[[], object]) -> InvalidSettings:
    """Return the error of a call, which must show no mark, in whatever it was raised from."""
    with pytest.raises(InvalidSettings) as raised:
        make()
    for error in chain(raised.value):
        assert MARK not in f"{error} {error!r} {error.args!r} {vars(error)!r}"
    return raised.value


@sources
@pytest.mark.parametrize("token", WRONG_TOKENS, ids=ascii)
def test_token_that_cannot_be_sent_is_refused_unseen(source: str, token: str) -> None:
    error = refusal(lambda: SOURCES[source](URL, token))
    assert "token" in error.name.lower()
    assert "visible ASCII characters" in error.accepted


@sources
@pytest.mark.parametrize("url", WRONG_URLS, ids=ascii)
def test_address_that_is_no_rest_url_is_refused_unseen(source: str, url: str) -> None:
    error = refusal(lambda: SOURCES[source](url, TOKEN))
    assert "url" in error.name.lower()
    assert "begins with https://" in error.accepted


@sources
def test_blanks_around_url_and_token_are_stripped(source: str) -> None:
    SOURCES[source](f" {URL}/ \n", f"\t{TOKEN}\r\n")


def test_credentials_hold_url_and_token_without_blanks() -> None:
    found = Credentials(f" {URL}/ \n", f"\t{TOKEN}\r\n")
    assert (found.url, found.token) == (URL, TOKEN)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8080",
        "http://localhost",
        "https://eu1-x-12345.upstash.io",
        "HTTPS://X.UPSTASH.IO",
        "https://[::1]:8079",
        "https://proxy.example/upstash/db1",
        "http://my_service.internal.:80",
    ],
)
def test_address_of_a_rest_endpoint_is_accepted(url: str) -> None:
    assert Credentials(url, TOKEN).url == url


def test_value_of_the_environment_that_ssm_replaces_is_not_checked() -> None:
    ssm = {"LLM_CACHE_URL_PARAMETER": "/url", "LLM_CACHE_TOKEN_PARAMETER": "/token"}
    UpstashRedisCache.from_env({**environment("unused", "not used"), **ssm})


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    def put(url: str, token: str) -> None:
        client = boto3.client("ssm")
        for name, value in (("/cache/url", url), ("/cache/token", token)):
            client.put_parameter(Name=name, Value=value, Type="SecureString")

    with mock_aws():
        yield put


IN_SSM = {
    "LLM_CACHE_URL_PARAMETER": "/cache/url",
    "LLM_CACHE_TOKEN_PARAMETER": "/cache/token",
    "LLM_CACHE_NAMESPACE": "n",
}


@pytest.mark.parametrize(
    ("url", "token", "named"),
    [
        ("rediss://mark.upstash.io:6379", TOKEN, "LLM_CACHE_URL_PARAMETER (/cache/url)"),
        ("mark.upstash.io", TOKEN, "LLM_CACHE_URL_PARAMETER (/cache/url)"),
        (URL, "mark\ntoken", "LLM_CACHE_TOKEN_PARAMETER (/cache/token)"),
        (URL, "mark token", "LLM_CACHE_TOKEN_PARAMETER (/cache/token)"),
    ],
)
def test_wrong_value_in_ssm_is_named_by_its_parameter(
    ssm: Callable[[str, str], None], url: str, token: str, named: str
) -> None:
    ssm(url, token)
    cache, namespace = UpstashRedisCache.from_env(IN_SSM), CacheNamespace.from_env(IN_SSM)
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
    (outcome,) = report.outcomes
    assert (outcome.why, outcome.detail.startswith(f"{named}='…'")) == (Reason.INVALID, True)
    assert MARK not in outcome.detail
    calls = (cache.clear, lambda: asyncio.run(cache.aclear()), namespace.clear)
    assert [refusal(call).name for call in calls] == [named] * 3


def test_ssm_without_boto3_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.config", None)
    cache = UpstashRedisCache.from_env(IN_SSM)
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
    (outcome,) = report.outcomes
    assert outcome.why is Reason.INVALID
    with pytest.raises(InvalidSettings, match=r"boto3 is missing: pip install .*\[aws\]"):
        cache.clear()


def unlocatable() -> Credentials:
    raise KeyError("mark")


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("SET", "k", b"mark"), r"text and numbers only \(TypeError\)"),
        (("SET", "k", {"mark"}), r"text and numbers only \(TypeError\)"),
        (("SET", "k", "mark \ud800"), r"lone surrogates.*\(UnicodeEncodeError\)"),
        (("SET", "k", float("nan")), r"no fault of Upstash.*\(ValueError\)"),
    ],
    ids=ascii,
)
def test_command_that_cannot_be_sent_is_no_answer_of_upstash(
    upstash: UpstashEndpoint, command: tuple[str, ...], told: str
) -> None:
    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    store.execute(("PING",), 5)  # its reply is not that of the next command
    for send in (store.execute, lambda *step: asyncio.run(store.aexecute(*step))):
        with pytest.raises(StoreError, match=told) as raised:
            send(command, 5)
        assert raised.value.reason is Reason.INTERNAL
        assert MARK not in str(raised.value)


def test_thread_that_cannot_be_started_is_no_answer_of_upstash(
    upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    monkeypatch.setattr("threading.Thread.start", refused)
    with pytest.raises(StoreError, match=r"shutting down.*\(RuntimeError\)") as raised:
        store.execute(("PING",), 5)
    assert raised.value.reason is Reason.INTERNAL


def test_bug_before_a_request_is_no_answer_of_upstash() -> None:
    with pytest.raises(StoreError, match=r"report a bug \(KeyError\)") as raised:
        UpstashStore(unlocatable).execute(("PING",), 5)
    assert (raised.value.reason, MARK in str(raised.value)) == (Reason.INTERNAL, False)
