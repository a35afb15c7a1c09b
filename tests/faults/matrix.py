"""Run each operation into each fault: result, seconds, keys left behind, and use afterwards.

``make faults`` writes the results to README.md in this folder.
"""

import base64
import math
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from langchain_core.outputs import Generation
from tests.faults.connection_faults import CONNECTION_FAULTS
from tests.faults.either_client import EitherClient
from tests.faults.faulty_proxy import Misbehaviour
from tests.faults.http_faults import HTTP_FAULTS
from tests.faults.redis_faults import REDIS_FAULTS
from tests.faults.route import Begin, Fault, Route

from llm_cache import (
    Breaker,
    CacheNamespace,
    CachePolicy,
    Encryption,
    StoreError,
    UpstashRedisCache,
)
from llm_cache._admin import namespace
from llm_cache._engine import command_runner
from llm_cache._entries.keys import Keyspace
from llm_cache._protocol import clearing
from llm_cache._protocol.drivers import run
from llm_cache._upstash.upstash_store import UpstashStore

TIMEOUT = 0.4  # seconds of one command
PATIENCE = 10.0  # seconds of a command that succeeds, on a busy machine
ANSWER = [Generation(text="paid for")]


def on_request(misbehave: Misbehaviour) -> Begin:
    return lambda route: patch.object(route.proxy, "misbehave", misbehave)


FAULTS: dict[str, Fault] = {
    **CONNECTION_FAULTS,
    **{
        f"HTTP: {name}": Fault(on_request(misbehave), error, readable=error is None)
        for name, (misbehave, error) in HTTP_FAULTS.items()
    },
    **REDIS_FAULTS,
}
KEY = base64.b64encode(bytes(32)).decode()


class CacheUnderFault(EitherClient):
    def __init__(self, route: Route, operation: "Operation") -> None:
        self.store = UpstashStore(lambda: route.credentials)
        never = Breaker(failures=math.inf)  # every command meets the fault
        protection = Encryption(KEY) if operation.work is encrypted else None
        cache = UpstashRedisCache(
            self.store, namespace="n", lease=5, breaker=never, protection=protection
        )
        super().__init__(cache, operation.blocking)
        self.cache = cache

    def clear_patiently(self) -> None:
        """Clear the namespace without the timeout of a clear."""
        work = clearing.clear(Keyspace("n"), token="before", now=0.0)
        run(work, lambda step: self.store.execute(step.args, PATIENCE))

    async def lookup(self, question: str) -> str:
        found = await self.call("lookup", question, "model")
        return "miss" if found is None else "hit" if found == ANSWER else f"wrong: {found}"

    async def update(self, question: str) -> None:
        await self.call("update", question, "model", ANSWER)


async def lookup(it: CacheUnderFault) -> str:
    return await it.lookup("known")


async def update(it: CacheUnderFault) -> str:
    await it.lookup("new")
    await it.update("new")
    return "nothing raised"


async def encrypted(it: CacheUnderFault) -> str:
    return await update(it)


async def lease(it: CacheUnderFault) -> str:
    with it.cache.policy(CachePolicy(coalesce="fleet")):
        found = await it.lookup("new")
        await it.update("new")
    return found


async def clear(it: CacheUnderFault) -> str:
    await it.call("clear")
    return "done"


async def delete(it: CacheUnderFault) -> str:
    await it.call("delete", "known", "model")
    return "deleted"


async def reclaim(it: CacheUnderFault) -> str:
    failure = CacheNamespace(it.store, "n").reclaim(seconds=0).failure
    return type(failure).__name__ if failure else "freed"


@dataclass(frozen=True, slots=True)
class Operation:
    work: Callable[[CacheUnderFault], Coroutine[Any, Any, str]]
    success: str = ""
    """The result of an operation that raises otherwise."""
    before: int = 0
    """Requests before the fault begins."""
    commands: int = 1
    """Commands that may each take the timeout."""
    blocking: bool = True


_EACH = {
    "lookup": Operation(lookup),
    "update": Operation(update, before=1),
    "lease": Operation(lease, before=1, commands=2),  # takes the lease, and stores
    "encrypted": Operation(encrypted, before=1),
    "clear": Operation(clear, "done"),
    "delete": Operation(delete, "deleted"),
}
OPERATIONS = {
    **_EACH,
    "reclaim": Operation(reclaim, "freed"),
    **{f"a{name}": replace(operation, blocking=False) for name, operation in _EACH.items()},
}


def expected(fault: str, operation: str) -> str:
    """Return the result that the documentation promises."""
    error, success = FAULTS[fault].error, OPERATIONS[operation].success
    if success:
        return error.__name__ if error else success
    if operation.endswith("lookup"):
        return "hit" if FAULTS[fault].readable else "miss"
    return "miss" if operation.endswith("lease") else "nothing raised"


def allowed(fault: str) -> float:
    """Return the timeout of a command: long if some commands succeed."""
    return PATIENCE if FAULTS[fault].readable else TIMEOUT


def budget(operation: str) -> float:
    """Return the seconds that an operation may take."""
    return OPERATIONS[operation].commands * TIMEOUT


@dataclass(frozen=True)
class Cell:
    """The result of one operation that met one fault."""

    fault: str
    operation: str
    got: str
    seconds: float
    ended: float
    """Seconds until the event loop had ended, after a best-effort release of the lease."""
    met: int
    """Requests, connections and resolutions that met the fault."""
    left: list[str]
    """Keys in Redis without an expiry, except epochs."""
    known: str
    """The result of a lookup of the stored answer, after the fault."""
    after: str
    """The results of a lookup, an update and a lookup, after the fault."""

    def problems(self, margin: float) -> list[str]:
        """Return what differs from the promise; ``margin`` is in seconds."""
        wanted, fault = expected(self.fault, self.operation), FAULTS[self.fault]
        raising = fault.error and OPERATIONS[self.operation].success
        gone = fault.loses_data or self.got in {"done", "deleted"}
        known = {"miss"} if gone else {"hit", "miss"} if raising else {"hit"}
        checks = {
            "the operation did not meet the fault": self.met >= 1,
            f"the result is not {wanted}": self.got in {wanted, raising and "StoreTimeout"},
            "too slow": self.seconds <= budget(self.operation) + margin,
            "the event loop ends late": self.ended <= budget(self.operation) + TIMEOUT + margin,
            "a key without an expiry is left": self.left == [],
            f"the stored answer is not {known}": self.known in known,
            "the cache does not work afterwards": self.after == "miss, hit",
        }
        return [f"{self}: {problem}" for problem, holds in checks.items() if not holds]


def run_cell(fault: str, operation: str, route: Route) -> Cell:
    column, began = OPERATIONS[operation], []
    it = CacheUnderFault(route, column)

    @contextmanager
    def broken(route: Route) -> Iterator[None]:
        with FAULTS[fault].begin(route):
            it.cache._runner.timeout = allowed(fault)
            began.append(time.monotonic())
            yield

    async def meet() -> tuple[str, float]:
        it.cache._runner.timeout = PATIENCE
        await it.update("cleared")
        it.clear_patiently()
        await it.update("known")
        route.begin(broken, after=column.before)
        try:
            got = await column.work(it)
        except StoreError as error:
            got = type(error).__name__
        return got, time.monotonic() - began[0]

    async def use() -> tuple[str, str]:
        it.cache._runner.timeout = PATIENCE
        known, first = await it.lookup("known"), await it.lookup("after")
        await it.update("after")
        return known, f"{first}, {await it.lookup('after')}"

    got, seconds = it.run(meet())
    ended, met = time.monotonic() - began[0], route.met
    route.end()
    return Cell(
        fault, operation, got, seconds, ended, met, _keys_without_expiry(route), *it.run(use())
    )


def _keys_without_expiry(route: Route) -> list[str]:
    keys = route.server.call("KEYS", "*")
    assert isinstance(keys, list)
    names = [key.decode() for key in keys if isinstance(key, bytes)]
    return [key for key in names if ":epoch" not in key and route.server.call("TTL", key) == -1]


@contextmanager
def short_timeouts(seconds: float = TIMEOUT) -> Iterator[None]:
    """Shorten the fixed timeouts of clears and of the namespace."""
    with (
        patch.object(command_runner, "CLEAR_TIMEOUT", seconds),
        patch.object(namespace, "COMMAND_TIMEOUT", seconds),
    ):
        yield
