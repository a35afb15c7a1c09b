"""The two tiers of a cache: the memory of the process, if configured, in front of Redis.

Every change of entries goes through here. The memory tier is invalidated after the command, so that
an entry which was read before the command does not return.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from llm_cache._engine.memory_tier import MemoryTier
from llm_cache._errors import UnreadableEntry
from llm_cache._protocol.effects import Operation
from llm_cache._protocol.lookup import Hit, Miss, judge, lookup
from llm_cache._protocol.request import Request
from llm_cache._protocol.store import store
from llm_cache._reasons import Reason

T = TypeVar("T")


@dataclass(eq=False, repr=False, slots=True)
class Tiers:
    """Reads and changes the entries of one cache."""

    memory: MemoryTier | None

    def remembered(self, request: Request[T]) -> Hit[T] | None:
        """Return the answer in memory if the policy accepts it. No command."""
        if self.memory is None or not request.policy.effective_mode.reads:
            return None
        text = self.memory.get(request.key, request.tags)
        with suppress(UnreadableEntry):
            found = judge(request, (), text) if text else None
            return found if isinstance(found, Hit) else None
        return None

    def lookup(self, request: Request[T]) -> Operation[Hit[T] | Miss[T]]:
        """Look the answer up in Redis, and keep a hit in memory."""
        read_at = self.memory.clock() if self.memory else 0.0
        found = yield from lookup(request)
        if self.memory and isinstance(found, Hit):
            self.memory.put(request.key, request.tags, found.text, read_at=read_at)
        return found

    def store(self, request: Request[Any], **fields: Any) -> Operation[Reason | None]:
        """Store an entry with the fields of ``protocol.store``; forget the one in memory."""
        try:
            return (yield from store(request, **fields))
        finally:
            if self.memory:
                self.memory.discard(request.key)

    def removing(self, operation: Operation[T]) -> Operation[T]:
        """Run a clear or a deletion, and empty the memory."""
        try:
            return (yield from operation)
        finally:
            if self.memory:
                self.memory.clear()
