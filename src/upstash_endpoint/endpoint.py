"""An Upstash-REST-compatible endpoint in front of a Redis server, in this process or its own."""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol, Self
from urllib.parse import urlsplit

from upstash_endpoint.app import create_app
from upstash_endpoint.children import Child, free_port, wait_until
from upstash_endpoint.meter import Meter, Metered, RemoteMeter
from upstash_endpoint.serving import HOST, Served
from upstash_endpoint.tokens import Keyring

if TYPE_CHECKING:
    from pathlib import Path

    from upstash_endpoint.redis_server import RedisServer

SETTINGS = "LOCAL_UPSTASH"
"""The variable in which a spawned endpoint finds its settings."""

_STARTS_WITHIN_SECONDS = 20.0


class _Running(Protocol):
    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class UpstashEndpoint:
    """A running endpoint: what UPSTASH_REDIS_REST_URL and _TOKEN would say, and its meter."""

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
        """Serve from a thread of this process; tokens are random unless given."""
        keyring = _keyring(redis, token, read_only_token)
        meter = Meter()
        served = Served.start(create_app(keyring, meter), port=port)
        return cls(served.url, keyring.token, keyring.read_only_token, meter, served)

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
        """Serve from a process of its own, which does not share this one's interpreter lock.

        Raises PartFailed when it does not come up.
        """
        keyring = _keyring(redis, token, read_only_token)
        ports = {"port": port or free_port(), "meter_port": free_port()}
        settings = json.dumps({"keyring": asdict(keyring), **ports})
        child = Child.start(
            "the Upstash endpoint",
            [sys.executable, "-m", "upstash_endpoint"],
            env={**os.environ, SETTINGS: settings},
            log=log,
        )
        url, meter_url = (f"http://{HOST}:{number}" for number in ports.values())
        endpoint = cls(url, keyring.token, keyring.read_only_token, RemoteMeter(meter_url), child)
        endpoint._wait(child, meter_url)
        return endpoint

    def stop(self) -> None:
        """Stop serving."""
        self._running.stop()

    def _wait(self, child: Child, meter_url: str) -> None:
        try:
            for url in (self.url, meter_url):
                wait_until(
                    lambda url=url: _accepts(url),  # type: ignore[misc]
                    seconds=_STARTS_WITHIN_SECONDS,
                    what="the Upstash endpoint",
                    child=child,
                )
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _keyring(redis: RedisServer, token: str | None, read_only_token: str | None) -> Keyring:
    return Keyring(
        port=redis.port,
        password=redis.password,
        token=token or secrets.token_urlsafe(32),
        read_only_token=read_only_token or secrets.token_urlsafe(32),
    )


def _accepts(url: str) -> bool:
    with socket.create_connection((HOST, urlsplit(url).port or 80), timeout=1):
        return True
