"""From a request to a response: from the cache, else from the model, and in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import anyio

from bedrock.chosen import max_tokens, model_id
from bedrock.usage import is_usage
from llm_cache import (
    CacheMetrics,
    CacheMiss,
    CachePolicy,
    Report,
    ResponseCache,
    Uncached,
    uncacheable,
)
from problems import Problem

CODE = 1  # enters the keys: raise it when the model is asked another thing for the same request
RESERVE = 1.0  # seconds kept to tell the caller that the model was too slow
metrics = CacheMetrics.from_env()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what its caller accepts of the cache, and Lambda's context, if there is one."""

    request: dict[str, Any]
    policy: CachePolicy
    context: Any = None


class Answered(NamedTuple):
    """``{"answer", "stop_reason", "usage"}``, and what the cache did."""

    response: dict[str, Any]
    report: Report


@cache
def responses() -> ResponseCache:
    """Return the cache that the environment describes; it connects on first use."""
    version = f"ask {CODE} {[model_id(), max_tokens()]}"
    return ResponseCache.from_env(version=version, validate=is_answer)


def is_answer(response: dict[str, Any]) -> bool:
    """Whether a response is one of this function's."""
    match response:
        case {"answer": str() as text, "stop_reason": str() | None, "usage": usage, **rest}:
            return not rest and not uncacheable(text) and is_usage(usage)
    return False


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"answer", "stop_reason", "usage"}``; raise a ``Problem`` when there is no answer.

    A hit is found before LangChain and the model's client are imported.
    """
    try:
        return responses().cached(by_the_model)(request)
    except CacheMiss as error:  # RFC 9111, section 5.2.1.7
        raise Problem(504, "not_cached", str(error)) from error


def by_the_model(request: dict[str, Any]) -> dict[str, Any] | Uncached:
    """Ask the model."""
    from asking import ask_the_model  # noqa: PLC0415  here, since a hit does without

    return ask_the_model(request)


async def answer_in_time(asked: Asked) -> Answered:
    """Answer in a thread that may be left behind, and in time; raise a ``Problem``."""
    remaining = getattr(asked.context, "get_remaining_time_in_millis", None)
    with responses().policy(asked.policy, context=asked.context) as report:
        try:
            with anyio.fail_after(remaining() / 1000 - RESERVE if remaining else None):
                answering = partial(answer, asked.request)
                response = await anyio.to_thread.run_sync(answering, abandon_on_cancel=True)
        except TimeoutError:
            raise Problem(504, "model_timeout", "the model did not answer in time") from None
        finally:  # what the cache did is counted where there is no answer, too
            metrics.write(report)
    return Answered(response, report)
