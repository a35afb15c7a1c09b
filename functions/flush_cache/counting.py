"""What is counted of a flush."""

from __future__ import annotations

from flush import Flush
from llm_cache import CacheMetrics
from llm_cache.clearing import Reclaimed

metrics = CacheMetrics.from_env().metrics


def count(asked: Flush, reclaimed: Reclaimed) -> None:
    """Write, as one line of metrics, what was done; of a dry run, nothing.

    - ``FlushSucceeded``: 1 when all of the stack's namespace was cleared. One that failed raises
      instead, which Lambda counts.
    - ``EntriesReclaimed``: how many were freed
    """
    if asked.dry_run:
        return
    metrics.add_metric("FlushSucceeded", "Count", int(asked.clears_all))
    metrics.add_metric("EntriesReclaimed", "Count", reclaimed.removed)
    metrics.flush_metrics()
