"""Serve a stale answer if the model fails (RFC 5861, section 4)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda

from llm_cache._engine.scope import entered
from llm_cache._langchain.hit_metadata import with_hit_metadata
from llm_cache._policy.cache_policy import CachePolicy


def or_stale(model: Runnable[Any, Any]) -> Runnable[Any, Any]:
    """Return ``model`` with a fallback: if a call fails, serve its expired answer.

    Both the policy around the call and the policy that stored the answer need ``stale_if_error``;
    otherwise the model's error is raised. The chat message always has hit metadata in
    ``response_metadata["cache"]``: ``hit`` is False, ``stale`` is True, and ``ttl`` is
    minus the seconds since expiry. The report counts the answer under ``Status.STALE``. Costs no
    more commands than the lookup.
    """

    def invoke(value: Any, config: RunnableConfig) -> Any:
        with _stale_on_error() as served:
            return model.invoke(value, config)
        return served[0]

    async def ainvoke(value: Any, config: RunnableConfig) -> Any:
        with _stale_on_error() as served:
            return await model.ainvoke(value, config)
        return served[0]

    return RunnableLambda(invoke, ainvoke, name="or_stale")


@contextmanager
def _stale_on_error() -> Iterator[list[Any]]:
    """Yield a list; if the block fails, put the stale answer of its lookup into it, if any."""
    served: list[Any] = []
    with entered(CachePolicy(), None) as report:
        try:
            yield served
        except Exception:
            if (stale := report.serve_stale()) is None:
                raise
            outcome, answer = stale
            served.append(_output(with_hit_metadata(answer, outcome)[0]))


def _output(generation: Generation) -> BaseMessage | str:
    return generation.message if isinstance(generation, ChatGeneration) else generation.text
