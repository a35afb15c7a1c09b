"""The settings of the environment, as the parts of a cache use them."""

import pytest

from llm_cache import Encryption, Signing, UpstashRedisCache
from llm_cache._policy.ttl import TtlBounds

LOCATION = {
    "UPSTASH_REDIS_REST_URL": "https://x.upstash.io",
    "UPSTASH_REDIS_REST_TOKEN": "token",
    "LLM_CACHE_NAMESPACE": "shop",
}
KEY = "AQEB" * 10 + "AQE="


def test_each_setting_reaches_its_part() -> None:
    settings = {
        "TTL": "100",
        "TTL_FLOOR": "10",
        "TTL_CEILING": "200",
        "TTL_JITTER": "0.5",
        "TIMEOUT": "2",
        "LEASE": "20",
        "MEMORY": "7",
        "MAX_BYTES": "5000",
    }
    environ = LOCATION | {f"LLM_CACHE_{name}": value for name, value in settings.items()}
    cache = UpstashRedisCache.from_env(environ)
    assert cache._keys.namespace == "shop"
    assert cache._writer.ttl == TtlBounds(100.0, 10.0, 200.0, 0.5)
    assert cache._writer.max_bytes == 5000
    assert (cache._runner.timeout, cache._leadership.lease) == (2.0, 20.0)
    assert cache._tiers.memory
    assert cache._tiers.memory._seconds == 7.0
    assert cache._runner.protection() is None


@pytest.mark.parametrize(
    ("name", "kind"), [("SIGNING_KEY", Signing), ("ENCRYPTION_KEY", Encryption)]
)
def test_key_of_the_environment_protects_the_entries(name: str, kind: type) -> None:
    cache = UpstashRedisCache.from_env(LOCATION | {f"LLM_CACHE_{name}": KEY})
    assert cache._tiers.memory is None
    assert isinstance(cache._runner.protection(), kind)
