"""Cache metrics for CloudWatch, in the log line that Powertools writes (EMF)."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_cache._checks import Range
from llm_cache._circuit import Circuit
from llm_cache._config.variables import environment, number, read
from llm_cache._observe.tracing import annotate
from llm_cache._reasons import Reason

if TYPE_CHECKING:
    from aws_lambda_powertools import Metrics

    from llm_cache._report import Report

NAMESPACE = "LlmCache"
PRICE = Range("dollars for a million tokens, 0 or more", most=sys.float_info.max)


@dataclass(frozen=True, slots=True)
class CacheMetrics:
    """Adds the counts of a report to ``metrics``.

    - ``CacheHits``, ``CacheMisses``, ``CacheStored``, ``CacheErrors``: counts
    - ``CacheMissesUnknown``, ``CacheMissesExpired`` and so on: misses by ``Reason``. Only reasons
      that occurred are written, because CloudWatch charges for each custom metric.
    - ``CacheForged``: entries that were altered in Redis; each was a miss
    - ``CacheMilliseconds``: the time of all lookups and updates
    - ``HitMilliseconds`` or ``MissMilliseconds``: the time of the block, model calls included.
      Written only if all lookups were hits, or none was.
    - ``CircuitOpen``: 1 while the circuit breaker is open, otherwise 0
    - ``TokensSaved``: the model's tokens that hits saved
    - ``DollarsSaved``: their price, at ``input_price`` and ``output_price``: dollars for a million
      tokens that the model reads and writes. Not written if both are 0.

    It sends no request. Below a ``traced`` handler the counts are also annotations of its trace.
    """

    metrics: Metrics
    input_price: float = number("LLM_CACHE_INPUT_PRICE", 0.0, PRICE.check)
    """Dollars per million tokens that the model reads, for the metric `DollarsSaved`."""
    output_price: float = number("LLM_CACHE_OUTPUT_PRICE", 0.0, PRICE.check)
    """Dollars per million tokens that the model writes."""

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> CacheMetrics:
        """Return the metrics that the environment configures; raise ``InvalidSettings``.

        - ``POWERTOOLS_METRICS_NAMESPACE``, by default ``LlmCache``, and ``POWERTOOLS_SERVICE_NAME``
        - ``LLM_CACHE_INPUT_PRICE``, ``LLM_CACHE_OUTPUT_PRICE``: the prices, by default 0
        """
        from aws_lambda_powertools import Metrics  # noqa: PLC0415  ``metrics`` needs no import

        environ = environment(environ)
        metrics = Metrics(namespace=environ.get("POWERTOOLS_METRICS_NAMESPACE") or NAMESPACE)
        return cls(metrics, **read(cls, environ))

    def write(self, report: Report) -> None:
        """Add the report of a block, and write the log line at once."""
        self.add(report)
        self.metrics.flush_metrics()

    def add(self, report: Report) -> None:
        """Add the report of a block to the log line that ``metrics.log_metrics`` writes."""
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
        for name, value in {**counts, **_by_metric(reasons)}.items():
            self.metrics.add_metric(name, "Count", value)
        self.metrics.add_metric("CacheMilliseconds", "Milliseconds", report.milliseconds)
        called_the_model = report.misses + report.errors > 0
        if bool(report.hits) is not called_the_model:
            kind = "HitMilliseconds" if report.hits else "MissMilliseconds"
            self.metrics.add_metric(kind, "Milliseconds", 1000 * report.elapsed)
        if self.input_price or self.output_price:
            saved = report.saved
            dollars = saved.input * self.input_price + saved.output * self.output_price
            self.metrics.add_metric("DollarsSaved", "None", dollars / 1_000_000)


def _by_metric(reasons: Mapping[Reason, int]) -> dict[str, int]:
    return {misses_metric(why): n for why, n in reasons.items()}


def misses_metric(why: Reason) -> str:
    """Return the name of the metric of a reason: ``CacheMissesNotTagged`` for ``not_tagged``."""
    return f"CacheMisses{why.title().replace('_', '')}"
