"""Failures of calls: each is reported, and logged without values unless the circuit is open."""

from typing import Any

import pytest

from llm_cache import CacheMiss, CachePolicy, Reason, StoreUnavailable, UpstashRedisCache
from llm_cache._errors import CircuitOpen
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore


class FailingStore(UpstashStore):
    def __init__(self, error: Exception) -> None:
        super().__init__(lambda: Credentials("http://127.0.0.1:9", "token"))
        self.error = error

    def execute(self, command: Any, seconds: float, *_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "reason", "messages"),
    [
        (CircuitOpen("open"), Reason.CIRCUIT_OPEN, []),
        (
            StoreUnavailable("no connection"),
            Reason.UNAVAILABLE,
            ["cache lookup failed: StoreUnavailable: no connection"],
        ),
        (ValueError("a value"), Reason.INTERNAL, ["cache lookup failed: ValueError: ValueError"]),
    ],
)
def test_failure_is_logged_without_values_unless_the_circuit_is_open(
    caplog: pytest.LogCaptureFixture, error: Exception, reason: Reason, messages: list[str]
) -> None:
    cache = UpstashRedisCache(FailingStore(error))
    with cache.policy() as report:
        assert cache.lookup("p", "model") is None
    assert [outcome.why for outcome in report.outcomes] == [reason]
    assert caplog.messages == messages


def test_tenant_salt_and_namespace_make_another_key() -> None:
    cache = UpstashRedisCache(FailingStore(ValueError()), namespace="shop")
    keys = set()
    policies = (
        CachePolicy(),
        CachePolicy(tenant="a"),
        CachePolicy(salt="a"),
        CachePolicy(namespace="b"),
    )
    for policy in policies:
        with cache.policy(policy):
            keys.add(cache._call_of("p", "model").identify().key)
    assert len(keys) == 4


def test_failed_lookup_raises_cache_miss_if_only_stored_answers_are_accepted() -> None:
    cache = UpstashRedisCache(FailingStore(StoreUnavailable("no connection")))
    with cache.policy(mode="only_if_cached"), pytest.raises(CacheMiss, match="the cache failed"):
        cache.lookup("p", "model")
