"""Runs the commands of a cache within its time limit, guarded by the circuit breaker."""

from __future__ import annotations

from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_cache._engine import scope
from llm_cache._errors import StoreTimeout
from llm_cache._protocol.drivers import clean_up
from llm_cache._protocol.effects import Command, Operation
from llm_cache._upstash.breaker import Breaker
from llm_cache._upstash.upstash_store import UpstashStore

if TYPE_CHECKING:
    from llm_cache._entries.protection import Protection

RESERVE = 0.25  # seconds of an invocation that are never spent waiting for the cache
CLEAR_TIMEOUT = 30.0  # seconds: a FLUSHDB SYNC of a large database is slow


@dataclass(eq=False, repr=False, slots=True)
class CommandRunner:
    """Runs the commands of one cache. ``timeout``: the seconds a command may take."""

    store: UpstashStore
    breaker: Breaker
    timeout: float
    own_protection: Protection | None

    def execute(self, command: Command[Any]) -> Any:
        """Run a command of a lookup or an update; raise ``StoreError``."""
        return self.store.execute(command.args, _allowed(self.timeout), self._guard)

    async def aexecute(self, command: Command[Any]) -> Any:
        """Run a command as ``execute`` does."""
        return await self.store.aexecute(command.args, _allowed(self.timeout), self._guard)

    def execute_clear(self, command: Command[Any]) -> Any:
        """Run a command of a clear or a deletion, even if the circuit is open."""
        return self.store.execute(command.args, CLEAR_TIMEOUT)

    async def aexecute_clear(self, command: Command[Any]) -> Any:
        """Run a command as ``execute_clear`` does."""
        return await self.store.aexecute(command.args, CLEAR_TIMEOUT)

    def protection(self) -> Protection | None:
        """Return the protection of the entries, if any; the first call may read the secrets."""
        secrets = self.store.secrets(seconds_left)
        return self.own_protection or secrets.protection

    async def read_secrets(self) -> None:
        """Read the secrets without blocking the event loop; raise ``StoreError``."""
        await self.store.asecrets(seconds_left)

    async def prefetch_secrets(self) -> None:
        """Read the secrets; after a failed read, ``protection`` raises its error at once."""
        with suppress(Exception):
            await self.read_secrets()

    def clean_up(self, operation: Operation[Any], *, wait: bool = True) -> None:
        """Run a best-effort operation; see ``drivers.clean_up``."""
        clean_up(operation, self.execute, wait=wait)

    def _guard(self, seconds: float) -> AbstractContextManager[None]:
        return self.breaker.guard(fair=seconds >= self.timeout)


def seconds_left(seconds: float) -> float:
    """Return ``seconds``, or less if the invocation ends earlier; 0 or less: none."""
    left = scope.time_left()
    return seconds if left is None else min(seconds, left - RESERVE)


def _allowed(timeout: float) -> float:
    seconds = seconds_left(timeout)
    if seconds <= 0:
        raise StoreTimeout("the invocation has no time left for the cache")
    return seconds
