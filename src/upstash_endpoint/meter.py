"""Count the requests, commands and bytes of the endpoint, for tests and benchmarks."""

import json
import urllib.request
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

_RECENT_COMMANDS = 100
_ARGUMENT_BYTES = 1000


@dataclass(frozen=True, slots=True)
class Reading:
    """Counts since the last reset."""

    requests: int = 0
    commands: int = 0
    """Commands sent to Redis: n for a pipeline of n, without MULTI and EXEC."""
    bytes_in: int = 0
    """Bytes of request targets and bodies, without headers."""
    bytes_out: int = 0
    """Bytes of response bodies."""
    connections: int = 0
    """HTTP connections with at least one request."""
    recent: tuple[tuple[str, ...], ...] = ()
    """The last 100 commands, oldest first; arguments are cut at 1,000 bytes."""


class Metered(Protocol):
    """A meter in this process or another."""

    def read(self) -> Reading:
        """Return the counts since the last reset."""

    def reset(self) -> None:
        """Start counting from zero."""


class Meter:
    """Counts the requests of this process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start counting from zero."""
        self._reading = Reading()
        self._peers: set[object] = set()
        self._recent: deque[tuple[str, ...]] = deque(maxlen=_RECENT_COMMANDS)

    def read(self) -> Reading:
        """Return the counts since the last reset."""
        return replace(self._reading, connections=len(self._peers), recent=tuple(self._recent))

    def request(self, peer: object, size: int) -> None:
        """Count a request of `size` bytes from the socket `peer`."""
        self._peers.add(peer)
        now = self._reading
        self._reading = replace(now, requests=now.requests + 1, bytes_in=now.bytes_in + size)

    def command(self, args: Sequence[bytes]) -> None:
        """Count a command that goes to Redis."""
        self._recent.append(tuple(_shown(arg) for arg in args))
        self._reading = replace(self._reading, commands=self._reading.commands + 1)

    def response(self, size: int) -> None:
        """Count a response body of `size` bytes."""
        self._reading = replace(self._reading, bytes_out=self._reading.bytes_out + size)


class RemoteMeter:
    """Reads the meter of an endpoint in another process, by HTTP."""

    def __init__(self, url: str) -> None:
        self._url = url

    def read(self) -> Reading:
        """Return the counts since the last reset."""
        counts = json.loads(self._request("GET"))
        recent = tuple(tuple(command) for command in counts.pop("recent"))
        return Reading(**counts, recent=recent)

    def reset(self) -> None:
        """Start counting from zero."""
        self._request("DELETE")

    def _request(self, method: str) -> bytes:
        request = urllib.request.Request(self._url, method=method)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            body: bytes = response.read()
            return body


def meter_app(meter: Meter) -> Starlette:
    """Return an application that serves a meter: GET reads it, DELETE resets it."""

    async def show(request: Request) -> JSONResponse:
        if request.method == "DELETE":
            meter.reset()
        return JSONResponse(asdict(meter.read()))

    return Starlette(routes=[Route("/", show, methods=["GET", "DELETE"])])


def _shown(arg: bytes) -> str:
    return arg[:_ARGUMENT_BYTES].decode("utf-8", "backslashreplace")
