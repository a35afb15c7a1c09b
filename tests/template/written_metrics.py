"""The names of the metrics that each function writes."""

import contextlib
import io
import json
import re
from collections.abc import Callable
from functools import cache

from tests.template.loader import ROOT

from flush import Flush
from llm_cache import CacheMetrics, Outcome, Report, Status
from llm_cache._protocol.clearing import Reclaimed


@cache
def written_metrics() -> dict[str, set[str]]:
    """Return the names by the logical ID of the function."""
    metrics = CacheMetrics.from_env({"LLM_CACHE_INPUT_PRICE": "1"})
    hit, miss = (Outcome(status=it, key="k") for it in (Status.HIT, Status.MISS))
    cache_metrics = _printed(lambda: metrics.write(Report([hit]))) | _printed(
        lambda: metrics.write(Report([miss]))
    )
    reclaimed = Reclaimed(scanned=1, removed=1, cursor="0")
    return {
        "AskFunction": cache_metrics | _named_in("ask"),
        "FlushCacheFunction": _printed(lambda: Flush().count(reclaimed)),
        "SummarizeFunction": cache_metrics | _named_in("summarize"),
    }


def _named_in(folder: str) -> set[str]:
    """Return the strings of several capitalized words in the code of a function."""
    sources = [path.read_text() for path in (ROOT / "functions" / folder).glob("*.py")]
    return set(re.findall(r'"((?:[A-Z][a-z]+){2,})"', "".join(sources)))


def _printed(write: Callable[[], object]) -> set[str]:
    lines = io.StringIO()
    with contextlib.redirect_stdout(lines):
        write()
    written = [json.loads(line)["_aws"] for line in lines.getvalue().splitlines()]
    directives = [directive for it in written for directive in it["CloudWatchMetrics"]]
    return {metric["Name"] for it in directives for metric in it["Metrics"]}
