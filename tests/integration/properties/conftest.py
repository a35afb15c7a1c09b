"""The number of runs by the variable PROFILE, and a server with one connection to it."""

import logging
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings
from tests.integration.properties.database import Database, Time

from upstash_endpoint.redis_server import RedisServer

settings.register_profile(
    "quick",
    max_examples=40,
    stateful_step_count=40,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile(
    "nightly",
    settings.get_profile("quick"),
    max_examples=500,  # of each test, 2,000 in all
    stateful_step_count=60,
    derandomize=False,
    print_blob=True,
)


@pytest.fixture(autouse=True)
def profile() -> Iterator[None]:
    """Use the profile in these tests only."""
    before = settings.get_current_profile_name()
    settings.load_profile(os.environ.get("PROFILE", "quick"))
    yield
    settings.load_profile(before)


@pytest.fixture
def database(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database; calls in flight and waits use its time."""
    time = Time()
    monkeypatch.setattr("llm_cache._protocol.in_flight.time", time)
    monkeypatch.setattr("llm_cache._engine.leadership.time", time)
    # pytest keeps every log record of a test: here one for each fault.
    for name in ("llm_cache._engine.cache_call", "llm_cache._upstash.breaker"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)
    database = Database(redis_server, time)
    yield database
    database.close()
