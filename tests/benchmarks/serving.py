"""The endpoint that everything is measured against, in a process of its own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.apart import At

from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer


@contextmanager
def served() -> Iterator[tuple[RedisServer, UpstashEndpoint]]:
    """Start a Redis and the endpoint before it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer.start() as server,
        UpstashEndpoint.spawn(server, log=Path(folder) / "log") as upstash,
    ):
        yield server, upstash


@contextmanager
def serving(*, short: bool) -> Iterator[At]:
    """Start both, and yield what a client in another process needs."""
    with served() as (server, upstash):
        meter: Any = upstash.meter
        yield At(upstash.url, upstash.token, meter._url, server.port, server.password, short)
