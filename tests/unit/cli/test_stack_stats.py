"""``llm-cache stats --stack``: what the functions counted in the last hours."""

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import boto3
import pytest
from tests.deployed_stack import REGION, deployed
from tests.repository.pages import blocks
from tests.unit.cli.ask_server import AskServer

from llm_cache._cli.output import Output
from llm_cache._cli.stack_stats import show_stack_stats, sparkline
from llm_cache._stack.stack_access import StackAccess
from llm_cache._stack.stack_metrics import HOUR, METRICS

Put: TypeAlias = Callable[..., None]
Show: TypeAlias = Callable[..., str]
NOW = 500_000 * HOUR + 600.0  # ten minutes into an hour


@pytest.fixture
def put(served: AskServer) -> Put:
    """Add to metrics of a function, some hours ago."""
    client = boto3.client("cloudwatch", region_name=REGION)

    def put(service: str, *, hours_ago: int = 0, **values: float) -> None:
        moment = datetime.fromtimestamp(NOW - hours_ago * HOUR, UTC)
        dimensions = [{"Name": "service", "Value": service}]
        data = [
            {"MetricName": name, "Value": value, "Timestamp": moment, "Dimensions": dimensions}
            for name, value in values.items()
        ]
        client.put_metric_data(Namespace="LlmCache/shop", MetricData=data)

    return put


@pytest.fixture
def show(
    served: AskServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Show:
    """Print the numbers of the stack."""
    monkeypatch.setattr(time, "time", lambda: NOW)

    def show(*, as_json: bool = False, hours: int = 4) -> str:
        show_stack_stats(StackAccess.open("shop"), Output(as_json), hours=hours)
        return capsys.readouterr().out

    return show


def test_page_shows_hits_misses_and_savings_by_function_and_hour(put: Put, show: Show) -> None:
    put("ask", hours_ago=3, CacheHits=30, CacheMisses=10, CacheMissesUnknown=10, TokensSaved=900)
    put("ask", CacheHits=1, CacheMisses=3, CacheMissesExpired=2, CacheMissesUnknown=1)
    put("ask", CacheMisses=1, CacheMissesExpired=1, CacheErrors=2)
    put("flush-cache", hours_ago=1, FlushSucceeded=1, EntriesReclaimed=1200)
    shown = [block.text for block in blocks("docs/command-line.md") if block.test]
    assert [show()] == shown


def test_json_has_the_numbers(put: Put, show: Show) -> None:
    put("ask", hours_ago=1, CacheHits=3, CacheMisses=1, CacheMissesCleared=1, DollarsSaved=0.25)
    found: dict[str, Any] = json.loads(show(as_json=True, hours=2))
    ask = found["functions"]["ask"]
    assert (found["stack"], found["hours"], found["start"]) == ("shop", 2, 499_999 * HOUR)
    assert (ask["hits"], ask["misses"], ask["hit_rate"]) == (3, 1, 0.75)
    assert (ask["hourly_hit_rates"], ask["hourly_misses"]) == ([0.75, None], {"cleared": [1, 0]})
    assert (ask["dollars_saved"], ask["tokens_saved"]) == (0.25, 0)
    assert found["functions"]["summarize"]["hit_rate"] is None


def test_dollars_are_shown_where_prices_are_set(put: Put, show: Show) -> None:
    with deployed("http://x/", {"InputPrice": "3", "OutputPrice": "15"}):
        put("ask", CacheHits=1, TokensSaved=900, DollarsSaved=1234.5)
        out = show()
    assert "saved dollars           $1,234.50" in out
    assert "For dollars" not in out


def test_metrics_of_earlier_hours_and_of_other_stacks_are_left_out(put: Put, show: Show) -> None:
    put("ask", hours_ago=4, CacheHits=1)
    assert show(hours=4).startswith("shop: CloudWatch has no metrics of the last 4 hours.")
    assert "ask: hit rate 100.0%" in show(hours=5)


def test_no_metrics_at_all_is_explained(show: Show) -> None:
    assert "Either no call was made" in show(hours=1)


def test_one_request_holds_all_metrics() -> None:
    assert len(METRICS) <= 500  # CloudWatch's limit


@pytest.mark.parametrize(
    ("values", "most", "bars"),
    [
        ([0, 1, 7], None, "·▂█"),
        ([0.0, None, 0.5, 1.0], 1, "▁·▄█"),
        ([], None, ""),
        ([0, 0], None, "··"),
    ],
)
def test_sparkline_has_a_bar_a_value(
    values: list[float | None], most: float | None, bars: str
) -> None:
    assert sparkline(values, most=most) == bars
