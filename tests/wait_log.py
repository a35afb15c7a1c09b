"""The pauses that lookups make while they wait for another caller's answer."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from unittest.mock import patch

from llm_cache._protocol import drivers
from llm_cache._protocol.effects import Pause
from upstash_endpoint.children import wait_until


@dataclass
class WaitLog:
    """All pauses, and the pauses that ended before the in-flight call did."""

    pauses: list[Pause] = field(default_factory=list)
    timed_out: list[Pause] = field(default_factory=list)
    waiters: set[tuple[object, object]] = field(default_factory=set)
    """The thread or task of each waiter, with the in-flight call it waits for in this process."""

    def until(self, count: int) -> None:
        """Block until there are ``count`` waiters."""
        wait_until(lambda: len(self.waiters) >= count, seconds=60, what=f"{count} waiters")

    @contextmanager
    def logged(self, caller: object, step: Pause) -> Iterator[None]:
        self.pauses.append(step)
        self.waiters.add((caller, step.until))
        yield
        if step.until and not step.until.done():
            self.timed_out.append(step)


@contextmanager
def logged_waits() -> Iterator[WaitLog]:
    """Log the pauses of all callers inside the block, without changing them."""
    waits, pause, apause = WaitLog(), drivers.pause, drivers.apause

    def logged(step: Pause) -> object:
        with waits.logged(threading.current_thread(), step):
            return pause(step)

    async def alogged(step: Pause) -> object:
        with waits.logged(asyncio.current_task(), step):
            return await apause(step)

    with patch.object(drivers, "pause", logged), patch.object(drivers, "apause", alogged):
        yield waits
