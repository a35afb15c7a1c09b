"""Serve an ASGI application on loopback, from a thread of this process."""

import socket
import threading
from dataclasses import dataclass
from typing import Self

import uvicorn
from starlette.types import ASGIApp

from upstash_endpoint.allowed_commands import MAX_REQUEST_BYTES
from upstash_endpoint.children import wait_until

HOST = "127.0.0.1"
KEEP_ALIVE_SECONDS = 75
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class AsgiServer:
    """A running server of one application."""

    url: str
    _server: uvicorn.Server
    _thread: threading.Thread

    @classmethod
    def start(cls, app: ASGIApp, *, port: int = 0) -> Self:
        """Serve `app` on a port of loopback, by default a free one; return when it is ready."""
        listener = listen(port)
        server = uvicorn.Server(_config(app))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        running = cls(f"http://{HOST}:{listener.getsockname()[1]}", server, thread)
        wait_until(lambda: server.started, seconds=_START_SECONDS, what=running.url)
        return running

    def stop(self) -> None:
        """Stop; running requests have one second to end."""
        self._server.should_exit = True
        self._thread.join()


def listen(port: int) -> socket.socket:
    """Listen on a port of loopback; 0 selects a free one. Raises OSError if it is taken."""
    # If the protocol is named, asyncio disables Nagle's algorithm on accepted connections. With it,
    # the second of a response's two writes would wait 40 ms for an acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port))
        listener.listen(1024)
    except OSError:
        listener.close()
        raise
    return listener


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,  # logging is up to the program
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        h11_max_incomplete_event_size=2 * MAX_REQUEST_BYTES,  # a whole command may be in the path
    )
