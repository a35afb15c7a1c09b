"""An invalid address or token is refused by its name, and its value is not shown."""

from collections.abc import Callable, Iterator

import pytest
from upstash_redis import Redis

from llm_cache import (
    CacheConfig,
    CacheNamespace,
    InvalidSettings,
    ResponseCache,
    Signing,
    StoreUnavailable,
    UpstashRedisCache,
)
from llm_cache._upstash.credentials import Credentials, fetch

URL, TOKEN = "https://x.upstash.io", "token"
MARK = "mark"
WRONG_TOKENS = [
    "mark\ntoken", "mark\r\nHost: evil", "mark\ttoken", "mark token", "mark\x00token", "mark\x7f",
    "markß", "mark\u2028token", "mark\u200b", "mark\ud800", "Bearer mark",
]  # fmt: skip
WRONG_URLS = [
    "rediss://default:mark@mark.upstash.io:6379", "redis://mark.upstash.io", "mark.upstash.io",
    "//mark.upstash.io", "ftp://mark.upstash.io", "https://", "https:// mark.upstash.io",
    "https://mark\n.upstash.io", "https://mark.upstash.io/a path", "https://mark.upstash.io\x00",
    "https://märk.upstash.io/mark", "https://mark.upstash.io:port", "https://mark.upstash.io:65536",
    "https://mark..upstash.io", "http://[mark", "https://mark?token=mark",
]  # fmt: skip
RIGHT_URLS = [
    "http://127.0.0.1:8080", "http://localhost", "https://eu1-x-12345.upstash.io",
    "HTTPS://X.UPSTASH.IO", "https://[::1]:8079", "https://proxy.example/upstash/db1",
    "http://my_service.internal.:80",
]  # fmt: skip
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
    """Return the error, its causes and its contexts."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def assert_refused(source: str, url: str, token: str, name: str, accepted: str) -> None:
    """Assert that neither the error nor its causes show a mark."""
    with pytest.raises(InvalidSettings) as raised:
        SOURCES[source](url, token)
    for error in chain(raised.value):
        assert MARK not in f"{error} {error!r} {error.args!r} {vars(error)!r}"
    assert name in raised.value.name.lower()
    assert accepted in raised.value.accepted


@sources
@pytest.mark.parametrize("token", WRONG_TOKENS, ids=ascii)
def test_token_that_cannot_be_sent_is_refused_and_not_shown(source: str, token: str) -> None:
    assert_refused(source, URL, token, "token", "visible ASCII characters")


@sources
@pytest.mark.parametrize("url", WRONG_URLS, ids=ascii)
def test_address_that_is_no_rest_url_is_refused_and_not_shown(source: str, url: str) -> None:
    assert_refused(source, url, TOKEN, "url", "begins with https://")


@sources
def test_whitespace_around_url_and_token_is_accepted(source: str) -> None:
    SOURCES[source](f" {URL}/ \n", f"\t{TOKEN}\r\n")


def test_credentials_have_no_whitespace_and_a_repr_without_the_token() -> None:
    found = Credentials(f" {URL}/ \n", f"\t{TOKEN}\r\n")
    assert (found.url, found.token) == (URL, TOKEN)
    assert TOKEN not in repr(found).replace("token=", "")


def test_credentials_with_another_protection_are_equal() -> None:
    assert Credentials(URL, TOKEN, "one") == Credentials(URL, TOKEN, "another")
    assert Credentials(URL, TOKEN) != Credentials(URL, "other")


@pytest.mark.parametrize("url", RIGHT_URLS)
def test_address_of_a_rest_endpoint_is_accepted(url: str) -> None:
    assert Credentials(url, TOKEN).url == url


def test_environment_value_that_an_ssm_parameter_replaces_is_not_checked() -> None:
    ssm = {"LLM_CACHE_URL_PARAMETER": "/url", "LLM_CACHE_TOKEN_PARAMETER": "/token"}
    UpstashRedisCache.from_env({**environment("unused", "not used"), **ssm})


def test_empty_token_is_reported_as_missing() -> None:
    settings = CacheConfig(namespace="n", url=URL, token="")
    with pytest.raises(StoreUnavailable, match="no URL or no token"):
        fetch(settings, Signing)
