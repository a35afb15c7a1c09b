"""Summarize a document piece by piece: from the cache, else by the model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache, partial
from typing import Any

from aws_lambda_powertools import Logger

import summary_file
from bedrock.model_settings import max_tokens, model_id
from bedrock.usage import is_usage
from budget import Budget
from document import Document, fetch
from llm_cache import CacheMetrics, CachePolicy, ResponseCache, uncacheable
from object_name import ObjectName
from pieces import split_text
from summary_errors import OutOfTime, PermanentError, worst
from summary_ttl import summary_ttls

CODE = 1  # part of every key: raise it when the same text gets another prompt
TAG = "summaries"  # clears the summaries and no other answers
AT_ONCE = 4  # concurrent model calls per document

Summarizer = Callable[[dict[str, Any]], dict[str, Any]]
metrics = CacheMetrics.from_env()
logger = Logger()


def made_by() -> list[Any]:
    """Return the settings that determine the summary of a text."""
    return ["summarize", CODE, model_id(), max_tokens()]


@cache
def response_cache() -> ResponseCache:
    """Return the cache that the environment describes; it connects on first use."""
    return ResponseCache.from_env(version=str(made_by()), validate=is_summary)


def is_summary(response: dict[str, Any]) -> bool:
    """Return whether this function can have stored a response."""
    match response:
        case {"summary": str() as text, "usage": usage, **rest}:
            return not rest and not uncacheable(text) and is_usage(usage)
    return False


@contextmanager
def report_of(context: Any) -> Iterator[None]:
    """Bound the block by the invocation's time, and write metrics of the cache at its end."""
    with response_cache().policy(CachePolicy(coalesce="fleet"), context=context) as report:
        try:
            yield
        finally:
            if message := logger.get_correlation_id():  # the last one of a batch
                metrics.metrics.add_metadata("correlation_id", message)
            metrics.write(report)


def summarize(name: ObjectName, requested_ttl: float | None, budget: Budget) -> str:
    """Write the summary of a document unless it exists; return what was done.

    Raises ``SummaryError``.
    """
    budget.require_time()
    match fetch(name):
        case Document() as document:
            make = partial(summary_of, document, requested_ttl, budget)
            return summary_file.write(document, made_by(), make)
        case done:
            return done


def summary_of(document: Document, requested_ttl: float | None, budget: Budget) -> str:
    """Return the summary of a document; equal texts share it within a bucket."""
    ttl = summary_ttls().choose(immutable=document.immutable, requested=requested_ttl)
    policy = CachePolicy(tenant=document.name.bucket, tags=[TAG], ttl=ttl)
    with response_cache().policy(policy) as report:
        summarizer = response_cache().cached(partial(call_model, budget))
        try:
            return reduce_text(document.text, summarizer, budget)
        finally:
            budget.stored = report.stored


def reduce_text(text: str, summarizer: Summarizer, budget: Budget) -> str:
    """Return the summary of a text; for a long text, the summary of its pieces' summaries."""
    pieces = split_text(text)
    budget.needed += len(pieces)
    summaries = summarize_all([{"text": piece} for piece in pieces], summarizer, budget)
    if len(summaries) == 1:
        return summaries[0]
    joined = "\n\n".join(summaries)
    if len(joined) > len(text) / 2:
        raise PermanentError("the summaries of its pieces are not shorter")
    return reduce_text(joined, summarizer, budget)


def summarize_all(
    requests: list[dict[str, str]], summarizer: Summarizer, budget: Budget
) -> list[str]:
    """Return all summaries, several calls at once; start none after a failure or too late."""
    pool = ThreadPoolExecutor(AT_ONCE)
    calls = [pool.submit(copy_context().run, summarizer, request) for request in requests]
    wait(calls, budget.waiting_time(), FIRST_EXCEPTION)
    pool.shutdown(wait=False, cancel_futures=True)
    wait([call for call in calls if not call.cancelled()], budget.waiting_time())  # keep paid ones
    ended = [call for call in calls if _ended(call)]
    if errors := [error for call in ended if (error := call.exception())]:
        raise worst(errors)
    if len(ended) < len(calls):
        raise OutOfTime
    return [call.result()["summary"] for call in ended]


def _ended(call: Future[Any]) -> bool:
    return call.done() and not call.cancelled()


def call_model(budget: Budget, request: dict[str, Any]) -> dict[str, Any]:
    """Return the model's summary; raise ``OutOfTime`` if the invocation would end before it."""
    budget.require_time()
    from model_call import summarize_by_model  # noqa: PLC0415  imports LangChain: not for a hit

    with budget.call():
        return summarize_by_model(request)
