"""From a document to its summary: from the cache, else from the model, piece by piece, in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import cache, partial
from typing import Any

import summary_file
from bedrock.chosen import max_tokens, model_id
from bedrock.usage import is_usage
from bill import Bill
from document import Document, fetch
from faults import OutOfTime, Permanent, worst
from lifetimes import lifetimes
from llm_cache import CacheMetrics, CachePolicy, ResponseCache, uncacheable
from llm_cache._engine.scope import time_left
from object_name import Name
from pieces import split

CODE = 1  # enters the keys: raise it when the model is asked another thing for the same text
TAG = "summaries"  # to clear them by, and leave other answers
NEEDED = 20.0  # seconds without which no document is begun, and the model not asked
RESERVE = 5.0  # seconds kept to write the summary, and to tell which messages failed
AT_ONCE = 4  # pieces of a document

Ask = Callable[[dict[str, Any]], dict[str, Any]]
metrics = CacheMetrics.from_env()


def made_by() -> list[Any]:
    """Return what makes another summary of the same text when it changes."""
    return ["summarize", CODE, model_id(), max_tokens()]


@cache
def responses() -> ResponseCache:
    """Return the cache that the environment describes; it connects on first use."""
    return ResponseCache.from_env(version=str(made_by()), validate=is_summary)


def is_summary(response: dict[str, Any]) -> bool:
    """Whether a response is one of this function's."""
    match response:
        case {"summary": str() as text, "usage": usage, **rest}:
            return not rest and not uncacheable(text) and is_usage(usage)
    return False


@contextmanager
def counted(context: Any) -> Iterator[None]:
    """Know how much time an invocation has, and count what the cache did in it."""
    with responses().policy(CachePolicy(coalesce="fleet"), context=context) as report:
        try:
            yield
        finally:
            metrics.write(report)


def summarize(name: Name, asked: float | None, bill: Bill) -> str:
    """Write the summary of a document beside it, unless it is there; return what was done.

    ``asked``: the seconds that the message wants it kept in the cache. ``bill`` counts the calls of
    the model. Raise ``NotSummarized``.
    """
    enough_time()
    match fetch(name):
        case Document() as document:
            made = partial(summary_of, document, asked, bill)
            return summary_file.write(document, made_by(), made)
        case done:
            return done


def summary_of(document: Document, asked: float | None, bill: Bill) -> str:
    """Return the summary, kept by what the text says, whatever the document is called."""
    ttl = lifetimes().of(immutable=document.immutable, asked=asked)
    policy = CachePolicy(tenant=document.name.bucket, tags=[TAG], ttl=ttl)
    with responses().policy(policy) as report:
        try:
            return reduced(document.text, responses().cached(partial(by_the_model, bill)), bill)
        finally:
            bill.stored = report.stored


def reduced(text: str, ask: Ask, bill: Bill) -> str:
    """Return the summary of a text; of a long one, that of its pieces' summaries."""
    pieces = split(text)
    bill.needed += len(pieces)
    summaries = each([{"text": piece} for piece in pieces], ask)
    if len(summaries) == 1:
        return summaries[0]
    together = "\n\n".join(summaries)
    if len(together) > len(text) / 2:
        raise Permanent("the summaries of its pieces are not shorter")
    return reduced(together, ask, bill)


def each(requests: list[dict[str, str]], ask: Ask) -> list[str]:
    """Ask for each, a few at once; after a failure for no more of them, and for none too late."""
    pool = ThreadPoolExecutor(AT_ONCE)
    asked = [pool.submit(copy_context().run, ask, request) for request in requests]
    wait(asked, spendable(), FIRST_EXCEPTION)
    pool.shutdown(wait=False, cancel_futures=True)
    wait([one for one in asked if not one.cancelled()], spendable())  # what is paid for is kept
    settled = [one for one in asked if _settled(one)]
    if errors := [error for one in settled if (error := one.exception())]:
        raise worst(errors)
    if len(settled) < len(asked):
        raise OutOfTime
    return [one.result()["summary"] for one in settled]


def _settled(one: Future[Any]) -> bool:
    return one.done() and not one.cancelled()


def by_the_model(bill: Bill, request: dict[str, Any]) -> dict[str, Any]:
    """Ask the model, if there is the time to wait for it."""
    enough_time()
    from model_call import ask_the_model  # noqa: PLC0415  here, since a hit does without

    with bill.call():
        return ask_the_model(request)


def enough_time() -> None:
    """Raise ``OutOfTime`` where what is begun now would not be ended."""
    left = time_left()
    if left is not None and left < NEEDED:
        raise OutOfTime


def spendable() -> float | None:
    """Return the seconds that may be waited; None outside an invocation."""
    left = time_left()
    return None if left is None else max(0.0, left - RESERVE)
