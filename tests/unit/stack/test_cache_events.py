"""What log lines say about the cache."""

import json
from typing import Any

import pytest
from aws_lambda_powertools import Logger

from llm_cache import CacheMetrics, Outcome, Reason, Report, Status
from llm_cache._stack.cache_events import CacheCounts, Warned, cache_event
from llm_cache._stack.log_tail import LogLine


def event(text: str) -> Any:
    return cache_event(LogLine(5.0, "shop-ask", text))


@pytest.fixture
def written(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the line that ``CacheMetrics`` writes for outcomes."""
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "ask")

    def write(*outcomes: Outcome, **metadata: str) -> str:
        metrics = CacheMetrics.from_env({})
        for name, value in metadata.items():
            metrics.metrics.add_metadata(name, value)
        metrics.write(Report([*outcomes]))
        return capsys.readouterr().out.strip()

    return write


def test_line_of_metrics_has_the_counts_and_the_id_of_the_request(written: Any) -> None:
    misses = [Outcome(status=Status.MISS, key="k", why=Reason.NOT_TAGGED)] * 2
    found = event(written(*misses, correlation_id="request-1"))
    assert isinstance(found, CacheCounts)
    assert (found.time, found.service, found.correlation_id) == (5.0, "ask", "request-1")
    assert (found.count("CacheHits"), found.count("CacheMisses")) == (0, 2)
    assert found.miss_reasons == {"not_tagged": 2}
    assert found.milliseconds is not None


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_of_a_miss_is_read_back(written: Any, reason: Reason) -> None:
    found = event(written(Outcome(status=Status.MISS, key="k", why=reason)))
    assert found.miss_reasons == {reason: 1}


def test_several_values_of_a_metric_are_added() -> None:
    metric = [{"Name": "CacheHits"}, {"Name": "TokensSaved"}]
    line = {"_aws": {"CloudWatchMetrics": [{"Metrics": metric}]}, "CacheHits": [1, 2.0]}
    found = event(json.dumps(line | {"TokensSaved": 7}))
    assert (found.count("CacheHits"), found.count("TokensSaved")) == (3, 7)
    assert found.service == "shop-ask"


def test_warning_of_the_logger_has_its_reason(capsys: pytest.CaptureFixture[str]) -> None:
    logger = Logger(service="ask")
    logger.set_correlation_id("request-1")
    logger.warning("no answer", extra={"code": "model_timeout"})
    logger.info("answered")
    warning, info = capsys.readouterr().out.splitlines()
    expected = Warned(5.0, "ask", "request-1", "WARNING", "no answer", "model_timeout")
    assert event(warning) == expected
    assert event(info) is None


@pytest.mark.parametrize("text", ["START RequestId: 1", "{", "[]", "{}", "[" * 100_000, '{"a": 1}'])
def test_other_lines_are_ignored(text: str) -> None:
    assert event(text) is None
