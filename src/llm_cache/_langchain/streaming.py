"""Streams behind the cache: LangChain consults one for whole answers only.

``cached`` gives a model's class a subclass whose ``_stream`` and ``_astream`` ask the cache first.
All else stays LangChain's and the model's own: callbacks, events, tools, structured output, and
the key, so that an answer stored by ``invoke`` is a hit for ``stream`` and the other way round.
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

from llm_cache._langchain.hit_chunks import Recording
from llm_cache._langchain.stream_call import Call

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Runnable[Any, Any])
if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel as Model
else:
    Model = object


def cached(model: M) -> M:
    """Return the chat model with its streams behind the cache that its other calls use.

    That is its own ``cache``, else the global one; with neither, a warning is logged once, unless
    ``cache=False`` wants none. What comes back is a model of the same class, name and state, so
    wrap it first and build on it: ``bind_tools``, ``with_structured_output`` and chains work as
    ever. A model that already has arguments bound is taken too. Raises ``TypeError`` for anything
    else.

    A hit comes in chunks under the run's own id. A miss passes through as it comes, and is stored
    after its last chunk: not when the reader left early, the model failed, was cut short or
    filtered, or left a tool call unfinished. A failing cache is a miss. Costs what ``invoke`` does.
    """
    if isinstance(model, _Cached):
        return model
    if isinstance(model, BaseChatModel):
        return cast("M", _view(model))
    if isinstance(model, RunnableBindingBase):
        return cast("M", model.model_copy(update={"bound": cached(model.bound)}))
    kind = type(model).__name__
    raise TypeError(f"cached() takes a chat model, not a {kind}: wrap the model, then build on it")


class _Cached(Model):
    """Knows when LangChain, inside ``invoke``, has asked the cache already."""

    def _generate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        _warn_without_cache(self)
        with _answering(self):
            return super()._generate_with_cache(*args, **kwargs)

    async def _agenerate_with_cache(self, *args: Any, **kwargs: Any) -> ChatResult:
        _warn_without_cache(self)
        with _answering(self):
            return await super()._agenerate_with_cache(*args, **kwargs)


class _Streams(Model):
    def _stream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        call = _call(self, messages, *args, **kwargs)
        if found := call and call.lookup():
            yield from found
            return
        recording = Recording()
        for chunk in _steps(self, super()._stream(messages, *args, **kwargs)):
            recording.add(chunk)
            yield chunk
        if call:
            call.update(recording)


class _AsyncStreams(Model):
    async def _astream(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = _call(self, messages, *args, **kwargs)
        if found := call and await call.alookup():
            for chunk in found:
                yield chunk
            return
        recording = Recording()
        async for chunk in _asteps(self, super()._astream(messages, *args, **kwargs)):
            recording.add(chunk)
            yield chunk
        if call:
            await call.aupdate(recording)


def _call(model: BaseChatModel, /, *args: Any, **kwargs: Any) -> Call | None:
    if _answers.get() is model:
        return None
    _warn_without_cache(model)
    return Call.of(model, *args, **kwargs)


_warned: weakref.WeakValueDictionary[int, BaseChatModel] = weakref.WeakValueDictionary()


def _warn_without_cache(model: Any) -> None:
    """Log, once for a model, that it has no cache, unless ``cache=False`` wants none."""
    if model.cache is None and get_llm_cache() is None and id(model) not in _warned:
        _warned[id(model)] = model
        logger.warning(
            "cached(%s) has no cache and stores nothing: give the model one (cache=...), or call "
            "set_llm_cache; cache=False on the model is silent",
            type(model).__name__,
        )


def _view(model: BaseChatModel) -> BaseChatModel:
    """Return the same model, its state shared and not copied, under the subclass."""
    kind = _subclass(type(model))
    view = kind.__new__(kind)
    for state in STATE:
        object.__setattr__(view, state, getattr(model, state))
    # Some models close their client when collected: the view keeps its own from that.
    weakref.finalize(view, _release, model).atexit = False
    return view


STATE = ("__dict__", "__pydantic_fields_set__", "__pydantic_extra__", "__pydantic_private__")


def _release(*_: object) -> None:
    """Let go of what was kept, or of what is not this object's to close."""


@functools.cache
def _subclass(of: type[BaseChatModel]) -> type[BaseChatModel]:
    """Return the class that stands in for ``of``, by its name: names are part of the key.

    It overrides only what ``of`` has of its own, since LangChain looks there for what can stream.
    """
    parts = {"_stream": _Streams, "_astream": _AsyncStreams}
    own = [part for name, part in parts.items() if _overrides(of, name)]
    body = {name: getattr(of, name) for name in ("__module__", "__qualname__", "__doc__")}
    if hasattr(of, "__del__"):
        body["__del__"] = _release
    # Nothing is validated by this class, so the milliseconds that a validator takes are spared.
    options = {"defer_build": True}
    return types.new_class(of.__name__, (*own, _Cached, of), options, lambda at: at.update(body))


def _overrides(of: type, name: str) -> bool:
    return getattr(of, name) is not getattr(BaseChatModel, name)


_answers: ContextVar[object] = ContextVar("llm_cache_answers", default=None)


@contextmanager
def _answering(model: object) -> Iterator[None]:
    """Mark what runs inside as the model at work: streams it reads from itself are no new calls."""
    token = _answers.set(model)
    try:
        yield
    finally:
        _answers.reset(token)


T = TypeVar("T")


def _steps(model: object, source: Iterator[T]) -> Iterator[T]:
    """Mark each step, and not the pauses between them, which belong to the reader."""
    steps = iter(source)
    while True:
        with _answering(model):
            chunk = next(steps, None)
        if chunk is None:
            return
        yield chunk


async def _asteps(model: object, source: AsyncIterator[T]) -> AsyncIterator[T]:
    steps = aiter(source)
    while True:
        with _answering(model):
            chunk = await anext(steps, None)
        if chunk is None:
            return
        yield chunk
