"""Operations of a cache or a store, written once and run blocking or on an event loop."""

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from llm_cache import UpstashRedisCache
from llm_cache._upstash.upstash_store import UpstashStore

T = TypeVar("T")


@dataclass
class EitherClient:
    target: UpstashRedisCache | UpstashStore
    blocking: bool = True

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run an operation to its end; a blocking one without an event loop."""
        if not self.blocking:
            return asyncio.run(work)
        try:
            work.send(None)
        except StopIteration as done:
            result: T = done.value
            return result
        raise AssertionError("a blocking operation waited for an event loop")

    async def call(self, method: str, *args: Any, **options: Any) -> Any:
        """Call a method, or its asynchronous twin, which has an ``a`` in front."""
        if self.blocking:
            return getattr(self.target, method)(*args, **options)
        return await getattr(self.target, f"a{method}")(*args, **options)

    async def sleep(self, seconds: float) -> None:
        if self.blocking:
            time.sleep(seconds)  # noqa: ASYNC251  there is no event loop
        else:
            await asyncio.sleep(seconds)
