from collections.abc import Callable, Iterator

import httpx
import pytest

from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer


@pytest.fixture
def redis(redis_server: RedisServer) -> RedisServer:
    """A real server, empty, with its default user only."""
    redis_server.call("FLUSHALL")
    users = redis_server.call("ACL", "USERS")
    assert isinstance(users, list)
    for user in users:
        if user not in {b"default", b"default_ro"}:
            redis_server.call("ACL", "DELUSER", str(user, "utf-8"))  # type: ignore[arg-type]
    return redis_server


@pytest.fixture
def endpoint(redis: RedisServer, _endpoint: UpstashEndpoint) -> UpstashEndpoint:
    """The endpoint in front of `redis`, its meter at zero."""
    _endpoint.meter.reset()
    return _endpoint


@pytest.fixture
def http(endpoint: UpstashEndpoint) -> Iterator[httpx.Client]:
    """An HTTP client that sends the token."""
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    with httpx.Client(base_url=endpoint.url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture
def run(http: httpx.Client) -> Callable[..., object]:

    def call(*args: object) -> object:
        response = http.post("/", json=list(args))
        assert response.status_code == 200, response.text
        return response.json()["result"]

    return call


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that a test may stop."""
    with RedisServer.start() as server:
        yield server


@pytest.fixture
def own_endpoint(own_redis: RedisServer) -> Iterator[UpstashEndpoint]:
    with UpstashEndpoint.start(own_redis) as endpoint:
        yield endpoint


@pytest.fixture
def own_http(own_endpoint: UpstashEndpoint) -> Iterator[httpx.Client]:
    params = {"_token": own_endpoint.token}
    with httpx.Client(base_url=own_endpoint.url, params=params) as client:
        yield client
