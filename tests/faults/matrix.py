"""Each fault at each operation: what the caller gets, how long it takes, what is left, what next.

``make faults`` writes it down as the table that is kept beside this.
"""

import asyncio
import base64
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from langchain_core.outputs import Generation
from tests.faults.breaks import FAULTS
from tests.faults.line import Line

from llm_cache import (
    Breaker,
    CacheNamespace,
    CachePolicy,
    Encryption,
    StoreError,
    UpstashRedisCache,
)
from llm_cache._admin import namespace as namespace_module
from llm_cache._engine import command_runner
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol import clearing
from llm_cache._protocol.drivers import run
from llm_cache._upstash.upstash_store import UpstashStore

TIMEOUT = 0.4
PATIENCE = 10.0  # seconds one command may take while nothing is wrong, on a busy machine
ANSWER = [Generation(text="paid for")]
OTHER = [Generation(text="another")]
KEY = base64.b64encode(bytes(32)).decode()
T = TypeVar("T")


@dataclass(frozen=True)
class Cell:
    """What came of one operation that met one fault."""

    got: str
    seconds: float
    met: int
    """How many requests, connections and resolutions met the fault."""
    left: list[str]
    """Keys in Redis that should not be there: those without an expiry, but for epochs."""
    known: str
    """What a lookup of what had been stored gave once the fault was over."""
    after: str
    """What a lookup, an update and a lookup gave then."""
    may_be_known: frozenset[str]
    """What may have become of what had been stored."""

    @property
    def well(self) -> bool:
        """Whether nothing is left behind, and all is as if nothing had been."""
        return self.left == [] and self.after == "miss, hit" and self.known in self.may_be_known


class Bench:
    """One cache behind the line, asked in one of two ways: blocking, or on an event loop."""

    def __init__(self, line: Line, *, blocking: bool) -> None:
        self.store = store = UpstashStore(lambda: line.at)
        self.line = line
        self.blocking = blocking
        # test_quota.py has what an open circuit does; here every command is to meet the fault.
        never = Breaker(failures=math.inf)
        self.cache = UpstashRedisCache(
            store, namespace="n", timeout=TIMEOUT, lease=5, breaker=never
        )
        self.namespace = CacheNamespace(store, "n")
        self.protecting = UpstashRedisCache(
            store, namespace="n", timeout=TIMEOUT, protection=Encryption(KEY), breaker=never
        )

    def allow(self, seconds: float) -> None:
        """Let each command take so long."""
        self.cache._runner.timeout = self.protecting._runner.timeout = seconds

    def clear_patiently(self) -> None:
        """Clear the namespace before anything is wrong, whatever a clear may take otherwise."""
        work = clearing.clear(Keyspace("n"), token="before", now=0.0)
        run(work, lambda step: self.store.execute(step, PATIENCE))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run an operation to its end, and without an event loop if it is a blocking one."""
        if not self.blocking:
            return asyncio.run(work)
        try:
            work.send(None)
        except StopIteration as done:
            result: T = done.value
            return result
        raise AssertionError("a blocking operation has waited")

    async def lookup(self, question: str, cache: UpstashRedisCache | None = None) -> str:
        cache = cache or self.cache
        found = await self._call(cache.lookup, cache.alookup, question, "model")
        return "miss" if found is None else "hit" if found in (ANSWER, OTHER) else f"wrong: {found}"

    async def update(
        self, question: str, answer: list[Generation], cache: UpstashRedisCache | None = None
    ) -> None:
        cache = cache or self.cache
        await self._call(cache.update, cache.aupdate, question, "model", answer)

    async def _call(
        self, blocking: Callable[..., Any], other: Callable[..., Awaitable[Any]], *args: Any
    ) -> Any:
        return blocking(*args) if self.blocking else await other(*args)


async def lookup(bench: Bench) -> str:
    return await bench.lookup("known")


async def update(bench: Bench) -> str:
    await bench.lookup("new")
    await bench.update("new", ANSWER)
    return "nothing raised"


async def lease(bench: Bench) -> str:
    with bench.cache.policy(CachePolicy(coalesce="fleet")):
        found = await bench.lookup("new")
        await bench.update("new", ANSWER)
    return found


async def protected(bench: Bench) -> str:
    await bench.lookup("new", bench.protecting)
    await bench.update("new", ANSWER, bench.protecting)
    return "nothing raised"


async def clear(bench: Bench) -> str:
    return await _told(bench._call(bench.cache.clear, bench.cache.aclear))


async def delete(bench: Bench) -> str:
    return await _told(
        bench._call(bench.cache.delete, bench.cache.adelete, "known", "model"), "deleted"
    )


async def reclaim(bench: Bench) -> str:
    failure = bench.namespace.reclaim(seconds=0).failure
    return type(failure).__name__ if failure else "freed"


async def _told(work: Awaitable[object], told: str = "done") -> str:
    try:
        await work
    except StoreError as error:
        return type(error).__name__
    return told


@dataclass(frozen=True)
class Operation:
    """One column of the matrix."""

    work: Callable[[Bench], Coroutine[Any, Any, str]]
    before: int = 0
    """How many requests go well before the fault begins."""
    waits: int = 1
    """How often the caller may wait for one command."""
    blocking: bool = field(default=True, kw_only=True)


_EACH = {
    "lookup": (lookup, 0, 1),
    "update": (update, 1, 1),
    "lease": (lease, 1, 2),  # for the lease, and to store
    "protected": (protected, 1, 1),
    "clear": (clear, 0, 1),
    "delete": (delete, 0, 1),
}
OPERATIONS = {
    **{name: Operation(work, before, n) for name, (work, before, n) in _EACH.items()},
    "reclaim": Operation(reclaim),
    **{
        f"a{name}": Operation(work, before, n, blocking=False)
        for name, (work, before, n) in _EACH.items()
    },
}
TELL = {"clear", "aclear", "delete", "adelete", "reclaim"}
"""Those that say when they could not do what they were asked; who is told so, cannot be sure."""
UNNOTICED = {"HTTP: each reply twice"}
READABLE = {"Redis: full", "Redis: read only", "Redis: no right to write"}
DELETABLE = {"Redis: full"}  # and so it can be cleared, and made room in
LOSE_ALL = {"Redis: gone", "Redis: killed mid-command", "Redis: killed mid-command and restarted"}
ERRORS = {"StoreTimeout", "StoreUnavailable", "StoreRefused", "QuotaExceeded", "StoreGarbled"}


def promised(fault: str, operation: str) -> set[str]:
    """Return what the caller may get."""
    if operation in TELL:
        return {"done", "deleted", "freed"} if fault in UNNOTICED | DELETABLE else ERRORS
    if operation.endswith("lookup"):
        return {"hit"} if fault in READABLE | UNNOTICED else {"miss"}
    return {"miss"} if operation.endswith("lease") else {"nothing raised"}


def allowed(fault: str) -> float:
    """Return the seconds that a command may take: many where some go well, and none hangs."""
    return PATIENCE if fault in READABLE | UNNOTICED else TIMEOUT


def budget(operation: str) -> float:
    """Return the seconds that it may take."""
    return OPERATIONS[operation].waits * TIMEOUT


def cell(fault: str, operation: str, line: Line) -> Cell:
    """Let one operation meet one fault."""
    asked = OPERATIONS[operation]
    bench = Bench(line, blocking=asked.blocking)

    began: list[float] = []

    @contextmanager
    def broken(line: Line) -> Iterator[None]:
        with FAULTS[fault](line):
            bench.allow(allowed(fault))
            began.append(time.monotonic())
            yield

    async def meet() -> tuple[str, float]:
        bench.allow(PATIENCE)
        await bench.update("cleared", ANSWER)
        bench.clear_patiently()
        await bench.update("known", ANSWER)
        line.begin(broken, after=asked.before)
        return await asked.work(bench), time.monotonic() - began[0]

    async def afterwards() -> tuple[str, str]:
        bench.allow(PATIENCE)
        known, first = await bench.lookup("known"), await bench.lookup("after")
        await bench.update("after", OTHER)
        return known, f"{first}, {await bench.lookup('after')}"

    got, seconds = bench.run(meet())
    met = line.met
    line.end()
    left = _left(line)
    known, after = bench.run(afterwards())
    return Cell(got, seconds, met, left, known, after, _may_be_known(fault, operation, got))


def _may_be_known(fault: str, operation: str, got: str) -> frozenset[str]:
    if got in ("done", "deleted") or fault in LOSE_ALL:
        return frozenset({"miss"})
    return frozenset({"hit", "miss"} if operation in TELL else {"hit"})


def _left(line: Line) -> list[str]:
    """Return what lies in Redis for ever; an epoch may."""
    keys = line.server.call("KEYS", "*")
    assert isinstance(keys, list)
    names = [key.decode() for key in keys if isinstance(key, bytes)]
    lasting = [name for name in names if line.server.call("TTL", name) == -1]
    return [name for name in lasting if ":epoch" not in name]


def shorten_what_nobody_waits_for() -> None:
    """Bound what may take its time in production as everything else is here."""
    command_runner.CLEAR_TIMEOUT = TIMEOUT
    namespace_module.COMMAND_TIMEOUT = TIMEOUT
