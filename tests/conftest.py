"""A real Redis server behind Upstash's protocol, once a session, emptied for each test."""

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

# What takes minutes is for `make nightly`.
collect_ignore = [] if os.environ.get("PROFILE") == "nightly" else ["nightly"]

# How long an example takes is no failure: a machine may be busy.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Leave what was imported out of garbage collections: they would take longer than timeouts."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _patient() -> Iterator[None]:
    """Let a command take its time on a busy machine, where a test does not say how long it may."""
    with patch.dict(Cache.__init__.__kwdefaults__, timeout=10.0):
        yield


@pytest.fixture(scope="session", autouse=True)
def _certificates_read_once() -> Iterator[None]:
    """Share one TLS context between the clients of httpx, whose default takes 40 ms of CPU each."""
    kept: dict[tuple[object, ...], ssl.SSLContext] = {}

    def create(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
        if verify is not True or cert:
            return httpx.create_ssl_context(verify, cert, trust_env)
        variables = (os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
        key = (trust_env, *variables)
        if key not in kept:
            kept[key] = httpx.create_ssl_context(trust_env=trust_env)
        return kept[key]

    with (
        patch("httpx._transports.default.create_ssl_context", create),
        patch("httpx2._transports.default.create_ssl_context", create),  # of starlette and openai
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
    """An empty database behind Upstash's REST protocol, and a meter that starts at zero."""
    with Redis(_endpoint.url, _endpoint.token) as client:
        client.flushdb()
    _endpoint.meter.reset()
    return _endpoint


@pytest.fixture
def redis(upstash: UpstashEndpoint) -> Iterator[Redis]:
    """The published client, as a user makes it."""
    with Redis(upstash.url, upstash.token) as client:
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def checkout() -> Path:
    return Path(__file__).parent.parent
