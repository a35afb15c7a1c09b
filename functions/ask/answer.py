"""Answer a question from the cache, else from the model, before the invocation ends."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import anyio
from aws_lambda_powertools import Logger

import cache_status
from bedrock import env
from bedrock.model_settings import max_tokens, model_id
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
from problem import Problem

CODE = 2  # part of every key: raise it when the same question gets another prompt
RESERVE = 1.0  # seconds kept to reply that the model was too slow
NOT_CACHED = "not_cached"
metrics = CacheMetrics.from_env()
logger = Logger()


@dataclass(frozen=True, slots=True)
class AskRequest:
    """A question, the cache policy for it, and Lambda's context if there is one."""

    question: dict[str, Any]
    policy: CachePolicy
    context: Any = None


class AskResult(NamedTuple):
    """``{"answer", "stop_reason", "usage"}`` and the report of the cache."""

    response: dict[str, Any]
    report: Report


@cache
def default_policy() -> CachePolicy:
    """Return the policy for fields that a request leaves out; raise ``InvalidSettings``.

    Equal questions at the same time share one model call. An expired answer is kept for
    ``STALE_IF_ERROR`` more seconds, and served if the model fails.
    """
    stale = env.seconds("STALE_IF_ERROR", 0)
    return CachePolicy(coalesce="fleet", stale_if_error=stale)


@cache
def response_cache() -> ResponseCache:
    """Return the cache that the environment describes; it connects on first use."""
    version = f"ask {CODE} {[model_id(), max_tokens()]}"
    return ResponseCache.from_env(version=version, validate=is_answer)


def is_answer(response: dict[str, Any]) -> bool:
    """Return whether this function can have stored a response."""
    match response:
        case {"answer": str() as text, "stop_reason": str() | None, "usage": usage, **rest}:
            return not rest and not uncacheable(text) and is_usage(usage)
    return False


def answer(question: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"answer", "stop_reason", "usage"}``; raise a ``Problem`` without an answer.

    A hit imports neither LangChain nor the model's client.
    """
    try:
        return response_cache().cached(call_model)(question)
    except CacheMiss as error:  # RFC 9111, section 5.2.1.7
        raise Problem(504, NOT_CACHED, str(error)) from error


def call_model(question: dict[str, Any]) -> dict[str, Any] | Uncached:
    """Return the model's answer; raise a ``Problem`` without one."""
    from prompt import answer_by_model  # noqa: PLC0415  imports LangChain, which a hit must not

    return answer_by_model(question)


async def answer_in_time(request: AskRequest) -> AskResult:
    """Return the answer; raise a ``Problem`` that describes what the cache did."""
    with response_cache().policy(request.policy, context=request.context) as report:
        try:
            return AskResult(await _in_time(request), report)
        except Problem as problem:
            problem.headers |= cache_status.headers(report, request.policy)
            problem.cache = cache_status.body(report, request.policy)
            _count(problem)
            raise
        finally:
            _write_metrics(report)


async def _in_time(request: AskRequest) -> dict[str, Any]:
    """Answer in a thread. After a timeout the thread continues and stores its late answer."""
    remaining = getattr(request.context, "get_remaining_time_in_millis", None)
    try:
        with anyio.fail_after(remaining() / 1000 - RESERVE if remaining else None):
            work = partial(answer, request.question)
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True)
    except TimeoutError:
        raise Problem(504, "model_timeout", "the model did not answer in time") from None


def _write_metrics(report: Report) -> None:
    """Write the line of metrics, with the id that the log lines of the request have."""
    if request := logger.get_correlation_id():
        metrics.metrics.add_metadata("correlation_id", request)
    metrics.write(report)


def _count(problem: Problem) -> None:
    """Count a failure of the model; Lambda counts crashes of the function."""
    if problem.status >= 500 and problem.code != NOT_CACHED:  # noqa: PLR2004
        name = "ModelMisconfigured" if problem.status == 500 else "ModelErrors"  # noqa: PLR2004
        metrics.metrics.add_metric(name, "Count", 1)
