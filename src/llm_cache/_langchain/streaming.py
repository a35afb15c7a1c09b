"""Put the streams of a chat model behind the cache; LangChain itself caches whole answers only.

``cached`` makes a subclass of the model's class whose ``_stream`` and ``_astream`` look up the
cache first. Callbacks, events, tools, structured output and the key stay LangChain's and the
model's own, so an answer stored by ``invoke`` is a hit for ``stream``, and the reverse.
"""

from __future__ import annotations

import functools
import logging
import types
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from langchain_core.globals import get_llm_cache
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.runnables.base import RunnableBindingBase

from llm_cache._langchain.stream_call import StreamCall
from llm_cache._langchain.stream_recorder import StreamRecorder

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Runnable[Any, Any])
if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel as Model
else:
    Model = object


def cached(model: M) -> M:
    """Return the chat model with its streams behind the cache of its other calls.

    The cache is the model's ``cache``, else the global one. Without either, a warning is logged
    once, unless ``cache=False``. The result is a model of the same class, name and state: wrap it
    first, then use ``bind_tools``, ``with_structured_output`` and chains as before. A model with
    bound arguments is accepted too. Raises ``TypeError`` for anything else.

    A hit is streamed in chunks under the run's own id. A miss passes through as it arrives, and is
    stored after its last chunk. It is not stored if the reader left early, or if the model failed,
    was truncated or filtered, or left a tool call unfinished. A failing cache is a miss. Costs as
    many commands as ``invoke``.
    """
    if isinstance(model, _CachedModel):
        return model
    if isinstance(model, BaseChatModel):
        return cast("M", _cached_view(model))
    if isinstance(model, RunnableBindingBase):
        return cast("M", model.model_copy(update={"bound": cached(model.bound)}))
    kind = type(model).__name__
    raise TypeError(f"cached() takes a chat model, not a {kind}: wrap the model, then build on it")


class _CachedModel(Model):
    """Marks calls for which LangChain looks up the cache: their streams skip the lookup."""

    def _generate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        _warn_without_cache(self)
        with _running(self):
            return super()._generate_with_cache(*args, **kwargs)

    async def _agenerate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        _warn_without_cache(self)
        with _running(self):
            return await super()._agenerate_with_cache(*args, **kwargs)


class _CachedStream(Model):
    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        call = _stream_call(self, messages, *args, **kwargs)
        if found := call and call.lookup():
            yield from found
            return
        recorder = StreamRecorder()
        for chunk in _steps(self, super()._stream(messages, *args, **kwargs)):
            recorder.add(chunk)
            yield chunk
        if call:
            call.update(recorder)


class _CachedAsyncStream(Model):
    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = _stream_call(self, messages, *args, **kwargs)
        if found := call and await call.alookup():
            for chunk in found:
                yield chunk
            return
        recorder = StreamRecorder()
        async for chunk in _asteps(self, super()._astream(messages, *args, **kwargs)):
            recorder.add(chunk)
            yield chunk
        if call:
            await call.aupdate(recorder)


def _stream_call(model: BaseChatModel, /, *args: Any, **kwargs: Any) -> StreamCall | None:
    if _running_model.get() is model:
        return None
    _warn_without_cache(model)
    return StreamCall.of(model, *args, **kwargs)


_warned: weakref.WeakValueDictionary[int, BaseChatModel] = weakref.WeakValueDictionary()


def _warn_without_cache(model: Any) -> None:
    if model.cache is None and get_llm_cache() is None and id(model) not in _warned:
        _warned[id(model)] = model
        logger.warning(
            "cached(%s) has no cache and stores nothing: pass the model a cache (cache=...), or "
            "call set_llm_cache; to turn this warning off, set cache=False on the model",
            type(model).__name__,
        )


def _cached_view(model: BaseChatModel) -> BaseChatModel:
    """Return an instance of the subclass that shares the model's state without a copy."""
    kind = _subclass(type(model))
    view = kind.__new__(kind)
    for state in STATE:
        object.__setattr__(view, state, getattr(model, state))
    # Some models close their client in __del__: the view keeps its model alive.
    weakref.finalize(view, _do_nothing, model).atexit = False
    return view


STATE = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def _do_nothing(*_: object) -> None: ...


@functools.cache
def _subclass(of: type[BaseChatModel]) -> type[BaseChatModel]:
    """Return the subclass of a model's class, under the same name: names are part of the key.

    It overrides only the stream methods that ``of`` has, because LangChain looks for them to decide
    whether a model can stream.
    """
    parts = {"_stream": _CachedStream, "_astream": _CachedAsyncStream}
    own = [p for name, p in parts.items() if getattr(of, name) is not getattr(BaseChatModel, name)]
    body = {name: getattr(of, name) for name in ("__module__", "__qualname__", "__doc__")}
    if hasattr(of, "__del__"):
        body["__del__"] = _do_nothing
    options = {"defer_build": True}  # a validator takes milliseconds to build and is never used
    bases = (*own, _CachedModel, of)
    return types.new_class(of.__name__, bases, options, lambda at: at.update(body))


_running_model: ContextVar[object] = ContextVar("llm_cache_running_model", default=None)


@contextmanager
def _running(model: object) -> Iterator[None]:
    """Mark the model as running: a stream that it reads from itself is not a new call."""
    token = _running_model.set(model)
    try:
        yield
    finally:
        _running_model.reset(token)


T = TypeVar("T")


def _steps(model: object, source: Iterator[T]) -> Iterator[T]:
    """Mark the model as running during each step, but not between steps, in the reader's code."""
    steps = iter(source)
    while True:
        with _running(model):
            chunk = next(steps, None)
        if chunk is None:
            return
        yield chunk


async def _asteps(model: object, source: AsyncIterator[T]) -> AsyncIterator[T]:
    steps = aiter(source)
    while True:
        with _running(model):
            chunk = await anext(steps, None)
        if chunk is None:
            return
        yield chunk
