"""Read what the functions of a stack have counted from CloudWatch, by the hour."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

from llm_cache._observe.metrics import misses_metric
from llm_cache._reasons import Reason
from llm_cache._stack.stack_access import StackAccess

HOUR = 3600
LOOKUPS, FLUSHES = ("ask", "summarize"), "flush-cache"
"""The values of the dimension ``service`` in template.yaml."""
COUNTS = ("CacheHits", "CacheMisses", "CacheErrors", "TokensSaved", "DollarsSaved")

Hourly: TypeAlias = tuple[float, ...]
"""One sum an hour, the oldest first."""


class Metric(NamedTuple):
    """A metric of one function."""

    service: str
    name: str


METRICS = [
    *(Metric(service, name) for service in LOOKUPS for name in COUNTS),
    *(Metric(service, misses_metric(reason)) for service in LOOKUPS for reason in Reason),
    *(Metric(FLUSHES, name) for name in ("FlushSucceeded", "EntriesReclaimed")),
]


@dataclass(frozen=True, slots=True)
class StackMetrics:
    """The sums of each metric in the hours that begin at ``start`` (seconds since 1970)."""

    start: int
    hours: int
    sums: Mapping[Metric, Hourly]
    """Without the metrics that never occurred."""

    @classmethod
    def read(cls, access: StackAccess, *, hours: int, now: float) -> StackMetrics:
        """Read the sums of the last hours, the present one included. One request of CloudWatch."""
        end = int(now // HOUR + 1) * HOUR
        start = end - hours * HOUR
        period = {
            "StartTime": datetime.fromtimestamp(start, UTC),
            "EndTime": datetime.fromtimestamp(end, UTC),
        }
        client, sums = access.client("cloudwatch"), dict[Metric, list[float]]()
        namespace = f"LlmCache/{access.stack.name}"
        queries = [_query(number, namespace) for number in range(len(METRICS))]  # at most 500
        pages = client.get_paginator("get_metric_data")
        for page in pages.paginate(MetricDataQueries=queries, **period):
            for found in page["MetricDataResults"]:
                hourly = sums.setdefault(METRICS[int(found["Id"][1:])], [0.0] * hours)
                for time, value in zip(found["Timestamps"], found["Values"], strict=True):
                    hourly[int(time.timestamp() - start) // HOUR] += value
        occurred = {metric: tuple(hourly) for metric, hourly in sums.items() if any(hourly)}
        return cls(start, hours, occurred)

    def hourly(self, service: str, name: str) -> Hourly:
        """Return the sums of a metric; zeros if it never occurred."""
        return self.sums.get(Metric(service, name), (0.0,) * self.hours)

    def total(self, service: str, name: str) -> float:
        """Return the sum of a metric over all hours."""
        return sum(self.hourly(service, name))

    def hit_rates(self, service: str) -> list[float | None]:
        """Return the share of hits among hits and misses of each hour; None without any."""
        hits, misses = self.hourly(service, "CacheHits"), self.hourly(service, "CacheMisses")
        return [hit_rate(hit, miss) for hit, miss in zip(hits, misses, strict=True)]

    def miss_reasons(self, service: str) -> dict[Reason, Hourly]:
        """Return the misses by reason, the most frequent first, without reasons that are zero."""
        hourly = {reason: self.hourly(service, misses_metric(reason)) for reason in Reason}
        found = sorted(hourly.items(), key=lambda item: -sum(item[1]))
        return {reason: counts for reason, counts in found if any(counts)}


def hit_rate(hits: float, misses: float) -> float | None:
    """Return the share of hits; None without a hit and without a miss."""
    return hits / (hits + misses) if hits + misses else None


def _query(number: int, namespace: str) -> dict[str, Any]:
    service, name = METRICS[number]
    metric = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": "service", "Value": service}],
    }
    return {
        "Id": f"m{number}",
        "MetricStat": {"Metric": metric, "Period": HOUR, "Stat": "Sum"},
    }
