"""The metrics that the functions write, as they write them."""

import contextlib
import io
import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from tests.template.loader import ROOT, Template, environment, functions

from flush import Flush
from llm_cache import CacheMetrics, Outcome, Report, Status
from llm_cache._protocol.clearing import Reclaimed


def written(template: Template) -> dict[Any, frozenset[str]]:
    """The names of the metrics, by the service that the template says a function is."""
    by_function = {
        "AskFunction": _of_the_cache() | _named_in("ask"),
        "FlushCacheFunction": _of_flush_cache(),
        "SummarizeFunction": _of_the_cache() | _named_in("summarize"),
    }
    return {
        environment(functions(template)[function])["POWERTOOLS_SERVICE_NAME"]: names
        for function, names in by_function.items()
    }


@cache
def _of_the_cache() -> frozenset[str]:
    metrics, lines = CacheMetrics.from_env({"LLM_CACHE_INPUT_PRICE": "1"}), io.StringIO()
    with contextlib.redirect_stdout(lines):
        for status in (Status.HIT, Status.MISS):
            metrics.write(Report([Outcome(status=status, key="k")]))
    return frozenset(_names(lines.getvalue()))


@cache
def _of_flush_cache() -> frozenset[str]:
    lines = io.StringIO()
    with contextlib.redirect_stdout(lines):
        Flush().count(Reclaimed(scanned=1, removed=1, cursor="0"))
    return frozenset(_names(lines.getvalue()))


def _named_in(folder: str) -> frozenset[str]:
    """What may be a function's own metric: a text of several capitalized words in its code."""
    sources = [path.read_text() for path in (ROOT / "functions" / folder).glob("*.py")]
    return frozenset(re.findall(r'"((?:[A-Z][a-z]+){2,})"', "".join(sources)))


def _names(lines: str) -> Iterator[str]:
    for line in lines.splitlines():
        for directive in json.loads(line)["_aws"]["CloudWatchMetrics"]:
            yield from (metric["Name"] for metric in directive["Metrics"])
