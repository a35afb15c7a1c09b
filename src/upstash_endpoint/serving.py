"""Serve an ASGI application on loopback, from a thread of this process."""

from __future__ import annotations

import socket
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import uvicorn

from upstash_endpoint.children import wait_until
from upstash_endpoint.commands import MAX_REQUEST_BYTES

if TYPE_CHECKING:
    from starlette.types import ASGIApp

HOST = "127.0.0.1"
KEEP_ALIVE_SECONDS = 75
_STARTS_WITHIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Served:
    """An application being served."""

    url: str
    _server: uvicorn.Server
    _thread: threading.Thread

    @classmethod
    def start(cls, app: ASGIApp, *, port: int = 0) -> Self:
        """Serve `app` on a port of loopback, by default a free one; return when it answers."""
        listener = listen(port)
        server = uvicorn.Server(_config(app))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        served = cls(f"http://{HOST}:{listener.getsockname()[1]}", server, thread)
        wait_until(lambda: server.started, seconds=_STARTS_WITHIN_SECONDS, what=served.url)
        return served

    def stop(self) -> None:
        """Stop answering; requests under way get one second."""
        self._server.should_exit = True
        self._thread.join()


def listen(port: int) -> socket.socket:
    """Listen on a port of loopback; 0 takes a free one."""
    # With the protocol named, asyncio turns Nagle's algorithm off on what is accepted: a response
    # is two writes, and the second would wait 40 ms for the first one's acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(1024)
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,  # logging belongs to the program around this
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        h11_max_incomplete_event_size=2 * MAX_REQUEST_BYTES,  # path style: all is in the target
    )
