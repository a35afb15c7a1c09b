"""One stream's dealings with the cache that LangChain would ask for the same call."""

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
from llm_cache._langchain.hit_chunks import Recording, split

logger = logging.getLogger(__name__)

T = TypeVar("T")


class Call(NamedTuple):
    """A stream's lookup and update.

    Both happen in one context, a copy of the one the stream began in: the cache remembers in it
    what the lookup saw, and each chunk may be asked for from another context, or another thread.
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
        run_manager: object = None,  # noqa: ARG003  no part of the key
        **kwargs: Any,
    ) -> Call | None:
        """Return the dealings LangChain would have, by its own key; None: there is no cache."""
        cache = _cache_of(model)
        several = (kwargs.get("n") or getattr(model, "n", None) or 1) != 1
        if cache is None or several:
            return None
        with _harmless("key"):
            settings = model._get_llm_string(stop=stop, **kwargs)  # noqa: SLF001  the key's half
            return cls(model, cache, (_prompt(messages), settings), copy_context())
        return None

    def lookup(self) -> list[ChatGenerationChunk] | None:
        """Return the stored answer in chunks, or None."""
        with _harmless("lookup"):
            return self._chunks(self.context.run(self.cache.lookup, *self.key))
        return None

    async def alookup(self) -> list[ChatGenerationChunk] | None:
        """Return the stored answer in chunks, or None."""
        with _harmless("lookup"):
            return self._chunks(await self._run(self.cache.alookup(*self.key)))
        return None

    def update(self, recording: Recording) -> None:
        """Store the answer of a stream that ended well."""
        with _harmless("update"):
            if answer := recording.answer(blocks=self._blocks):
                self.context.run(self.cache.update, *self.key, [answer])

    async def aupdate(self, recording: Recording) -> None:
        """Store the answer of a stream that ended well."""
        with _harmless("update"):
            if answer := recording.answer(blocks=self._blocks):
                await self._run(self.cache.aupdate(*self.key, [answer]))

    def _chunks(self, found: Any) -> list[ChatGenerationChunk] | None:
        answers = isinstance(found, list) and found
        return split(answers[0], number=self._blocks) if answers else None

    async def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return await asyncio.get_running_loop().create_task(coroutine, context=self.context)

    @property
    def _blocks(self) -> bool:
        return self.model.output_version == "v1"


def _prompt(messages: list[BaseMessage]) -> str:
    """Return LangChain's key half: messages without their ids."""
    return dumps([m if m.id is None else m.model_copy(update={"id": None}) for m in messages])


def _cache_of(model: BaseChatModel) -> BaseCache | None:
    if model.cache is False:
        return None
    cache = model.cache if isinstance(model.cache, BaseCache) else get_llm_cache()
    if cache is None and model.cache:
        raise ValueError("Asked to cache, but no cache found at `langchain.cache`.")
    return cache


@contextmanager
def _harmless(doing: str) -> Iterator[None]:
    """Keep a failure of the cache from the reader, unless the reader's policy asked to be told."""
    try:
        yield
    except CacheMiss:
        raise
    except Exception as error:  # noqa: BLE001  a cache failure is never the caller's
        logger.warning("cache %s failed: %s", doing, type(error).__name__)
