"""What the cache did, as metrics of CloudWatch: in the line that Powertools writes anyway (EMF)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_cache._checks import Range
from llm_cache._config.variables import environment, number, read
from llm_cache._observe.tracing import annotate
from llm_cache._reasons import Reason
from llm_cache._report import Circuit

if TYPE_CHECKING:
    from aws_lambda_powertools import Metrics

    from llm_cache._report import Report

NAMESPACE = "LlmCache"
PRICE = Range("dollars for a million tokens, 0 or more", most=sys.float_info.max)


@dataclass(frozen=True, slots=True)
class CacheMetrics:
    """Adds what a report says to ``metrics``, or writes it by itself.

    - ``CacheHits``, ``CacheMisses``, ``CacheStored``, ``CacheErrors``: how many
    - ``CacheMissesUnknown``, ``CacheMissesExpired`` and so on: how many misses had this ``Reason``.
      Only reasons that occurred are written; CloudWatch charges for each as a custom metric.
    - ``CacheForged``: entries that were altered in Redis; each was a miss
    - ``CacheMilliseconds``: what lookups and updates took in all
    - ``HitMilliseconds`` or ``MissMilliseconds``: what the block took, the model included, where
      the cache answered everything or nothing; a block of both says nothing of either, nor does
      one that made no lookup
    - ``CircuitOpen``: 1 while the cache is left alone after failures, otherwise 0
    - ``TokensSaved``: of the model, by hits
    - ``DollarsSaved``: at ``input_price`` and ``output_price``, dollars for a million tokens that
      the model reads and writes; without either there is no such metric

    Costs no request: Powertools writes one line of log for all metrics of an invocation. Below a
    ``traced`` handler the counts are annotations of its trace, too.
    """

    metrics: Metrics
    input_price: float = number("LLM_CACHE_INPUT_PRICE", 0.0, PRICE.check)
    """Dollars per million tokens that the model reads, for the metric `DollarsSaved`."""
    output_price: float = number("LLM_CACHE_OUTPUT_PRICE", 0.0, PRICE.check)
    """Dollars per million tokens that the model writes."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> CacheMetrics:
        """Return what the environment describes; raise ``InvalidSettings``.

        - ``POWERTOOLS_METRICS_NAMESPACE``, by default ``LlmCache``, and ``POWERTOOLS_SERVICE_NAME``
        - ``LLM_CACHE_INPUT_PRICE``, ``LLM_CACHE_OUTPUT_PRICE``: the prices, by default 0
        """
        from aws_lambda_powertools import Metrics  # noqa: PLC0415  who has metrics needs it not

        environ = environment(environ)
        metrics = Metrics(namespace=environ.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE)
        return cls(metrics, **read(cls, environ))

    def write(self, report: Report) -> None:
        """Add one report, and write the line: where nothing else does, at the end of a block."""
        self.add(report)
        self.metrics.flush_metrics()

    def add(self, report: Report) -> None:
        """Add one report, a block's, to what ``metrics.log_metrics`` writes in the end."""
        reasons = report.miss_reasons
        counts = {
            "CacheHits": report.hits,
            "CacheMisses": report.misses,
            "CacheStored": report.stored,
            "CacheErrors": report.errors,
            "CacheForged": reasons[Reason.FORGED],
            "CircuitOpen": int(report.circuit is not Circuit.CLOSED),
            "TokensSaved": report.tokens_saved,
        }
        annotate(counts)
        for name, value in {**counts, **_named(reasons)}.items():
            self.metrics.add_metric(name, "Count", value)
        self.metrics.add_metric("CacheMilliseconds", "Milliseconds", report.milliseconds)
        asked_the_model = report.misses + report.errors > 0
        if bool(report.hits) is not asked_the_model:
            kind = "HitMilliseconds" if report.hits else "MissMilliseconds"
            self.metrics.add_metric(kind, "Milliseconds", 1000 * report.elapsed)
        if self.input_price or self.output_price:
            saved = report.saved
            dollars = saved.input * self.input_price + saved.output * self.output_price
            self.metrics.add_metric("DollarsSaved", "None", dollars / 1_000_000)


def _named(reasons: Mapping[Reason, int]) -> dict[str, int]:
    """Return counts by metric: that of ``not_tagged`` is ``CacheMissesNotTagged``."""
    return {f"CacheMisses{why.title().replace('_', '')}": n for why, n in reasons.items()}
