"""Cache metrics, as Powertools writes them."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
from aws_lambda_powertools import Metrics
from tests.clock import Clock

from llm_cache import CacheMetrics, Circuit, InvalidSettings, Outcome, Report, Status
from llm_cache._observe import metrics as observed
from llm_cache._reasons import Reason
from llm_cache._report import Tokens

REPORT = Report(
    [
        Outcome(status=Status.HIT, key="a", tokens=Tokens(100, 20), seconds=0.002),
        Outcome(status=Status.HIT, key="b", tokens=Tokens(1000, 200), seconds=0.001),
        Outcome(status=Status.MISS, key="c", why=Reason.FORGED, seconds=0.004),
        *[Outcome(status=Status.MISS, key="d", why=Reason.UNKNOWN)] * 2,
        Outcome(status=Status.STORED, key="d"),
        Outcome(status=Status.STALE, key="e", tokens=Tokens(9, 9)),
        Outcome(status=Status.ERROR, key="f"),
    ],
    breaker=lambda: Circuit.OPEN,
)
COUNTS = {
    "CacheHits": [2],
    "CacheMisses": [3],
    "CacheStored": [1],
    "CacheErrors": [1],
    "CacheForged": [1],
    "CircuitOpen": [1],
    "TokensSaved": [1320],
}
Write: TypeAlias = Callable[..., dict[str, Any]]


@pytest.fixture
def write(capsys: pytest.CaptureFixture[str]) -> Write:
    """Write a report, and return the log line: its metrics, and ``_aws``."""

    def written(report: Report, **environ: str) -> dict[str, Any]:
        CacheMetrics.from_env(environ).write(report)
        line = json.loads(capsys.readouterr().out)
        return {name: line[name] for name in line if name not in {"service", "_aws"}} | {
            "namespace": line["_aws"]["CloudWatchMetrics"][0]["Namespace"]
        }

    return written


def test_report_becomes_one_line_of_metrics_and_annotations(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    annotations: dict[str, int] = {}
    monkeypatch.setattr(observed, "annotate", annotations.update)
    reasons = {"CacheMissesForged": [1], "CacheMissesUnknown": [2]}
    milliseconds = {"CacheMilliseconds": [pytest.approx(7)]}
    assert write(REPORT) == {**COUNTS, **reasons, **milliseconds, "namespace": "LlmCache"}
    assert annotations == {name: count for name, (count,) in COUNTS.items()}


def test_saved_tokens_are_priced_as_read_and_written(write: Write) -> None:
    prices = {"LLM_CACHE_INPUT_PRICE": "0.3", "LLM_CACHE_OUTPUT_PRICE": "2.5"}
    both = (1100 * 0.3 + 220 * 2.5) / 1e6
    assert write(REPORT, **prices)["DollarsSaved"] == [pytest.approx(both)]
    assert write(REPORT, LLM_CACHE_OUTPUT_PRICE="1")["DollarsSaved"] == [pytest.approx(0.00022)]
    assert write(REPORT, LLM_CACHE_INPUT_PRICE="1")["DollarsSaved"] == [pytest.approx(0.0011)]


def test_unused_cache_counts_zeros_in_its_namespace_and_nothing_of_the_last_report(
    write: Write,
) -> None:
    write(REPORT)
    zeros = {name: [0] for name in [*COUNTS, "CacheMilliseconds"]}
    shop = {"namespace": "LlmCache/shop"}
    assert write(Report(), POWERTOOLS_METRICS_NAMESPACE=shop["namespace"]) == {**zeros, **shop}


def test_misses_are_counted_by_reason(write: Write) -> None:
    reasons = [Reason.EXPIRED, Reason.NOT_TAGGED, Reason.EXPIRED, None]
    hit = Outcome(status=Status.HIT, key="a", why=Reason.MEMORY)
    misses = [Outcome(status=Status.MISS, key="a", why=why) for why in reasons]
    values = write(Report([*misses, hit]))
    counted = {name: count for name, count in values.items() if name.startswith("CacheMisses")}
    by_reason = {"CacheMissesExpired": [2], "CacheMissesNotTagged": [1]}
    assert counted == {"CacheMisses": [4], **by_reason}


HIT = Outcome(status=Status.HIT, key="a")
MISS = Outcome(status=Status.MISS, key="b", why=Reason.UNKNOWN)
STORED = Outcome(status=Status.STORED, key="b")
ERROR = Outcome(status=Status.ERROR, key="c")


@pytest.mark.parametrize(
    ("outcomes", "timed"),
    [
        ([HIT, HIT], {"HitMilliseconds": [2500]}),
        ([MISS, STORED], {"MissMilliseconds": [2500]}),
        ([ERROR], {"MissMilliseconds": [2500]}),
        ([HIT, MISS, STORED], {}),
        ([HIT, ERROR], {}),
        ([], {}),
    ],
)
def test_block_of_only_hits_or_only_misses_is_timed(
    write: Write, outcomes: list[Outcome], timed: dict[str, list[int]]
) -> None:
    clock = Clock()
    report = Report(outcomes, clock=clock)
    clock.now += 2.5
    values = write(report)
    names = {"HitMilliseconds", "MissMilliseconds"} & set(values)
    assert {name: values[name] for name in names} == timed


def test_metrics_of_the_function_are_written_in_the_same_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    metrics = Metrics(namespace="Mine", service="mine")

    @metrics.log_metrics
    def handler(event: object, context: object) -> None:
        metrics.add_metric("Orders", "Count", 1)
        CacheMetrics(metrics, input_price=1).add(REPORT)

    handler({}, object())
    line = json.loads(capsys.readouterr().out)
    assert (line["Orders"], line["CacheHits"]) == ([1], [2])
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    milliseconds, dollars = units.pop("CacheMilliseconds"), units.pop("DollarsSaved")
    assert (milliseconds, dollars, {*units.values()}) == ("Milliseconds", "None", {"Count"})


@pytest.mark.parametrize("name", ["LLM_CACHE_INPUT_PRICE", "LLM_CACHE_OUTPUT_PRICE"])
@pytest.mark.parametrize("value", ["free", "-1", "nan", "inf"])
def test_invalid_price_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{name}='{value}' is not accepted: dollars"):
        CacheMetrics.from_env({name: value})
