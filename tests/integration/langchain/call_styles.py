"""All the styles in which LangChain calls a chat model, each as a function of model and input."""

import asyncio
from collections.abc import Callable
from functools import reduce
from operator import add
from typing import Any

from langchain_core.messages import AIMessageChunk

from llm_cache import cached


def stream(model: Any, value: Any = "q", **config: Any) -> list[Any]:
    """Return the chunks of a cached stream."""
    return list(cached(model).stream(value, config))


async def read(model: Any, value: Any = "q", **config: Any) -> list[Any]:
    """Return the chunks of an asynchronous cached stream."""
    return [chunk async for chunk in cached(model).astream(value, config)]


def astream(model: Any, value: Any = "q", **config: Any) -> list[Any]:
    """Return the chunks of a cached stream that an event loop of its own reads."""
    return asyncio.run(read(model, value, **config))


def whole(chunks: list[Any]) -> AIMessageChunk:
    """Return the sum of a stream's chunks."""
    merged: AIMessageChunk = reduce(add, chunks)
    return merged


CallStyle = Callable[..., Any]
STREAM_STYLES: dict[str, CallStyle] = {"stream": stream, "astream": astream}
CALL_STYLES: dict[str, CallStyle] = {
    "invoke": lambda model, value="q", **config: model.invoke(value, config),
    "batch": lambda model, value="q", **config: model.batch([value], config)[0],
    "ainvoke": lambda model, value="q", **config: asyncio.run(model.ainvoke(value, config)),
    "abatch": lambda model, value="q", **config: asyncio.run(model.abatch([value], config))[0],
    "stream": lambda *args, **config: whole(stream(*args, **config)),
    "astream": lambda *args, **config: whole(astream(*args, **config)),
}
