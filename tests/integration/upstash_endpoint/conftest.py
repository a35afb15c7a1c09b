from collections.abc import Callable, Iterator

import httpx
import pytest

from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer


@pytest.fixture(scope="session")
def running_redis() -> Iterator[RedisServer]:
    with RedisServer.start() as server:
        yield server


@pytest.fixture(scope="session")
def running_endpoint(running_redis: RedisServer) -> Iterator[UpstashEndpoint]:
    with UpstashEndpoint.start(running_redis) as endpoint:
        yield endpoint


@pytest.fixture
def redis(running_redis: RedisServer) -> RedisServer:
    """A real server, empty, with its default user only."""
    running_redis.call("FLUSHALL")
    users = running_redis.call("ACL", "USERS")
    assert isinstance(users, list)
    for user in users:
        if user not in {b"default", b"default_ro"}:
            running_redis.call("ACL", "DELUSER", str(user, "utf-8"))  # type: ignore[arg-type]
    return running_redis


@pytest.fixture
def endpoint(redis: RedisServer, running_endpoint: UpstashEndpoint) -> UpstashEndpoint:
    """The endpoint in front of `redis`, its meter at zero."""
    running_endpoint.meter.reset()
    return running_endpoint


@pytest.fixture
def http(endpoint: UpstashEndpoint) -> Iterator[httpx.Client]:
    """A bare HTTP client that carries the token."""
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with httpx.Client(base_url=endpoint.url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def run(http: httpx.Client) -> Callable[..., object]:
    """Run one command, sent as a JSON array, and return what its result was."""

    def call(*args: object) -> object:
        response = http.post("/", json=list(args))
        assert response.status_code == 200, response.text
        return response.json()["result"]

    return call
