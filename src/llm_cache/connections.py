"""What the client of Upstash sends its requests with: HTTP that is bounded, and kept open."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import AsyncIterator
from typing import Any

import httpx

from llm_cache import network

KEEPALIVE = 60.0  # seconds; a warm function is often idle for longer than httpx' own five
_HTTP: dict[str, Any] = {
    "headers": network.PLAIN,
    "limits": httpx.Limits(keepalive_expiry=KEEPALIVE),
    "timeout": None,  # the call is bounded as a whole
}


@functools.cache
def _tls() -> ssl.SSLContext:
    """Load the certificates once: it takes longer than a request does."""
    return httpx.create_ssl_context()


def blocking() -> httpx.Client:
    """Return a client that bounds a request as a whole, where httpx bounds each read by itself."""
    client = httpx.Client(**_HTTP, verify=_tls())
    network.bound(client)
    return client


class PerLoop:
    """What the asynchronous client posts with: a client and its connections for each event loop.

    A loop that shuts down finishes its asynchronous generators, as ``asyncio.run`` does at its
    end: one holds the loop's client, and so closes it.
    """

    def __init__(self) -> None:
        # A generator that nobody holds is finished at once, so it stands beside the client.
        self.loops: dict[
            asyncio.AbstractEventLoop, tuple[httpx.AsyncClient, AsyncIterator[httpx.AsyncClient]]
        ] = {}

    async def post(self, url: str, **request: Any) -> httpx.Response:
        """Send a request from the running loop."""
        loop = asyncio.get_running_loop()
        if loop not in self.loops:
            for closed in [other for other in self.loops if other.is_closed()]:
                del self.loops[closed]  # one that was closed without shutting down
            holder = self._hold(loop)
            self.loops[loop] = await anext(holder), holder
        client, _ = self.loops[loop]
        return await client.post(url, **request)

    async def _hold(self, loop: asyncio.AbstractEventLoop) -> AsyncIterator[httpx.AsyncClient]:
        # asyncio.timeout bounds the whole call
        client = httpx.AsyncClient(**_HTTP, verify=_tls())
        network.abound(client)
        try:
            yield client
        finally:
            del self.loops[loop]
            await client.aclose()
