"""Keys of signing and encryption from the environment, from SSM and from Secrets Manager."""

import json
import logging
import sys
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws
from moto.ssm.models import Parameter, ParameterDict
from tests.integration.entries.protected_cache import (
    ANSWER,
    NEW,
    OLD,
    Kind,
    outcome,
    store_answer,
)
from upstash_redis import Redis

from llm_cache import (
    CacheNamespace,
    CachePolicy,
    Encryption,
    InvalidSettings,
    Signing,
    UpstashRedisCache,
)
from llm_cache._cli.main import main
from llm_cache._upstash import credentials
from upstash_endpoint.endpoint import UpstashEndpoint

SIGNING_KEY, ENCRYPTION_KEY = "LLM_CACHE_SIGNING_KEY", "LLM_CACHE_ENCRYPTION_KEY"
KINDS: list[tuple[Kind, str]] = [(Signing, SIGNING_KEY), (Encryption, ENCRYPTION_KEY)]
kinds = pytest.mark.parametrize(("kind", "variable"), KINDS)
FROM_SSM = {
    "LLM_CACHE_URL_PARAMETER": "/cache/url",
    "LLM_CACHE_TOKEN_PARAMETER": "/cache/token",
    "LLM_CACHE_NAMESPACE": "shop",
}
SIGNED_FROM_SSM = {**FROM_SSM, f"{SIGNING_KEY}_PARAMETER": "/cache/key"}


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch, upstash: UpstashEndpoint) -> Iterator[None]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        put("/cache/url", upstash.url)
        put("/cache/token", upstash.token)
        yield


def put(name: str, value: str) -> None:
    client = boto3.client("ssm")
    client.put_parameter(Name=name, Value=value, Type="SecureString", Overwrite=True)


def environment(upstash: UpstashEndpoint, **more: str) -> dict[str, str]:
    located = {"UPSTASH_REDIS_REST_URL": upstash.url, "UPSTASH_REDIS_REST_TOKEN": upstash.token}
    return {**located, "LLM_CACHE_NAMESPACE": "shop", **more}


@kinds
async def test_key_of_the_environment_protects_even_an_update_without_a_lookup(
    kind: Kind, variable: str, upstash: UpstashEndpoint, redis: Redis
) -> None:
    environ = environment(upstash, **{variable: f"{NEW} {OLD}\n"})
    UpstashRedisCache.from_env(environ).update("p", "model", ANSWER)
    await UpstashRedisCache.from_env(environ).aupdate("q", "model", ANSWER)
    stored = [json.loads(redis.get(key) or "") for key in redis.keys("*:entry:*")]
    assert [("by" in fields) for fields in stored] == [True, True]
    cache = UpstashRedisCache(redis, namespace="shop", protection=kind(f"{NEW} {OLD}"))
    assert cache.lookup("p", "model") == cache.lookup("q", "model") == ANSWER


@kinds
async def test_key_of_ssm_is_read_on_first_use(
    kind: Kind, variable: str, ssm: None, redis: Redis
) -> None:
    environ = {**FROM_SSM, f"{variable}_PARAMETER": "/cache/key"}
    cache, other = (UpstashRedisCache.from_env(environ) for _ in range(2))
    put("/cache/key", NEW)
    assert await other.alookup("p", "model") is None
    assert store_answer(cache).startswith("shop:entry:")
    assert await other.alookup("p", "model") == ANSWER
    assert outcome(UpstashRedisCache(redis, namespace="shop", protection=kind(NEW))) == "hit"


def test_key_of_secrets_manager_is_read_through_ssm(
    ssm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ParameterDict._get_secretsmanager_parameter

    def named(parameters: ParameterDict, secret: str) -> list[Parameter]:
        found = read(parameters, secret)
        found[-1].name = f"/aws/reference/secretsmanager/{secret}"  # AWS keeps it, moto does not
        return found

    monkeypatch.setattr(ParameterDict, "_get_secretsmanager_parameter", named)
    boto3.client("secretsmanager").create_secret(Name="cache-key", SecretString=NEW)
    name = "/aws/reference/secretsmanager/cache-key"
    cache = UpstashRedisCache.from_env({**FROM_SSM, f"{SIGNING_KEY}_PARAMETER": name})
    store_answer(cache)
    assert outcome(cache) == "hit"


def test_one_ssm_request_reads_url_token_and_key(
    ssm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[list[str]] = []
    read = credentials._from_ssm

    def recorded(names: list[str]) -> dict[str, str]:
        requests.append(names)
        return read(names)

    monkeypatch.setattr(credentials, "_from_ssm", recorded)
    put("/cache/key", NEW)
    cache = UpstashRedisCache.from_env(SIGNED_FROM_SSM)
    assert requests == []
    store_answer(cache)
    assert outcome(cache) == "hit"
    assert requests == [["/cache/url", "/cache/token", "/cache/key"]]


def test_cache_without_its_key_neither_serves_nor_stores(
    ssm: None, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FIRST_RETRY", 0.0)
    cache = UpstashRedisCache.from_env({**FROM_SSM, f"{ENCRYPTION_KEY}_PARAMETER": "/none"})
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert redis.keys("*") == []
    assert [outcome.status for outcome in report.outcomes] == ["error", "skipped"]
    assert "/none" in report.outcomes[0].detail
    assert {outcome.key for outcome in report.outcomes} == {""}  # unknown without the key
    put("/none", NEW)
    store_answer(cache)
    assert outcome(cache) == "hit"


def test_invalid_key_of_ssm_is_refused_by_name_without_its_value(
    ssm: None, caplog: pytest.LogCaptureFixture, redis: Redis
) -> None:
    invalid = NEW[:-3]
    put("/cache/key", invalid)
    cache = UpstashRedisCache.from_env(SIGNED_FROM_SSM)
    with caplog.at_level(logging.DEBUG, "llm_cache"), cache.policy() as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert f"{SIGNING_KEY}_PARAMETER (/cache/key)='…'" in report.outcomes[0].detail
    assert redis.keys("*") == []
    for tag in (None, "red"):
        for clearing in (CacheNamespace.from_env(SIGNED_FROM_SSM), cache):
            with pytest.raises(InvalidSettings, match="/cache/key") as raised:
                clearing.clear(tag=tag)
            assert invalid not in str(raised.value)
    assert invalid not in f"{report} {caplog.text}"


def test_empty_variable_means_no_protection(upstash: UpstashEndpoint, redis: Redis) -> None:
    empty = {f"{name}{end}": "" for _, name in KINDS for end in ("", "_PARAMETER")}
    cache = UpstashRedisCache.from_env(environment(upstash, **empty))
    stored = json.loads(redis.get(store_answer(cache)) or "")
    assert [*stored] == ["v", "epochs", "asked", "created", "ttl", "codec", "answer"]


@pytest.mark.parametrize(("end", "value"), [("", NEW), ("_PARAMETER", "/key")])
def test_from_env_refuses_encryption_without_its_package(
    upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch, end: str, value: str
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    with pytest.raises(InvalidSettings, match="the package cryptography is missing"):
        UpstashRedisCache.from_env(environment(upstash, **{f"{ENCRYPTION_KEY}{end}": value}))


@kinds
def test_command_line_clears_a_tag_of_a_protected_cache_without_cryptography(
    kind: Kind,
    variable: str,
    upstash: UpstashEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = environment(upstash, **{variable: NEW})
    cache = UpstashRedisCache.from_env(environ)
    store_answer(cache, policy=CachePolicy(tags=("red",)))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    assert main(["clear", "--tag", "red", "--reclaim", "5"]) == 0
    assert capsys.readouterr().out == "cleared tag red of shop; reclaimed 1 of 1 entries\n"
    assert outcome(cache) == "unknown"


@pytest.mark.parametrize("variable", [SIGNING_KEY, ENCRYPTION_KEY])
async def test_new_cache_clears_a_tag_and_deletes_without_a_lookup(
    variable: str, upstash: UpstashEndpoint
) -> None:
    environ = environment(upstash, **{variable: NEW})
    cache, clearing, deleting = (UpstashRedisCache.from_env(environ) for _ in range(3))
    store_answer(cache, policy=CachePolicy(tags=("red",)))
    await clearing.aclear(tag="red")
    assert outcome(cache) == "cleared"
    store_answer(cache)
    assert await deleting.adelete("p", "model")


def test_bypass_reads_no_key() -> None:
    cache = UpstashRedisCache.from_env(SIGNED_FROM_SSM)
    with cache.policy(CachePolicy(mode="bypass")) as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert [(outcome.why, outcome.detail) for outcome in report.outcomes] == [("mode", "bypass")]


def test_keys_are_read_again_after_a_disconnect(upstash: UpstashEndpoint) -> None:
    cache = UpstashRedisCache.from_env(environment(upstash, **{SIGNING_KEY: NEW}))
    store_answer(cache)
    cache._runner.store.disconnect()
    assert cache._runner.store._credentials.known is None
    assert outcome(cache) == "hit"
