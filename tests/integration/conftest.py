from collections.abc import Iterator

import pytest
from tests.integration.upstash.connection import Connection

from upstash_endpoint.redis_server import RedisServer


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Connection]:
    """A connection to the server itself, whose database is empty."""
    connection = Connection(redis_server)
    connection.call("FLUSHDB")
    yield connection
    connection.close()
