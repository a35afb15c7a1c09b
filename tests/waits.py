"""The waits of callers for one another's answers, as a lookup asks its driver for them."""

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
class Waits:
    """Each pause that was asked for, and those for a leader that had not ended when they did."""

    asked: list[Pause] = field(default_factory=list)
    in_vain: list[Pause] = field(default_factory=list)
    begun: set[tuple[object, object]] = field(default_factory=set)
    """Which thread or task has waited, and for which call in its process, if for one."""

    def of(self, count: int) -> None:
        """Return once so many waits have begun, counting one for each caller and call."""
        wait_until(lambda: len(self.begun) >= count, seconds=60, what=f"{count} waits")

    @contextmanager
    def noted(self, caller: object, step: Pause) -> Iterator[None]:
        self.asked.append(step)
        self.begun.add((caller, step.until))
        yield
        if step.until and not step.until.done():
            self.in_vain.append(step)


@contextmanager
def waiting() -> Iterator[Waits]:
    """Note the waits of all callers inside the block; they wait as they would without it."""
    waits, pause, apause = Waits(), drivers.pause, drivers.apause

    def noted(step: Pause) -> object:
        with waits.noted(threading.current_thread(), step):
            return pause(step)

    async def anoted(step: Pause) -> object:
        with waits.noted(asyncio.current_task(), step):
            return await apause(step)

    with patch.object(drivers, "pause", noted), patch.object(drivers, "apause", anoted):
        yield waits
