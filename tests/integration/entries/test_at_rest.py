"""Protected entries in a real server: what is served, what is not, and what can be read there."""

import base64
import hashlib
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.outputs import Generation
from moto import mock_aws
from moto.ssm.models import Parameter, ParameterDict
from tests.integration.protected_request import protected_request
from tests.wait_log import logged_waits
from upstash_redis import Redis

from llm_cache import (
    CacheConfig,
    CacheNamespace,
    CachePolicy,
    Encryption,
    InvalidSettings,
    MemoryTier,
    Signing,
    UpstashRedisCache,
)
from llm_cache._admin.cli import main
from llm_cache._entries.keys import digest, tag_hash
from llm_cache._entries.protection import Protection
from llm_cache._protocol.effects import CommandArgs
from llm_cache._upstash import credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

NEW, OLD = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))
ANSWER = [Generation(text="an answer with a marker")]
LONG = [Generation(text="an answer with a marker " * 500)]
KINDS: list[Callable[[str], Protection]] = [Signing, Encryption]
kinds = pytest.mark.parametrize("kind", KINDS)

Making = Callable[..., UpstashRedisCache]


@pytest.fixture(params=KINDS)
def make(redis: Redis, request: pytest.FixtureRequest) -> Making:
    def protected(keys: str = NEW, namespace: str = "shop", **options: Any) -> UpstashRedisCache:
        return UpstashRedisCache(
            redis, namespace=namespace, protection=request.param(keys), **options
        )

    return protected


def keep(
    cache: UpstashRedisCache, answer: list[Generation] = ANSWER, policy: CachePolicy | None = None
) -> str:
    """Store as LangChain does; return the key in Redis."""
    with cache.policy(policy) as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", answer)
    assert report.stored == 1
    return report.outcomes[-1].key


def told(cache: UpstashRedisCache, policy: CachePolicy | None = None) -> str:
    """Look up; return ``hit``, or why there was none."""
    with cache.policy(policy) as report:
        cache.lookup("p", "model")
    return report.outcomes[0].why or str(report.outcomes[0].status)


@pytest.mark.parametrize("answer", [ANSWER, LONG])
@pytest.mark.parametrize("policy", [None, CachePolicy(tags=("red", "blue"), tenant="acme")])
def test_a_protectioned_answer_comes_back(
    make: Making, answer: list[Generation], policy: CachePolicy | None
) -> None:
    cache = make()
    keep(cache, answer, policy)
    with cache.policy(policy):
        assert cache.lookup("p", "model") == answer
    with make().policy(policy):
        assert make().lookup("p", "model") == answer


async def test_a_protectioned_answer_comes_back_asynchronously(make: Making) -> None:
    cache = make()
    await cache.aupdate("p", "model", ANSWER)
    assert await cache.alookup("p", "model") == ANSWER


def test_a_hit_a_miss_and_a_store_are_one_command_each(
    make: Making, upstash: UpstashEndpoint
) -> None:
    cache = make()
    keep(cache)
    upstash.meter.reset()
    assert told(cache) == "hit"
    assert upstash.meter.read().commands == 1


def moved(redis: Redis, source: str, target: str) -> None:
    redis.set(target, redis.get(source) or "")


def test_an_altered_answer_is_forged_and_is_deleted(make: Making, redis: Redis) -> None:
    cache = make()
    key = keep(cache)
    redis.set(key, (redis.get(key) or "").replace('"ttl":', '"ttl":1'))
    assert told(cache) == "forged"
    assert redis.exists(key) == 0
    keep(cache)
    assert told(cache) == "hit"


def test_who_only_reads_deletes_no_forgery(make: Making, redis: Redis) -> None:
    cache = make()
    key = keep(cache)
    redis.set(key, (redis.get(key) or "").replace('"ttl":', '"ttl":1'))
    assert told(cache, CachePolicy(mode="read_only")) == "forged"
    assert redis.exists(key) == 1


@pytest.mark.parametrize(
    "other",
    [
        CachePolicy(tenant="b"),
        CachePolicy(salt="b"),
        CachePolicy(namespace="shop2"),
        CachePolicy(key="b"),
    ],
)
def test_an_answer_copied_to_another_key_is_forged(
    make: Making, redis: Redis, other: CachePolicy
) -> None:
    cache = make()
    theirs, mine = keep(cache, policy=other), keep(cache)
    assert theirs != mine
    redis.copy("shop:epoch", "shop2:epoch", replace=True)
    moved(redis, mine, theirs)
    assert told(cache, other) == "forged"
    assert told(cache) == "hit"


def test_an_answer_that_nobody_has_protectioned_is_forged(make: Making, redis: Redis) -> None:
    plain, cache = UpstashRedisCache(redis, namespace="shop"), make()
    moved(redis, keep(plain), keep(cache))
    assert told(cache) == "forged"


def test_rubbish_is_unreadable_and_not_forged(make: Making, redis: Redis) -> None:
    cache = make()
    redis.set(keep(cache), "rubbish")
    assert told(cache) == "unreadable"


def test_a_cleared_answer_can_be_made_current_again_by_who_writes_the_database(
    make: Making, redis: Redis
) -> None:
    cache = make()
    keep(cache)
    epoch = redis.get("shop:epoch") or ""
    cache.clear()
    assert told(cache) == "cleared"
    redis.set("shop:epoch", epoch)  # all that a forger is left with, within the TTL that is signed
    assert told(cache) == "hit"


def test_without_the_protection_a_protectioned_cache_is_another(make: Making, redis: Redis) -> None:
    keep(make())
    assert told(UpstashRedisCache(redis, namespace="shop")) == "unknown"


def test_keys_are_rotated_without_losing_an_answer(make: Making) -> None:
    old, both, after = make(OLD), make(f"{NEW} {OLD}"), make(f"{NEW} names:{OLD}")
    key = keep(old)
    assert told(both) == "hit"
    with both.policy(CachePolicy(mode="refresh")):
        both.update("p", "model", ANSWER)
    assert told(after) == told(both) == "hit"
    assert told(old) == "unreadable"  # an environment that has only the old key: a miss
    assert keep(both) == key


def test_an_answer_under_a_key_that_is_gone_is_a_miss(make: Making) -> None:
    keep(make(OLD))
    assert told(make(f"{NEW} names:{OLD}")) == "unreadable"


def test_another_key_alone_is_a_cold_cache(make: Making) -> None:
    keep(make(OLD))
    assert told(make(NEW)) == "unknown"


def test_a_clear_of_a_tag_reaches_what_was_stored_before_and_after_a_rotation(
    make: Making, redis: Redis
) -> None:
    tagged = CachePolicy(tags=("red",))
    old, both = make(OLD), make(f"{NEW} {OLD}")
    keep(old, policy=tagged)
    make(f"{NEW} names:{OLD}").clear(tag="red")
    assert told(both, tagged) == told(both) == "cleared"
    keep(both, policy=tagged)
    CacheNamespace(UpstashStore.beside(redis), "shop", protection=Signing(OLD)).clear("red")
    assert told(both) == "cleared"


def test_a_reclaim_frees_what_was_cleared_by_tag_and_nothing_else(
    make: Making, redis: Redis
) -> None:
    cache = make()
    keep(cache, policy=CachePolicy(tags=("red",), salt="1"))
    keep(cache, policy=CachePolicy(tags=("blue",), salt="2"))
    namespace = CacheNamespace(UpstashStore.beside(redis), "shop", protection=Signing(NEW))
    assert namespace.preview("red", seconds=30).removed == 1
    namespace.clear("red")
    assert namespace.reclaim(seconds=30).removed == 1
    assert told(cache, CachePolicy(salt="2")) == "hit"


def test_one_answer_can_be_deleted(make: Making, redis: Redis) -> None:
    cache = make()
    key = keep(cache)
    assert cache.delete("p", "model")
    assert redis.exists(key) == 0


def everything(redis: Redis) -> str:
    return " ".join(f"{key} {redis.get(key)}" for key in redis.keys("*"))


@pytest.mark.parametrize("answer", [ANSWER, LONG])
def test_nothing_of_an_encrypted_answer_is_in_redis(redis: Redis, answer: list[Generation]) -> None:
    cache = UpstashRedisCache(redis, namespace="shop", protection=Encryption(NEW))
    keep(cache, answer)
    stored = everything(redis)
    assert len(stored) > 200
    assert "marker" not in stored
    assert "Generation" not in stored
    assert base64.b64encode(b"marker").decode()[:7] not in stored


def guesses(keys: UpstashRedisCache, policy: CachePolicy) -> set[str]:
    """Return the hashes by which the prompt and the tags would be known without a key."""
    plain = UpstashRedisCache(Redis("https://x", "token"), namespace="shop")
    with plain.policy(policy):
        hashed = protected_request(plain._call_of("p", "model")).hashed
    return {hashed, tag_hash("invoices"), digest("tag", "invoices")} | {
        hashlib.sha256(text.encode()).hexdigest() for text in ("p", "acme", "invoices")
    }


def test_no_guess_of_a_prompt_a_tenant_or_a_tag_can_be_tested_in_redis(
    make: Making, redis: Redis
) -> None:
    policy = CachePolicy(tenant="acme", tags=("invoices",), coalesce="fleet")
    cache = make()
    with cache.policy(policy):
        cache.lookup("p", "model")
        stored = everything(redis)  # a lease is there
        cache.update("p", "model", ANSWER)
        cache.clear(tag="invoices")
    stored += everything(redis)
    assert ":lease:" in stored
    assert stored.count(":epoch:") >= 1
    assert not {guess for guess in guesses(cache, policy) if guess[:32] in stored}


def test_without_a_key_such_a_guess_could_be_tested(redis: Redis) -> None:
    policy = CachePolicy(tenant="acme", tags=("invoices",))
    cache = UpstashRedisCache(redis, namespace="shop")
    keep(cache, policy=policy)
    found = {guess for guess in guesses(cache, policy) if guess[:32] in everything(redis)}
    assert len(found) == 3


def test_those_who_wait_in_the_process_get_a_protectioned_answer(make: Making) -> None:
    cache, policy = make(), CachePolicy(coalesce="process", tags=("red",))
    begun, outcomes = threading.Event(), []

    def ask() -> None:
        begun.wait()
        with cache.policy(policy) as report:
            assert cache.lookup("p", "model") == ANSWER
        outcomes.extend(report.outcomes)

    other = threading.Thread(target=ask)
    other.start()
    with logged_waits() as waits, cache.policy(policy):
        assert cache.lookup("p", "model") is None
        begun.set()
        waits.until(1)
        cache.update("p", "model", ANSWER)
    other.join()
    assert [outcome.why for outcome in outcomes] == ["collapsed"]


def test_the_first_tier_keeps_an_answer_as_it_is_protectioned(
    make: Making, upstash: UpstashEndpoint
) -> None:
    memory = MemoryTier(seconds=60)
    cache = make(memory=memory)
    key = keep(cache)
    assert told(cache) == "hit"
    upstash.meter.reset()
    assert told(cache) == "memory"
    assert upstash.meter.read().commands == 0
    kept = memory.get(key, ()) or ""
    assert '"by":' in kept


def test_what_protecting_adds_counts_against_max_bytes(make: Making, redis: Redis) -> None:
    cache = make(max_bytes=203)
    with cache.policy() as report:
        cache.update("p", "model", ANSWER)
    assert report.outcomes[0].why == "too_large"
    keep(UpstashRedisCache(redis, max_bytes=203))


@pytest.fixture
def stored_once(make: Making) -> tuple[UpstashRedisCache, str]:
    cache = make()
    return cache, keep(cache)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_is_stored_in_its_place_an_answer_is_the_one_or_none(
    data: st.DataObject, stored_once: tuple[UpstashRedisCache, str], redis: Redis
) -> None:
    cache, key = stored_once
    with cache.policy(CachePolicy(mode="refresh")):
        cache.update("p", "model", ANSWER)
    text = redis.get(key) or ""
    begin = data.draw(st.integers(0, len(text)))
    end = begin + data.draw(st.integers(0, 30))
    redis.set(key, text[:begin] + data.draw(st.text(st.characters(codec="utf-8"))) + text[end:])
    with cache.policy() as report:
        assert cache.lookup("p", "model") in (None, ANSWER)
    assert report.errors == 0


# --- the environment, and SSM ---------------------------------------------------------------------

VARIABLES: dict[Any, str] = {
    Signing: "LLM_CACHE_SIGNING_KEY",
    Encryption: "LLM_CACHE_ENCRYPTION_KEY",
}
NAMED = {
    "LLM_CACHE_URL_PARAMETER": "/cache/url",
    "LLM_CACHE_TOKEN_PARAMETER": "/cache/token",
    "LLM_CACHE_NAMESPACE": "shop",
}


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


def plainly(upstash: UpstashEndpoint, **more: str) -> dict[str, str]:
    located = {"UPSTASH_REDIS_REST_URL": upstash.url, "UPSTASH_REDIS_REST_TOKEN": upstash.token}
    return {**located, "LLM_CACHE_NAMESPACE": "shop", **more}


@kinds
def test_keys_come_from_the_environment(
    kind: Callable[[str], Protection], upstash: UpstashEndpoint, redis: Redis
) -> None:
    cache = UpstashRedisCache.from_env(plainly(upstash, **{VARIABLES[kind]: f"{NEW} {OLD}\n"}))
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert report.stored == 1
    beside = UpstashRedisCache(redis, namespace="shop", protection=kind(f"{NEW} {OLD}"))
    assert told(beside) == "hit"


@kinds
async def test_an_answer_stored_before_any_lookup_is_protectioned_too(
    kind: Callable[[str], Protection], upstash: UpstashEndpoint, redis: Redis
) -> None:
    environ = plainly(upstash, **{VARIABLES[kind]: NEW})
    one, other = UpstashRedisCache.from_env(environ), UpstashRedisCache.from_env(environ)
    one.update("p", "model", ANSWER)
    await other.aupdate("q", "model", ANSWER)
    stored = [json.loads(redis.get(key) or "") for key in redis.keys("*:entry:*")]
    assert [("by" in fields) for fields in stored] == [True, True]
    cache = UpstashRedisCache(redis, namespace="shop", protection=kind(NEW))
    assert cache.lookup("p", "model") == cache.lookup("q", "model") == ANSWER


@kinds
async def test_keys_come_from_ssm_on_first_use(
    kind: Callable[[str], Protection], ssm: None, redis: Redis
) -> None:
    environ = {**NAMED, f"{VARIABLES[kind]}_PARAMETER": "/cache/key"}
    cache, other = (UpstashRedisCache.from_env(environ) for _ in range(2))
    put("/cache/key", NEW)
    assert await other.alookup("p", "model") is None
    key = keep(cache)
    assert key.startswith("shop:entry:")
    assert await other.alookup("p", "model") == ANSWER
    assert told(UpstashRedisCache(redis, namespace="shop", protection=kind(NEW))) == "hit"


def test_keys_come_from_secrets_manager_by_way_of_ssm(
    ssm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ParameterDict._get_secretsmanager_parameter

    def named(of: ParameterDict, secret: str) -> list[Parameter]:
        found = read(of, secret)
        found[-1].name = f"/aws/reference/secretsmanager/{secret}"  # AWS keeps it, moto does not
        return found

    monkeypatch.setattr(ParameterDict, "_get_secretsmanager_parameter", named)
    boto3.client("secretsmanager").create_secret(Name="cache-key", SecretString=NEW)
    name = "/aws/reference/secretsmanager/cache-key"
    cache = UpstashRedisCache.from_env({**NAMED, "LLM_CACHE_SIGNING_KEY_PARAMETER": name})
    keep(cache)
    assert told(cache) == "hit"


def test_ssm_is_asked_once_for_url_token_and_key(
    ssm: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    read = credentials._from_ssm

    def watched(names: list[str]) -> dict[str, str]:
        asked.append(names)
        return read(names)

    monkeypatch.setattr(credentials, "_from_ssm", watched)
    put("/cache/key", NEW)
    environ = {**NAMED, "LLM_CACHE_SIGNING_KEY_PARAMETER": "/cache/key"}
    cache = UpstashRedisCache.from_env(environ)
    assert asked == []
    keep(cache)
    assert told(cache) == "hit"
    assert asked == [["/cache/url", "/cache/token", "/cache/key"]]


def test_without_its_key_nothing_is_served_and_nothing_stored_in_clear(
    ssm: None, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "FIRST_AGAIN", 0.0)
    cache = UpstashRedisCache.from_env({**NAMED, "LLM_CACHE_ENCRYPTION_KEY_PARAMETER": "/none"})
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert redis.keys("*") == []
    assert [outcome.status for outcome in report.outcomes] == ["error", "skipped"]
    assert "/none" in report.outcomes[0].detail
    assert {outcome.key for outcome in report.outcomes} == {""}  # not known, so not told
    put("/none", NEW)
    keep(cache)
    assert told(cache) == "hit"


def test_a_wrong_key_in_ssm_is_told_by_name_and_not_shown(
    ssm: None, caplog: pytest.LogCaptureFixture, redis: Redis
) -> None:
    put("/cache/key", NEW[:-3])
    cache = UpstashRedisCache.from_env({**NAMED, "LLM_CACHE_SIGNING_KEY_PARAMETER": "/cache/key"})
    with caplog.at_level(logging.DEBUG, "llm_cache"), cache.policy() as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert "LLM_CACHE_SIGNING_KEY_PARAMETER (/cache/key)='…'" in report.outcomes[0].detail
    assert redis.keys("*") == []
    namespace = CacheNamespace.from_env({**NAMED, "LLM_CACHE_SIGNING_KEY_PARAMETER": "/cache/key"})
    for tag in (None, "red"):
        for one in (namespace, cache):
            with pytest.raises(InvalidSettings, match="/cache/key") as raised:
                one.clear(tag=tag)
            assert NEW[:-3] not in str(raised.value)
    assert NEW[:-3] not in f"{report} {caplog.text}"


@pytest.mark.parametrize("variable", VARIABLES.values())
def test_a_wrong_key_in_the_environment_is_refused_at_once(
    upstash: UpstashEndpoint, variable: str
) -> None:
    kinds: list[Any] = [UpstashRedisCache, CacheNamespace, CacheConfig]
    for kind in kinds:
        with pytest.raises(InvalidSettings, match=f"^{variable}='…' is not accepted") as raised:
            kind.from_env(plainly(upstash, **{variable: "short-but-secret"}))
        assert "secret" not in str(raised.value)


def test_beside_a_key_to_encrypt_with_one_to_sign_with_is_not_used(
    upstash: UpstashEndpoint, redis: Redis
) -> None:
    variables = {"LLM_CACHE_SIGNING_KEY": OLD, "LLM_CACHE_ENCRYPTION_KEY": NEW}
    cache = UpstashRedisCache.from_env(plainly(upstash, **variables))
    key = keep(cache)
    assert json.loads(redis.get(key) or "").keys() >= {"box"}
    assert told(UpstashRedisCache(redis, namespace="shop", protection=Encryption(NEW))) == "hit"


def test_an_empty_variable_means_no_protection(upstash: UpstashEndpoint, redis: Redis) -> None:
    empty = {f"{name}{end}": "" for name in VARIABLES.values() for end in ("", "_PARAMETER")}
    cache = UpstashRedisCache.from_env(plainly(upstash, **empty))
    assert json.loads(redis.get(keep(cache)) or "").keys() == {
        *("v", "epochs", "asked", "created", "ttl", "codec", "answer")
    }


@pytest.mark.parametrize("end", ["", "_PARAMETER"])
def test_encryption_without_its_package_is_refused_when_the_cache_is_made(
    upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    environ = plainly(upstash, **{f"LLM_CACHE_ENCRYPTION_KEY{end}": NEW if not end else "/key"})
    with pytest.raises(InvalidSettings, match="the package cryptography is missing"):
        UpstashRedisCache.from_env(environ)


@kinds
def test_the_command_line_clears_a_tag_of_a_protectioned_cache_and_needs_no_cryptography(
    kind: Callable[[str], Protection],
    upstash: UpstashEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = plainly(upstash, **{VARIABLES[kind]: NEW})
    cache = UpstashRedisCache.from_env(environ)
    keep(cache, policy=CachePolicy(tags=("red",)))
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    assert main(["clear", "--tag", "red", "--reclaim", "5"]) == 0
    assert capsys.readouterr().out == "cleared tag red of shop\nreclaimed 1 of 1 entries\n"
    assert told(cache) == "unknown"


@kinds
async def test_a_tag_is_cleared_before_anything_was_looked_up(
    kind: Callable[[str], Protection], upstash: UpstashEndpoint
) -> None:
    environ = plainly(upstash, **{VARIABLES[kind]: NEW})
    cache, clearing, deleting = (UpstashRedisCache.from_env(environ) for _ in range(3))
    keep(cache, policy=CachePolicy(tags=("red",)))
    await clearing.aclear(tag="red")
    assert told(cache) == "cleared"
    keep(cache)
    assert await deleting.adelete("p", "model")


def test_bypassing_the_cache_asks_for_no_key(upstash: UpstashEndpoint) -> None:
    cache = UpstashRedisCache.from_env(
        {**NAMED, "LLM_CACHE_SIGNING_KEY_PARAMETER": "/where/no/aws/is"}
    )
    with cache.policy(CachePolicy(mode="bypass")) as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert [(outcome.why, outcome.detail) for outcome in report.outcomes] == [("mode", "bypass")]


def test_after_a_fork_or_a_restore_the_keys_are_fetched_anew(
    upstash: UpstashEndpoint, redis: Redis
) -> None:
    cache = UpstashRedisCache.from_env(plainly(upstash, LLM_CACHE_SIGNING_KEY=NEW))
    keep(cache)
    cache._runner.store.disconnect()
    assert cache._runner.store._credentials.known is None
    assert told(cache) == "hit"


def test_no_key_is_in_a_report_a_log_or_a_repr(
    make: Making, redis: Redis, caplog: pytest.LogCaptureFixture
) -> None:
    cache = make(f"{NEW} {OLD}")
    with caplog.at_level(logging.DEBUG), cache.policy() as report:
        cache.lookup("p", "model")
        cache.update("p", "model", ANSWER)
        redis.set(report.outcomes[-1].key, "rubbish")
        cache.lookup("p", "model")
    question = protected_request(cache._call_of("p", "model"))
    seen = (
        f"{report!r} {caplog.text} {question!r} {cache!r} {vars(cache)!r} {question.protection!r}"
    )
    raw = [repr(bytes([number]) * 4)[2:-1] for number in (1, 2)]
    names = repr(question.keys.secret)[2:10]
    assert not [secret for secret in (NEW, OLD, *raw, names) if secret in seen]


def test_a_protection_is_asked_for_nothing_where_there_is_none(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[CommandArgs] = []
    cache = UpstashRedisCache(redis, namespace="shop")
    execute = UpstashStore.execute

    def watched(store: UpstashStore, command: CommandArgs, *within: Any) -> Any:
        commands.append(command)
        return execute(store, command, *within)

    monkeypatch.setattr(UpstashStore, "execute", watched)
    assert told(cache) == "unknown"
    assert [command[0] for command in commands] == ["MGET"]
