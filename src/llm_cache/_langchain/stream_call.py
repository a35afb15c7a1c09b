"""The cache lookup and update of one streamed model call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, copy_context
from typing import Any, NamedTuple, TypeVar

from langchain_core.caches import BaseCache
from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk

from llm_cache._errors import CacheMiss
from llm_cache._langchain.hit_chunks import split_answer
from llm_cache._langchain.stream_recorder import StreamRecorder

logger = logging.getLogger(__name__)

T = TypeVar("T")


class StreamCall(NamedTuple):
    """One streamed model call, with the cache and the key that LangChain uses for ``invoke``.

    Lookup and update run in one context, a copy of the context in which the stream began. The cache
    remembers the lookup there, and each chunk may be read in another context or thread.
    """

    model: BaseChatModel
    cache: BaseCache
    key: tuple[str, str]
    context: Context

    @classmethod
    def of(
        cls,
        model: BaseChatModel,
        messages: list[BaseMessage],
        /,
        stop: list[str] | None = None,
        run_manager: object = None,  # noqa: ARG003  not part of the key
        **kwargs: Any,
    ) -> StreamCall | None:
        """Return the call; None if there is no cache, or if the call has several choices."""
        cache = _cache_of(model)
        several = (kwargs.get("n") or getattr(model, "n", None) or 1) != 1
        if cache is None or several:
            return None
        with _errors_logged("key"):
            settings = model._get_llm_string(stop=stop, **kwargs)  # noqa: SLF001  LangChain's key
            return cls(model, cache, (_prompt(messages), settings), copy_context())
        return None

    def lookup(self) -> list[ChatGenerationChunk] | None:
        """Return the stored answer in chunks, or None."""
        with _errors_logged("lookup"):
            return self._chunks(self.context.run(self.cache.lookup, *self.key))
        return None

    async def alookup(self) -> list[ChatGenerationChunk] | None:
        """Return the stored answer in chunks, or None."""
        with _errors_logged("lookup"):
            return self._chunks(await self._run(self.cache.alookup(*self.key)))
        return None

    def update(self, recorder: StreamRecorder) -> None:
        """Store the answer, if the stream ended well."""
        with _errors_logged("update"):
            if answer := recorder.answer(standard_blocks=self._standard_blocks):
                self.context.run(self.cache.update, *self.key, [answer])

    async def aupdate(self, recorder: StreamRecorder) -> None:
        """Store the answer, if the stream ended well."""
        with _errors_logged("update"):
            if answer := recorder.answer(standard_blocks=self._standard_blocks):
                await self._run(self.cache.aupdate(*self.key, [answer]))

    def _chunks(self, found: Any) -> list[ChatGenerationChunk] | None:
        if not isinstance(found, list) or not found:
            return None
        return split_answer(found[0], standard_blocks=self._standard_blocks)

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return await asyncio.get_running_loop().create_task(coroutine, context=self.context)

    @property
    def _standard_blocks(self) -> bool:
        return self.model.output_version == "v1"


def _prompt(messages: list[BaseMessage]) -> str:
    """Return the prompt as LangChain writes it for a key: without the messages' ids."""
    return dumps([m if m.id is None else m.model_copy(update={"id": None}) for m in messages])


def _cache_of(model: BaseChatModel) -> BaseCache | None:
    if model.cache is False:
        return None
    cache = model.cache if isinstance(model.cache, BaseCache) else get_llm_cache()
    if cache is None and model.cache:
        raise ValueError("Asked to cache, but no cache found at `langchain.cache`.")
    return cache


@contextmanager
def _errors_logged(action: str) -> Iterator[None]:
    """Log a failure of the cache; raise only ``CacheMiss``."""
    try:
        yield
    except CacheMiss:
        raise
    except Exception as error:  # noqa: BLE001  a cache failure never reaches the caller
        logger.warning("cache %s failed: %s", action, type(error).__name__)
