"""Fixtures for all tests: a real Redis server behind the Upstash REST protocol, and a clock."""

import gc
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from hypothesis import HealthCheck, settings
from tests.clock import Clock
from upstash_redis import Redis

from llm_cache._engine.core import Cache
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

# Tests that take minutes run in `make nightly` only.
collect_ignore = [] if os.environ.get("PROFILE") == "nightly" else ["nightly"]

settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")


def pytest_collection_finish() -> None:
    """Exclude imported modules from garbage collection, which would last longer than a timeout."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _long_timeout() -> Iterator[None]:
    """Raise the default timeout of a command, for busy machines."""
    with patch.dict(Cache.__init__.__kwdefaults__, timeout=10.0):
        yield


@pytest.fixture(scope="session", autouse=True)
def _shared_tls_context() -> Iterator[None]:
    """Share one TLS context between all httpx clients: each takes 40 ms of CPU to create."""
    contexts: dict[tuple[object, ...], ssl.SSLContext] = {}

    def create(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        if verify is not True or cert:
            return httpx.create_ssl_context(verify, cert, trust_env)
        variables = (os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
        key = (trust_env, *variables)
        if key not in contexts:
            contexts[key] = httpx.create_ssl_context(trust_env=trust_env)
        return contexts[key]

    with (
        patch("httpx._transports.default.create_ssl_context", create),
        # Starlette and openai use httpx2.
        patch("httpx2._transports.default.create_ssl_context", create),
    ):
        yield


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer.start() as server:
        yield server


@pytest.fixture(scope="session")
def _endpoint(redis_server: RedisServer) -> Iterator[UpstashEndpoint]:
    with UpstashEndpoint.start(redis_server) as endpoint:
        yield endpoint


@pytest.fixture
def upstash(_endpoint: UpstashEndpoint) -> UpstashEndpoint:
    """Return the endpoint with an empty database and its meter at zero."""
    with Redis(_endpoint.url, _endpoint.token) as client:
        client.flushdb()
    _endpoint.meter.reset()
    return _endpoint


@pytest.fixture
def redis(upstash: UpstashEndpoint) -> Iterator[Redis]:
    """Return the published client, created as a user creates it."""
    with Redis(upstash.url, upstash.token) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def checkout() -> Path:
    return Path(__file__).parent.parent
