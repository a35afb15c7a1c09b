"""What the functions' log lines say about the cache.

- a line of metrics (EMF), which ``CacheMetrics`` or a flush writes
- a warning or an error of Powertools' Logger
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from llm_cache._observe.metrics import misses_metric
from llm_cache._reasons import Reason
from llm_cache._stack.log_tail import LogLine

WARNINGS = ("WARNING", "ERROR", "CRITICAL")
REASONS = {misses_metric(reason): reason for reason in Reason}


@dataclass(frozen=True, slots=True)
class CacheCounts:
    """The metrics of one invocation, by name."""

    time: float
    service: str
    correlation_id: str | None
    metrics: Mapping[str, float]

    def count(self, name: str) -> int:
        """Return a metric that counts; 0 if the line has none of this name."""
        return int(self.metrics.get(name, 0))

    @property
    def milliseconds(self) -> float | None:
        """The time of the block, model calls included; None if it had hits and misses."""
        found = self.metrics.get("HitMilliseconds", self.metrics.get("MissMilliseconds"))
        return None if found is None else round(found, 1)

    @property
    def miss_reasons(self) -> dict[str, int]:
        """The misses by reason."""
        return {str(why): self.count(name) for name, why in REASONS.items() if self.count(name)}


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning or an error of a function."""

    time: float
    service: str
    correlation_id: str | None
    level: str
    message: str
    why: str | None


CacheEvent: TypeAlias = CacheCounts | Warned


def cache_event(line: LogLine) -> CacheEvent | None:
    """Return what a line says about the cache; None for every other line."""
    if not line.text.startswith("{"):
        return None
    try:
        fields = json.loads(line.text)
    except (ValueError, RecursionError):
        return None
    service = str(fields.get("service", line.function))
    request = fields.get("correlation_id") or fields.get("function_request_id")
    match fields:
        case {"_aws": {"CloudWatchMetrics": [*directives]}}:
            metrics = dict(_metrics(fields, directives))
            return CacheCounts(line.time, service, request, metrics)
        case {"level": str(level), "message": message} if level in WARNINGS:
            why = fields.get("code") or fields.get("why") or fields.get("failure")
            return Warned(line.time, service, request, level, str(message), why)
    return None


def _metrics(fields: Mapping[str, Any], directives: list[Any]) -> Iterator[tuple[str, float]]:
    """Yield the sum of each metric: a line may hold several values of one."""
    for directive in directives:
        for metric in directive.get("Metrics", []):
            value = fields.get(metric["Name"], 0)
            yield metric["Name"], sum(value) if isinstance(value, list) else value
