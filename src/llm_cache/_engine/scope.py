"""The scope of a policy block: a ContextVar carries its policy to the cache and a report back.

LangChain passes ``lookup`` and ``update`` only a prompt and the model's settings. A
ContextVar set around the call is visible to ``invoke``, ``ainvoke``, executors and the threads of
``batch``.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple, Protocol

from llm_cache._circuit import Circuit
from llm_cache._errors import InvalidPolicy
from llm_cache._policy.cache_policy import DEFAULT_POLICY, CachePolicy
from llm_cache._policy.modes import Mode
from llm_cache._report import Report


class LambdaContext(Protocol):
    """The part of Lambda's context object that the cache reads."""

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds the invocation has left."""


class Scope(NamedTuple):
    """The policy, the report and the time limit of one policy block."""

    policy: CachePolicy
    report: Report
    remaining: Callable[[], float] | None
    """Seconds the invocation has left; None outside one."""
    at_exit: list[Callable[[], None]]
    """Cleanup for the end of the block."""


_scope: ContextVar[Scope | None] = ContextVar("llm_cache_scope", default=None)


def current() -> Scope:
    """Return the innermost scope; outside a policy block, an empty one."""
    return _scope.get() or Scope(DEFAULT_POLICY, Report(), None, [])


def time_left() -> float | None:
    """Return the seconds the invocation has left; None outside one."""
    within = _scope.get()
    return within.remaining() if within and within.remaining else None


@contextmanager
def entered(
    policy: CachePolicy,
    context: LambdaContext | None,
    breaker: Callable[[], Circuit] = lambda: Circuit.CLOSED,
    unused: Callable[[], None] = lambda: None,
) -> Iterator[Report]:
    """Use ``policy`` inside the block, on top of the policy around it.

    ``unused`` is called if the block ends without an error and no cache was used, unless the policy
    bypasses it.
    """
    outer = current()
    remaining = outer.remaining
    if context is not None:
        milliseconds = getattr(context, "get_remaining_time_in_millis", None)
        if not callable(milliseconds):
            accepted = "the context argument of the Lambda handler"
            raise InvalidPolicy("context", context, accepted, withheld=True)
        remaining = functools.partial(_seconds_of, milliseconds)
    scope = Scope(policy.within(outer.policy), Report(breaker=breaker), remaining, [])
    token = _scope.set(scope)
    try:
        yield scope.report
    finally:
        outer.report.outcomes.extend(scope.report.outcomes)
        try:
            _clean_up(scope.at_exit)
            _describe_on_span(scope.report)
        finally:  # afterwards: the cleanup is bounded by this scope's time
            _scope.reset(token)
    if not scope.report.outcomes and scope.policy.effective_mode is not Mode.BYPASS:
        unused()


def _clean_up(steps: list[Callable[[], None]]) -> None:
    """Run every step, even if one raises."""
    while steps:
        with suppress(Exception):  # a lease that is not released expires
            steps.pop()()


def _describe_on_span(report: Report) -> None:
    """Set the attributes of a report on the current span of OpenTelemetry, if that records."""
    # Only an application that has imported the API can have a span, so the cache never imports it.
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace and report.outcomes:
        with suppress(Exception):  # a trace is optional
            span = trace.get_current_span()
            if span.is_recording():
                from llm_cache._engine.span_attributes import describe  # noqa: PLC0415

                describe(span, report)


def _seconds_of(milliseconds: Callable[[], int]) -> float:
    return milliseconds() / 1000
