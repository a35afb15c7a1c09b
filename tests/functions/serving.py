"""Serve `ask` over HTTP on loopback, by an ASGI server without Mangum."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

import web
from upstash_endpoint.children import wait_until


@contextmanager
def served() -> Iterator[int]:
    config = uvicorn.Config(web.app, port=0, lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, seconds=60, what="the server")
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
