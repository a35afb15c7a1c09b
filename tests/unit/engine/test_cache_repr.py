"""How a cache shows itself."""

from datetime import timedelta
from typing import Any

import pytest
from upstash_redis import Redis

from llm_cache import Breaker, ResponseCache, Signing, UpstashRedisCache
from llm_cache._errors import StoreUnavailable
from llm_cache._upstash.upstash_store import UpstashStore

KEY = "A" * 43 + "="
CLIENT = Redis("https://user:password@x.upstash.io", "a-token")


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "namespace=None, ttl=2592000 s, circuit=closed"),
        ({"namespace": "shop", "ttl": 60}, "namespace='shop', ttl=60 s, circuit=closed"),
        ({"ttl": timedelta(milliseconds=1500)}, "namespace=None, ttl=1.5 s, circuit=closed"),
        ({"ttl": lambda *_: 5}, "namespace=None, ttl=a function, circuit=closed"),
    ],
)
def test_cache_shows_its_namespace_its_ttl_and_its_circuit(
    options: dict[str, Any], shown: str
) -> None:
    assert repr(UpstashRedisCache(CLIENT, **options)) == f"UpstashRedisCache({shown})"
    assert repr(ResponseCache(CLIENT, version="1", **options)) == f"ResponseCache({shown})"


def test_cache_shows_an_open_circuit() -> None:
    breaker = Breaker(failures=1)
    cache = UpstashRedisCache(CLIENT, namespace="shop", breaker=breaker)
    with pytest.raises(StoreUnavailable), breaker.guard():
        raise StoreUnavailable("down")
    assert "circuit=open" in repr(cache)


def test_cache_shows_no_secret_and_sends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(UpstashStore, "execute")
    monkeypatch.delattr(UpstashStore, "secrets")
    text = repr(UpstashRedisCache(CLIENT, protection=Signing(KEY)))
    assert not [secret for secret in ("password", "a-token", KEY, "upstash.io") if secret in text]
