"""From a question to an answer: from the cache, else from the model, and in time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import anyio

import cache_status
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
from llm_cache._config.settings import seconds_of
from problem import Problem

CODE = 2  # enters the keys: raise it when the model is asked another thing for the same request
RESERVE = 1.0  # seconds kept to tell the caller that the model was too slow
NOT_CACHED = "not_cached"
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
def defaults() -> CachePolicy:
    """Return the policy of a request that asks for nothing else; raise ``InvalidSettings``.

    Equal questions at once share one model call. An answer is kept for ``STALE_IF_ERROR`` seconds
    after it has expired, and returned if the model fails.
    """
    stale = seconds_of(os.environ, "STALE_IF_ERROR", 0)
    return CachePolicy(coalesce="fleet", stale_if_error=stale)


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
        raise Problem(504, NOT_CACHED, str(error)) from error


def by_the_model(request: dict[str, Any]) -> dict[str, Any] | Uncached:
    """Ask the model."""
    from prompt import ask_the_model  # noqa: PLC0415  here, because a hit does without

    return ask_the_model(request)


async def answer_in_time(asked: Asked) -> Answered:
    """Return the answer; raise a ``Problem``, which then tells what the cache did."""
    with responses().policy(asked.policy, context=asked.context) as report:
        try:
            return Answered(await _in_time(asked), report)
        except Problem as problem:
            problem.headers |= cache_status.headers(report, asked.policy)
            problem.cache = cache_status.body(report, asked.policy)
            _count(problem)
            raise
        finally:  # counts what the cache did where there is no answer, too
            metrics.write(report)


async def _in_time(asked: Asked) -> dict[str, Any]:
    """Answer in a thread; it is left behind when the time is up, and still stores the answer."""
    remaining = getattr(asked.context, "get_remaining_time_in_millis", None)
    try:
        with anyio.fail_after(remaining() / 1000 - RESERVE if remaining else None):
            work = partial(answer, asked.request)
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    except TimeoutError:
        raise Problem(504, "model_timeout", "the model did not answer in time") from None


def _count(problem: Problem) -> None:
    """Count a reply that has no answer because of the model, apart from crashes of the function."""
    if problem.status >= 500 and problem.code != NOT_CACHED:  # noqa: PLR2004
        name = "ModelMisconfigured" if problem.status == 500 else "ModelErrors"  # noqa: PLR2004
        metrics.metrics.add_metric(name, "Count", 1)
