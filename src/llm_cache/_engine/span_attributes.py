"""The attributes by which a span of OpenTelemetry describes a policy block.

A block of hits alone used no tokens: the attributes of usage of the GenAI conventions are 0. The
conventions have no attribute for an application's own cache (``gen_ai.usage.cache_read`` counts the
tokens of the provider's prompt cache), so the other names have the prefix ``llm_cache``, as the
naming rules of OpenTelemetry ask of a library.
"""

from __future__ import annotations

from typing import Any

from llm_cache._report import Report, Status

MAX_KEYS = 16  # of one span; a batch may look up thousands
USAGE = ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")


def describe(span: Any, report: Report) -> None:
    """Set the attributes of a report on a span; a usage that is set already stays."""
    span.set_attributes(attributes(report))
    if report.hits and not (report.misses or report.errors):
        known = getattr(span, "attributes", None) or {}
        span.set_attributes({name: 0 for name in USAGE if name not in known})


def attributes(report: Report) -> dict[str, Any]:
    """Return the attributes by name: numbers, texts and lists of texts. They hold no prompt."""
    reasons = sorted(why.value for why in report.miss_reasons)
    looked_up = (Status.HIT, Status.MISS)
    keys = dict.fromkeys(each.key for each in report.outcomes if each.status in looked_up)
    return {
        "llm_cache.hits": report.hits,
        "llm_cache.misses": report.misses,
        "llm_cache.stored": report.stored,
        "llm_cache.skipped": report.skipped,
        "llm_cache.stale": len(report.having(Status.STALE)),
        "llm_cache.errors": report.errors,
        "llm_cache.saved.input_tokens": report.saved.input,
        "llm_cache.saved.output_tokens": report.saved.output,
        "llm_cache.duration": report.milliseconds / 1000,
        "llm_cache.circuit": report.circuit.value,
        **({"llm_cache.miss_reasons": reasons} if reasons else {}),
        **({"llm_cache.keys": kept} if (kept := [*filter(None, keys)][:MAX_KEYS]) else {}),
    }
