"""The Redis users with the least rights can run the commands of the cache, and no others."""

import os
import re
import shlex
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import CacheNamespace, CachePolicy, StoreError, UpstashRedisCache
from llm_cache._doctor.database import ProbeKeys
from llm_cache._doctor.permissions import PROBES
from llm_cache._doctor.roles import READER, ROLES
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol.clearing import Reclaimed
from llm_cache._protocol.leases import RENEW
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

NAMESPACE = "shop"
USERS = {role.user: role.rules(NAMESPACE).split() for role in ROLES}  # docs/security.md shows them
EACH_RULE = [(user, rule) for user, rules in USERS.items() for rule in rules]
ANSWER = [Generation(text="an answer")]
Work = Callable[[UpstashStore, Redis], None]


def store_of(upstash: UpstashEndpoint, redis: Redis, user: str, rules: list[str]) -> UpstashStore:
    """Create a user with these rules, and return a store with its token."""
    redis.execute(["ACL", "SETUSER", user, "reset", "on", ">password", *rules])
    token = str(redis.execute(["ACL", "RESTTOKEN", user, "password"]))
    redis.execute(["ACL", "LOG", "RESET"])
    return UpstashStore(lambda: Credentials(upstash.url, token))


def denied(redis: Redis) -> list[Any]:
    """Return what the server has denied, from its own log."""
    log: Any = redis.execute(["ACL", "LOG"])
    return [dict(zip(entry[::2], entry[1::2], strict=True))["object"] for entry in log]


def ask(store: UpstashStore, redis: Redis) -> None:
    """Run every operation of a cache but a clear."""
    cache = UpstashRedisCache(store, namespace=NAMESPACE)
    fleet = CachePolicy(coalesce="fleet")
    for policy in (CachePolicy(), CachePolicy(tags=("a", "b")), fleet):
        for prompt in ("first", "second"):
            with cache.policy(policy):
                cache.lookup(prompt, "model")
                cache.update(prompt, "model", ANSWER)
                cache.lookup(prompt, "model")
        cache.lookup("first", "model")  # stored with tags that this policy lacks
    with cache.policy(fleet):
        cache.lookup("the model is slow, and fails", "model")
        for lease in redis.keys(f"{NAMESPACE}:lease:*"):
            token = str(redis.get(lease)).partition(":")[0]
            assert store.execute(("EVAL", RENEW, 1, lease, token, 10_000), 5) == 1
    with cache.policy(fleet):
        cache.lookup("junk", "model")
        cache.update("junk", "model", [Generation(text="")])
    with cache.policy() as report:
        cache.update("damaged", "model", ANSWER)
    assert report.last is not None
    redis.set(report.last.key, "rubbish")
    cache.lookup("damaged", "model")
    cache.delete("first", "model")


def removed(reclaimed: Reclaimed) -> int:
    if reclaimed.failure:
        raise reclaimed.failure
    return reclaimed.removed


def flush(store: UpstashStore, redis: Redis) -> None:
    """Run every operation of ``flush_cache`` and of the command line."""
    namespace = CacheNamespace(store, NAMESPACE)
    cache = UpstashRedisCache(redis, namespace=NAMESPACE)
    with cache.policy(CachePolicy(tags=("a",))):
        cache.update("p", "model", ANSWER)
    assert removed(namespace.preview("a", seconds=9)) == 1
    namespace.clear("a")
    assert removed(namespace.reclaim(seconds=9, dry_run=True)) == 1
    assert removed(namespace.reclaim(seconds=9)) == 1
    namespace.clear()
    view(store, redis)


def view(store: UpstashStore, redis: Redis) -> None:
    """Run every command of an operator who only looks, and a dry run."""
    cache = UpstashRedisCache(redis, namespace=NAMESPACE)
    with cache.policy(CachePolicy(tags=("a",))):
        cache.update("p", "model", ANSWER)
    assert removed(CacheNamespace(store, NAMESPACE).preview("a", seconds=9)) == 1
    probe = ProbeKeys(Keyspace(NAMESPACE), os.urandom(32).hex())
    for key in probe.by_pattern.values():
        store.execute(("MGET", key), 5)
    for command in READER.commands:
        store.execute(PROBES[command](probe.entry), 5)


WORK: dict[str, Work] = {"ask": ask, "flush": flush, "viewer": view}


@pytest.mark.parametrize("user", WORK)
def test_rules_suffice(upstash: UpstashEndpoint, redis: Redis, user: str) -> None:
    assert USERS.keys() == WORK.keys()
    WORK[user](store_of(upstash, redis, user, USERS[user]), redis)
    assert denied(redis) == []
    assert redis.keys(f"{NAMESPACE}:*")


@pytest.mark.parametrize(("user", "rule"), EACH_RULE)
def test_every_rule_is_needed(upstash: UpstashEndpoint, redis: Redis, user: str, rule: str) -> None:
    rules = [other for other in USERS[user] if other != rule]
    with suppress(StoreError):
        WORK[user](store_of(upstash, redis, user, rules), redis)
    kept = rule.removeprefix("+").removeprefix("~").removesuffix("*")
    assert any(name.startswith(kept) for name in denied(redis))


FORBIDDEN = """
FLUSHDB; FLUSHALL; KEYS *; RANDOMKEY; ACL LIST; ACL SETUSER ask +@all ~*; SCRIPT FLUSH
PUBLISH channel x; DUMP shop:epoch; RENAME shop:epoch shop:epoch:x; EXPIRE shop:epoch 1
SET other:entry:1 x; SET shop x; SET shop2:entry:1 x; SET shop:eu:entry:1 x; SET shop:eu:epoch x
MGET shop:epoch other:epoch; UNLINK other:entry:1; GET shop:entry:1; DEL shop:epoch
EVAL "return redis.call('FLUSHALL')" 0; EVAL "return redis.call('KEYS', '*')" 0
EVAL "return redis.call('GET', 'other:entry:1')" 0
EVAL "return redis.call('SET', KEYS[1], '')" 1 other:entry:1
"""
FORBIDDEN_TO = {
    "ask": "SCAN 0; EXISTS shop:epoch; GETRANGE shop:entry:1 0 9; DBSIZE; INFO",
    "flush": "ACL WHOAMI; SET shop:other x; COPY shop:epoch shop:epoch:x; MEMORY USAGE shop:epoch",
    "viewer": "SET shop:entry:1 x; UNLINK shop:entry:1; SET shop:epoch x; DEL shop:lease:1",
}
NOT_OVER_REST = "CONFIG GET *; CONFIG SET maxmemory 1; SHUTDOWN"


def commands(text: str) -> list[tuple[str, ...]]:
    return [tuple(shlex.split(line)) for line in re.split("[;\n]", text.strip())]


@pytest.mark.parametrize("user", WORK)
def test_other_commands_are_denied(upstash: UpstashEndpoint, redis: Redis, user: str) -> None:
    redis.set("other:entry:1", "theirs")
    store = store_of(upstash, redis, user, USERS[user])
    for command in commands(FORBIDDEN) + commands(FORBIDDEN_TO[user]):
        with pytest.raises(StoreError, match=r"(?i)NOPERM|ACL failure"):
            store.execute(command, 5)
    for command in commands(NOT_OVER_REST):
        with pytest.raises(StoreError, match="is not available"):
            store.execute(command, 5)
    assert redis.get("other:entry:1") == "theirs"


def test_read_only_token_hits_and_stores_nothing_and_raises_nothing(
    upstash: UpstashEndpoint, redis: Redis
) -> None:
    UpstashRedisCache(redis, namespace=NAMESPACE).update("known", "model", ANSWER)
    before = {key: redis.get(key) for key in redis.keys("*")}
    read_only = UpstashStore(lambda: Credentials(upstash.url, upstash.read_only_token))
    cache = UpstashRedisCache(read_only, namespace=NAMESPACE)
    with cache.policy(CachePolicy(coalesce="fleet", tags=("a",))) as report:
        for prompt in ("known", "new"):
            assert cache.lookup(prompt, "model") is None  # "known" lacks this tag
            cache.update(prompt, "model", ANSWER)
    assert report.stored == 0
    assert cache.lookup("known", "model") == ANSWER
    assert {key: redis.get(key) for key in redis.keys("*")} == before
