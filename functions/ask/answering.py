"""From a request to a response: from the cache, else from the model, and in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import anyio

from bedrock.chosen import max_tokens, model_id
from llm_cache import CacheMetrics, CacheMiss, CachePolicy, Report, ResponseCache
from problems import Problem, model_timeout

CODE = 1  # enters the keys: raise it when the model is asked another thing for the same request
RESERVE = 1.0  # seconds kept to tell the caller that the model was too slow
metrics = CacheMetrics.from_env()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, what of the cache its caller accepts, and Lambda's context, if there is one.

    ``streams``: the answer is wanted as it is made, and the front lets that through.
    """

    request: dict[str, Any]
    policy: CachePolicy
    context: Any = None
    streams: bool = False


class Answered(NamedTuple):
    """``{"answer", "usage"}``, and what the cache did."""

    response: dict[str, Any]
    report: Report


@cache
def responses() -> ResponseCache:
    """Return the cache that the environment describes; it connects on first use."""
    return ResponseCache.from_env(version=f"ask {CODE} {[model_id(), max_tokens()]}")


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Return ``{"answer", "usage"}``; raise a ``Problem`` when there is no answer.

    A hit is found before LangChain and the model's client are imported. Without the line marked so,
    the model's own cache answers.
    """
    ask: Callable[[dict[str, Any]], dict[str, Any]] = by_the_model
    ask = responses().cached(ask)  # may be left out
    with only_if_cached():
        return ask(request)


@contextmanager
def only_if_cached() -> Iterator[None]:
    """Tell a caller who wants no call of the model that nothing is stored."""
    try:
        yield
    except CacheMiss as error:  # RFC 9111, section 5.2.1.7
        raise Problem(504, "not_cached", str(error)) from error


def by_the_model(request: dict[str, Any]) -> dict[str, Any]:
    """Ask the model."""
    from asking import ask_the_model  # noqa: PLC0415  here, since a hit does without

    return ask_the_model(request)


@contextmanager
def under(policy: CachePolicy, context: Any) -> Iterator[Report]:
    """Use ``policy``, and count what the cache did even where there is no answer."""
    with responses().policy(policy, context=context) as report:
        try:
            yield report
        finally:
            metrics.write(report)


@contextmanager
def in_time(context: Any) -> Iterator[None]:
    """Give up on what the block awaits while there is time to say so: raise a ``Problem``."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    seconds = remaining() / 1000 - RESERVE if remaining else None
    try:
        with anyio.fail_after(seconds):
            yield
    except TimeoutError:
        raise model_timeout() from None


async def answer_in_time(asked: Asked) -> Answered:
    """Answer in a thread that may be left behind, and in time; raise a ``Problem``."""
    with under(asked.policy, asked.context) as report, in_time(asked.context):
        answering = partial(answer, asked.request)
        response = await anyio.to_thread.run_sync(answering, abandon_on_cancel=True)
    return Answered(response, report)
