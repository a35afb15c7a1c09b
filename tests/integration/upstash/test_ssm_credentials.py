"""Credentials that boto3 reads from SSM on first use."""

import asyncio
import sys
from collections.abc import Callable

import pytest
from botocore.config import Config
from langchain_core.outputs import Generation
from tests.integration.upstash.conftest import PutParameter

from llm_cache import (
    CacheNamespace,
    InvalidSettings,
    Reason,
    UpstashRedisCache,
)
from llm_cache._upstash import credentials
from upstash_endpoint.endpoint import UpstashEndpoint

IN_SSM = {
    "LLM_CACHE_URL_PARAMETER": "/cache/url",
    "LLM_CACHE_TOKEN_PARAMETER": "/cache/token",
    "LLM_CACHE_NAMESPACE": "ssm",
}
URL, TOKEN = "https://x.upstash.io", "token"
ANSWER = [Generation(text="answer")]
LONGEST = 10.0  # seconds that SSM may take in all, with its one retry


def put(put_parameter: PutParameter, url: str, token: str) -> None:
    put_parameter("/cache/url", url)
    put_parameter("/cache/token", token)


def test_one_bounded_call_of_ssm_reads_url_and_token_on_first_use(
    put_parameter: PutParameter,
    upstash: UpstashEndpoint,
    ssm_reads: list[tuple[str, Config]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG", logger="botocore.parsers")
    cache = UpstashRedisCache.from_env(IN_SSM)
    put(put_parameter, upstash.url + "/ \n", upstash.token)  # pasted with a slash and whitespace
    assert cache.lookup("p", "model") is None
    cache.update("p", "model", ANSWER)
    assert cache.lookup("p", "model") == ANSWER
    assert upstash.token not in "".join(caplog.messages)
    ((operation, config),) = ssm_reads
    assert operation == "GetParameters"  # the one action that the template allows
    tries = config.retries["total_max_attempts"]
    assert tries * (config.connect_timeout + config.read_timeout) <= LONGEST


def test_missing_parameters_make_lookups_misses_until_they_are_put(
    put_parameter: PutParameter, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FIRST_RETRY", 0.0)
    cache = UpstashRedisCache.from_env(IN_SSM)
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
    assert report.errors == 1
    assert "/cache/url" in report.outcomes[0].detail
    put(put_parameter, upstash.url, upstash.token)
    cache.update("p", "model", ANSWER)  # not stored, because its lookup failed
    assert cache.lookup("p", "model") is None
    cache.update("p", "model", ANSWER)
    assert cache.lookup("p", "model") == ANSWER


@pytest.mark.parametrize(
    ("url", "token", "name"),
    [
        ("rediss://mark.upstash.io:6379", TOKEN, "LLM_CACHE_URL_PARAMETER (/cache/url)"),
        (URL, "mark token", "LLM_CACHE_TOKEN_PARAMETER (/cache/token)"),
    ],
)
def test_invalid_value_in_ssm_is_named_by_its_parameter_and_not_shown(
    put_parameter: PutParameter, url: str, token: str, name: str
) -> None:
    put(put_parameter, url, token)
    cache, namespace = UpstashRedisCache.from_env(IN_SSM), CacheNamespace.from_env(IN_SSM)
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
    (outcome,) = report.outcomes
    assert (outcome.why, outcome.detail.startswith(f"{name}='…'")) == (Reason.INVALID, True)
    assert "mark" not in outcome.detail
    aclear: Callable[[], object] = lambda: asyncio.run(cache.aclear())  # noqa: E731
    for clear in (cache.clear, aclear, namespace.clear):
        with pytest.raises(InvalidSettings) as raised:
            clear()
        assert raised.value.name == name
        assert "mark" not in repr(raised.value)


def test_missing_boto3_names_the_package_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.config", None)
    cache = UpstashRedisCache.from_env(IN_SSM)
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
    assert [outcome.why for outcome in report.outcomes] == [Reason.INVALID]
    with pytest.raises(InvalidSettings, match=r"boto3 is missing: pip install .*\[aws\]"):
        cache.clear()
