"""What the edge adds to the published client."""

import time
from types import SimpleNamespace

import pytest
from upstash_redis import Redis

from llm_cache.connections import KEEPALIVE
from llm_cache.credentials import Credentials
from llm_cache.store import UpstashStore
from local_cloud.upstash import UpstashEndpoint


def test_finding_upstash_does_not_eat_the_time_of_the_first_command(
    upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly() -> Credentials:
        later = SimpleNamespace(monotonic=lambda: time.monotonic() + 100)
        monkeypatch.setattr("llm_cache.network.time", later)
        return Credentials(upstash.url, upstash.token)

    assert UpstashStore(slowly).execute(("PING",), 60) == "PONG"


def test_the_private_parts_that_are_replaced_are_still_there(upstash: UpstashEndpoint) -> None:
    # upstash-redis has no option for a timeout: a release that moves these must fail here first
    with Redis(upstash.url, upstash.token) as client:
        assert client._url == upstash.url
        assert client._headers["Authorization"] == f"Bearer {upstash.token}"
        assert client._http._client.timeout.read is None


def test_an_idle_connection_is_kept_for_a_minute(upstash: UpstashEndpoint) -> None:
    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    store.execute(("PING",), 1.0)
    assert store._client is not None
    pool = store._client._http._client._transport._pool  # type: ignore[attr-defined]
    assert pool._keepalive_expiry == KEEPALIVE == 60


def test_requests_carry_no_telemetry(upstash: UpstashEndpoint) -> None:
    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    store.execute(("PING",), 1.0)
    assert store._client is not None
    assert not [name for name in store._client._headers if "Telemetry" in name]
