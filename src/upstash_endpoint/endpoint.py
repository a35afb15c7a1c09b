"""Serve Upstash's REST protocol in front of a Redis server, in this process or another."""

import json
import os
import secrets
import socket
import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import urlsplit

from upstash_endpoint.asgi_server import HOST, AsgiServer
from upstash_endpoint.children import Child, free_port
from upstash_endpoint.meter import Meter, Metered, RemoteMeter
from upstash_endpoint.redis_server import RedisServer
from upstash_endpoint.rest_app import create_app
from upstash_endpoint.token_users import DatabaseAccess

SETTINGS = "LOCAL_UPSTASH"
"""The environment variable with the settings of a spawned endpoint."""

_START_SECONDS = 20.0


class _Running(Protocol):
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class UpstashEndpoint:
    """A running endpoint: its URL, its tokens and its meter."""

    url: str
    token: str = field(repr=False)
    read_only_token: str = field(repr=False)
    meter: Metered
    _running: _Running

    @classmethod
    def start(
        cls,
        redis: RedisServer,
        *,
        token: str | None = None,
        read_only_token: str | None = None,
        port: int = 0,
    ) -> Self:
        """Serve from a thread of this process; tokens are random by default."""
        access = _access(redis, token, read_only_token)
        meter = Meter()
        served = AsgiServer.start(create_app(access, meter), port=port)
        return cls(served.url, access.token, access.read_only_token, meter, served)

    @classmethod
    def spawn(
        cls,
        redis: RedisServer,
        *,
        token: str | None = None,
        read_only_token: str | None = None,
        port: int = 0,
        log: Path,
    ) -> Self:
        """Serve from another process, with its own interpreter lock.

        Raises PartFailed if it does not start.
        """
        access = _access(redis, token, read_only_token)
        ports = {"port": port or free_port(), "meter_port": free_port()}
        settings = json.dumps({"access": asdict(access), **ports})
        child = Child.start(
            "the Upstash endpoint",
            [sys.executable, "-m", "upstash_endpoint"],
            env={**os.environ, SETTINGS: settings},
            log=log,
        )
        url, meter_url = (f"http://{HOST}:{number}" for number in ports.values())
        endpoint = cls(url, access.token, access.read_only_token, RemoteMeter(meter_url), child)
        endpoint._wait(child, meter_url)
        return endpoint

    def stop(self) -> None:
        """Stop serving."""
        self._running.stop()

    def _wait(self, child: Child, meter_url: str) -> None:
        try:
            for url in (self.url, meter_url):
                child.wait_ready(partial(_accepts, url), seconds=_START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _access(redis: RedisServer, token: str | None, read_only_token: str | None) -> DatabaseAccess:
    return DatabaseAccess(
        port=redis.port,
        password=redis.password,
        token=token or secrets.token_urlsafe(32),
        read_only_token=read_only_token or secrets.token_urlsafe(32),
    )


def _accepts(url: str) -> bool:
    with socket.create_connection((HOST, urlsplit(url).port or 80), timeout=1):
        return True
