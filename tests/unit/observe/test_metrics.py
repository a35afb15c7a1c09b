"""What the cache did, as Powertools writes it."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from aws_lambda_powertools import Metrics
from tests.clock import Clock

from llm_cache import CacheMetrics, Circuit, InvalidSettings, Outcome, Report, Status
from llm_cache._reasons import Reason
from llm_cache._report import Tokens

REPORT = Report(
    [
        Outcome(status=Status.HIT, key="a", tokens=Tokens(100, 20), seconds=0.002),
        Outcome(status=Status.HIT, key="b", tokens=Tokens(1000, 200), seconds=0.001),
        Outcome(status=Status.MISS, key="c", why=Reason.FORGED, seconds=0.004),
        Outcome(status=Status.MISS, key="d", why=Reason.UNKNOWN),
        Outcome(status=Status.STORED, key="d"),
        Outcome(status=Status.STALE, key="e", tokens=Tokens(9, 9)),
        Outcome(status=Status.ERROR, key="f"),
    ],
    breaker=lambda: Circuit.OPEN,
)
COUNTS = {
    "CacheHits": [2],
    "CacheMisses": [2],
    "CacheMissesForged": [1],
    "CacheMissesUnknown": [1],
    "CacheStored": [1],
    "CacheErrors": [1],
    "CacheForged": [1],
    "CircuitOpen": [1],
    "TokensSaved": [1320],
}


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Write a report, and read the line of the log."""

    def write(report: Report, **environ: str) -> Any:
        CacheMetrics.from_env(environ).write(report)
        return json.loads(capsys.readouterr().out)

    return write


def values(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if isinstance(value, list)}


def test_a_report_becomes_one_line_of_metrics(written: Callable[..., Any]) -> None:
    told = values(written(REPORT))
    assert told.pop("CacheMilliseconds") == [pytest.approx(7)]
    assert told == COUNTS


def test_what_was_saved_is_priced_by_what_is_read_and_what_is_written(
    written: Callable[..., Any],
) -> None:
    prices = {"LLM_CACHE_INPUT_PRICE": "0.3", "LLM_CACHE_OUTPUT_PRICE": "2.5"}
    assert written(REPORT, **prices)["DollarsSaved"] == [
        pytest.approx((1100 * 0.3 + 220 * 2.5) / 1e6)
    ]
    assert written(REPORT, LLM_CACHE_OUTPUT_PRICE="1")["DollarsSaved"] == [pytest.approx(0.00022)]


def test_a_cache_that_had_no_part_and_is_well_counts_nothing(written: Callable[..., Any]) -> None:
    always = {name for name in COUNTS if not name.startswith("CacheMisses")}
    zeros = [*always, "CacheMisses", "CacheMilliseconds"]
    assert values(written(Report())) == {name: [0] for name in zeros}


def test_misses_are_counted_by_reason(written: Callable[..., Any]) -> None:
    whys = [Reason.EXPIRED, Reason.NOT_TAGGED, Reason.EXPIRED, None]
    hit = Outcome(status=Status.HIT, key="a", why=Reason.MEMORY)
    misses = [Outcome(status=Status.MISS, key="a", why=why) for why in whys]
    told = values(written(Report([*misses, hit])))
    assert told["CacheMisses"] == [4]
    named = {name: count for name, count in told.items() if name.startswith("CacheMisses")}
    assert named.keys() - {"CacheMisses"} == {"CacheMissesExpired", "CacheMissesNotTagged"}
    assert (named["CacheMissesExpired"], named["CacheMissesNotTagged"]) == ([2], [1])


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
def test_a_block_that_hit_and_one_that_did_not_are_timed_apart(
    written: Callable[..., Any], outcomes: list[Outcome], timed: dict[str, list[int]]
) -> None:
    clock = Clock()
    report = Report(outcomes, clock=clock)
    clock.now += 2.5
    told = written(report)
    names = {"HitMilliseconds", "MissMilliseconds"} & set(told)
    assert {name: told[name] for name in names} == timed


def test_a_line_is_of_its_namespace_and_holds_one_report(written: Callable[..., Any]) -> None:
    written(REPORT)
    told = written(Report(), POWERTOOLS_METRICS_NAMESPACE="LlmCache/shop")
    (directive,) = told["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "LlmCache/shop"
    assert told["CacheHits"] == [0]


def test_metrics_of_ones_own_are_written_with_them(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = Metrics(namespace="Mine", service="mine")

    @metrics.log_metrics
    def handler(event: object, context: object) -> None:
        metrics.add_metric("Orders", "Count", 1)
        CacheMetrics(metrics).add(REPORT)

    handler({}, object())
    told = json.loads(capsys.readouterr().out)
    assert (told["Orders"], told["CacheHits"]) == ([1], [2])


@pytest.mark.parametrize("name", ["LLM_CACHE_INPUT_PRICE", "LLM_CACHE_OUTPUT_PRICE"])
@pytest.mark.parametrize("value", ["free", "-1", "nan", "inf"])
def test_a_price_that_is_none_is_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"{name}='{value}' is not accepted: dollars"):
        CacheMetrics.from_env({name: value})
