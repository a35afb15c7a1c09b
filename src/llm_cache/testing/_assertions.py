"""Assertions about a report. A failure lists the outcomes, and never an answer."""

from __future__ import annotations

from llm_cache._reasons import Reason
from llm_cache._report import Outcome, Report, Status

NO_CALL = "no call used the cache: give the model the cache (cache=... or set_llm_cache)"


def assert_hit(report: Report) -> None:
    """Fail unless the report has a hit, and neither a miss, a stale answer nor an error."""
    __tracebackhide__ = True
    others = (Status.MISS, Status.STALE, Status.ERROR)
    if not report.hits or any(map(report.having, others)):
        raise AssertionError(_expected("only hits", report))


def assert_miss(report: Report, reason: Reason | str | None = None) -> None:
    """Fail unless the report has a miss, and neither a hit nor a stale answer.

    With ``reason``, every miss must have it; ``Reason`` lists the names.
    """
    __tracebackhide__ = True
    expected = "only misses" if reason is None else f"only misses ({Reason(reason)})"
    wrong_reason = reason is not None and set(report.miss_reasons) != {reason}
    if not report.misses or report.hits or report.having(Status.STALE) or wrong_reason:
        raise AssertionError(_expected(expected, report))


def _expected(what: str, report: Report) -> str:
    lines = [f"  {number}. {_line(each)}" for number, each in enumerate(report.outcomes, 1)]
    return "\n".join([f"expected {what}; the report has:", *(lines or [f"  {NO_CALL}"])])


def _line(outcome: Outcome) -> str:
    reason = f" ({outcome.why})" if outcome.why else ""
    return f"{outcome.status}{reason}{f': {outcome.detail}' if outcome.detail else ''}"
