"""A stale answer in place of an error (RFC 5861, section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from llm_cache._engine.scope import entered
from llm_cache._langchain.hit_metadata import marked
from llm_cache._policy.cache_policy import CachePolicy


def or_stale(model: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Return ``model``, which serves an expired answer when it fails.

    There is one when the policy around the call has ``stale_if_error``, and so had the policy under
    which the answer was stored; otherwise the model's error passes. A chat message so served says
    it in ``response_metadata["cache"]``, whatever the cache's ``mark_hits``: it is ``stale``, no
    ``hit``, and its ``ttl`` is negative, the seconds since it expired (see ``hits.marked``). The
    report counts it under ``Status.STALE``. Costs nothing more than the lookup that missed.
    """

    def invoke(given: Any, config: RunnableConfig) -> Any:
        with _served_on_error() as served:
            return model.invoke(given, config)
        return served[0]

    async def ainvoke(given: Any, config: RunnableConfig) -> Any:
        with _served_on_error() as served:
            return await model.ainvoke(given, config)
        return served[0]

    return RunnableLambda(invoke, ainvoke, name="or_stale")


@contextmanager
def _served_on_error() -> Iterator[list[Any]]:
    """Swallow a block's error if its lookup saw an answer to spare; that is then in the list."""
    served: list[Any] = []
    with entered(CachePolicy(), None) as report:
        try:
            yield served
        except Exception:
            if (spare := report.serve_stale()) is None:
                raise
            outcome, answer = spare
            served.append(_output(marked(answer, outcome)[0]))


def _output(generation: Generation) -> BaseMessage | str:
    return generation.message if isinstance(generation, ChatGeneration) else generation.text
