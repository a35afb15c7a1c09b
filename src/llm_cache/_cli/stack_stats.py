"""``llm-cache stats --stack``: hits, misses and savings of a stack's functions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from llm_cache._cli.output import Output
from llm_cache._stack.stack_access import StackAccess
from llm_cache._stack.stack_metrics import FLUSHES, LOOKUPS, StackMetrics, hit_rate

BARS, NOTHING = "▁▂▃▄▅▆▇█", "·"


def show_stack_stats(access: StackAccess, output: Output, *, hours: int) -> None:
    """Print the hit rate, the misses by reason and the savings of the last hours by function."""
    metrics = StackMetrics.read(access, hours=hours, now=time.time())
    output.show({"stack": access.stack.name, **as_dict(metrics)}, describe(access, metrics))


def as_dict(metrics: StackMetrics) -> dict[str, Any]:
    """Return the numbers for ``--json``; lists have one number an hour, the oldest first."""
    functions = {service: _function(metrics, service) for service in LOOKUPS}
    flushes = {
        "cleared_all": [int(n) for n in metrics.hourly(FLUSHES, "FlushSucceeded")],
        "reclaimed": int(metrics.total(FLUSHES, "EntriesReclaimed")),
    }
    return {
        "hours": metrics.hours,
        "start": metrics.start,
        "functions": functions,
        "flushes": flushes,
    }


def _function(metrics: StackMetrics, service: str) -> dict[str, Any]:
    hits, misses = (metrics.total(service, name) for name in ("CacheHits", "CacheMisses"))
    reasons = metrics.miss_reasons(service)
    return {
        "hits": int(hits),
        "misses": int(misses),
        "errors": int(metrics.total(service, "CacheErrors")),
        "hit_rate": hit_rate(hits, misses),
        "hourly_hit_rates": metrics.hit_rates(service),
        "miss_reasons": {str(why): int(sum(hourly)) for why, hourly in reasons.items()},
        "hourly_misses": {str(why): [int(n) for n in hourly] for why, hourly in reasons.items()},
        "tokens_saved": int(metrics.total(service, "TokensSaved")),
        "dollars_saved": round(metrics.total(service, "DollarsSaved"), 6),
    }


def describe(access: StackAccess, metrics: StackMetrics) -> str:
    """Return the numbers as text, with one bar an hour."""
    span = f"the last {metrics.hours} hours" if metrics.hours > 1 else "this hour"
    name = access.stack.name
    if not metrics.sums:
        return (
            f"{name}: CloudWatch has no metrics of {span}. Either no call was made, or the calls"
            " were made within the last minutes: `llm-cache tail` shows those."
        )
    lines = [f"{name}, {span}, one bar an hour; now is on the right (source: CloudWatch)"]
    for service in LOOKUPS:
        lines += ["", *_function_lines(metrics, service)]
    lines += ["", *_flush_lines(metrics)]
    return "\n".join([*lines, *_price_lines(access, metrics)])


def _function_lines(metrics: StackMetrics, service: str) -> Iterator[str]:
    found = _function(metrics, service)
    if found["hit_rate"] is None:
        yield f"{service}: no lookup" + _errors(found["errors"])
        return
    counts = f"{found['hits']:,} hits, {found['misses']:,} misses" + _errors(found["errors"])
    yield f"{service}: hit rate {found['hit_rate']:.1%} ({counts})"
    yield _row("hit rate", "", sparkline(metrics.hit_rates(service), most=1))
    for why, hourly in metrics.miss_reasons(service).items():
        yield _row(f"miss: {why}", f"{sum(hourly):,.0f}", sparkline(hourly))
    for unit, name in (("tokens", "TokensSaved"), ("dollars", "DollarsSaved")):
        if saved := metrics.total(service, name):
            shown = f"{saved:,.0f}" if unit == "tokens" else f"${saved:,.2f}"
            yield _row(f"saved {unit}", shown, sparkline(metrics.hourly(service, name)))


def _flush_lines(metrics: StackMetrics) -> Iterator[str]:
    cleared = metrics.hourly(FLUSHES, "FlushSucceeded")
    reclaimed = metrics.total(FLUSHES, "EntriesReclaimed")
    yield f"flush_cache: full clears {sum(cleared):,.0f}, entries reclaimed {reclaimed:,.0f}"
    if any(cleared):
        yield _row("full clears", "", sparkline(cleared))


def _price_lines(access: StackAccess, metrics: StackMetrics) -> Iterator[str]:
    """Yield how to get dollars, if tokens were saved without prices."""
    prices = (access.stack.parameters.get(name, "0") for name in ("InputPrice", "OutputPrice"))
    tokens = sum(metrics.total(service, "TokensSaved") for service in LOOKUPS)
    if tokens and not any(float(price or 0) for price in prices):
        yield '\nFor dollars: make deploy PARAMETERS="InputPrice=… OutputPrice=…"'


def _errors(count: int) -> str:
    return f", {count:,} cache errors" if count else ""


def _row(name: str, value: str, bars: str) -> str:
    return f"  {name:<20} {value:>12}  {bars}"


def sparkline(values: Sequence[float | None], *, most: float | None = None) -> str:
    """Return one bar a value, from 0 to ``most`` or the largest; a dot for None or no count."""
    top = most or max((value or 0 for value in values), default=0)
    return "".join(
        NOTHING if value is None or (not value and not most) else BARS[int(value / top * 7)]
        for value in values
    )
