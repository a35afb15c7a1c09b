"""The endpoint and the Redis server of the measurements, in their own processes."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.client_process import Setup

from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer


@contextmanager
def served() -> Iterator[tuple[RedisServer, UpstashEndpoint]]:
    """Start a Redis server and the endpoint in front of it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer.start() as server,
        UpstashEndpoint.spawn(server, log=Path(folder) / "log") as upstash,
    ):
        yield server, upstash


@contextmanager
def start_servers(*, short: bool) -> Iterator[Setup]:
    """Start both, and yield their addresses for a client process."""
    with served() as (server, upstash):
        meter: Any = upstash.meter
        yield Setup(upstash.url, upstash.token, meter._url, server.port, server.password, short)
