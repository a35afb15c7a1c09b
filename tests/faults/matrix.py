"""Each fault at each operation: what the caller gets, how long it takes, what is left, what next.

``python -m tests.faults`` prints it as a table.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from langchain_core.outputs import Generation
from tests.faults.proxy import Proxy, proxying
from tests.faults.wire import WIRE

from llm_cache import CacheNamespace, CachePolicy, StoreError, UpstashRedisCache
from llm_cache import cache as cache_module
from llm_cache import namespace as namespace_module
from llm_cache.credentials import Credentials
from llm_cache.store import UpstashStore
from local_cloud.redis_server import RedisServer
from local_cloud.upstash import UpstashEndpoint

TIMEOUT = 0.25
ANSWER = [Generation(text="paid for")]
OTHER = [Generation(text="another")]


@dataclass(frozen=True)
class Cell:
    """What came of one operation that met one fault."""

    got: str
    seconds: float
    requests: int
    """How many requests met the fault, and so how often the caller may have waited."""
    left: list[str]
    """Keys in Redis that should not be there: those without an expiry, but for epochs."""
    after: str
    """What the next lookup, update and lookup gave once the fault was over."""


@dataclass
class Bench:
    """One cache whose requests go through the proxy."""

    proxy: Proxy
    server: RedisServer
    cache: UpstashRedisCache
    namespace: CacheNamespace

    def lookup(self) -> str:
        return _told(self.cache.lookup("known", "model"))

    def update(self) -> str:
        self.proxy.spare = 1
        self.cache.lookup("new", "model")
        self.cache.update("new", "model", ANSWER)
        return "nothing raised"

    def lease(self) -> str:
        self.proxy.spare = 1
        with self.cache.policy(CachePolicy(coalesce="fleet")):
            found = self.cache.lookup("new", "model")
            self.cache.update("new", "model", ANSWER)
        return _told(found)

    def clear(self) -> str:
        return _raised(self.cache.clear)

    def reclaim(self) -> str:
        return _raised(lambda: self.namespace.reclaim(seconds=1))

    async def alookup(self) -> str:
        return _told(await self.cache.alookup("known", "model"))

    async def aupdate(self) -> str:
        self.proxy.spare = 1
        await self.cache.alookup("new", "model")
        await self.cache.aupdate("new", "model", ANSWER)
        return "nothing raised"

    async def alease(self) -> str:
        self.proxy.spare = 1
        with self.cache.policy(CachePolicy(coalesce="fleet")):
            found = await self.cache.alookup("new", "model")
            await self.cache.aupdate("new", "model", ANSWER)
        return _told(found)

    async def aclear(self) -> str:
        try:
            await self.cache.aclear()
        except StoreError as error:
            return type(error).__name__
        return "cleared"

    def left(self) -> list[str]:
        """Return what lies in Redis for ever, or for longer than it may."""
        names = [str(name, "ascii") for name in _listed(self.server.call("KEYS", "*"))]
        lasting = [name for name in names if self.server.call("TTL", name) == -1]
        return [name for name in lasting if ":epoch" not in name]

    def after(self) -> str:
        """Use the cache as if nothing had been."""
        first = self.cache.lookup("after", "model")
        self.cache.update("after", "model", OTHER)
        return f"{_told(first)}, {_told(self.cache.lookup('after', 'model'))}"


def _told(found: object) -> str:
    return "miss" if found is None else "hit" if found in (ANSWER, OTHER) else f"wrong: {found!r}"


def _raised(work: Callable[[], object]) -> str:
    try:
        work()
    except StoreError as error:
        return type(error).__name__
    return "done"


def _listed(value: Any) -> list[bytes]:
    assert isinstance(value, list)
    return value


OPERATIONS = ("lookup", "update", "lease", "clear", "reclaim")
ASYNC = ("alookup", "aupdate", "alease", "aclear")


def cell(fault: str, operation: str, upstash: UpstashEndpoint, server: RedisServer) -> Cell:
    """Let one operation meet one fault."""
    with proxying(upstash.url) as proxy:
        store = UpstashStore(lambda: Credentials(proxy.url, upstash.token))
        cache = UpstashRedisCache(store, namespace="n", timeout=TIMEOUT, lease=5)
        bench = Bench(proxy, server, cache, CacheNamespace(store, "n"))
        cache.update("known", "model", ANSWER)
        proxy.fault = WIRE[fault]
        began = time.monotonic()
        work = getattr(bench, operation)
        got = asyncio.run(_run(work)) if operation in ASYNC else work()
        seconds = time.monotonic() - began
        met = proxy.faulty
        proxy.heal()
        return Cell(got, seconds, met, bench.left(), bench.after())


async def _run(work: Callable[[], Any]) -> str:
    told: str = await work()
    return told


def shorten_what_nobody_waits_for() -> None:
    """Bound what may take its time in production as everything else is here."""
    cache_module.CLEAR_TIMEOUT = TIMEOUT
    namespace_module.COMMAND_TIMEOUT = TIMEOUT
