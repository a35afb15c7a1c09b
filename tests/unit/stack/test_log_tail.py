"""Log lines of CloudWatch, each returned once."""

from dataclasses import dataclass, field
from typing import Any

from llm_cache._stack.log_tail import LATE, LogTail

NOW = 1_000_000_000  # milliseconds


def line(time: int, text: str, stream: str = "s") -> dict[str, Any]:
    return {"timestamp": time, "message": f"{text}\n", "logStreamName": stream}


@dataclass
class Logs:
    """Replies as boto3's client of CloudWatch Logs does."""

    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    starts: list[int] = field(default_factory=list)

    def add(self, group: str, *lines: dict[str, Any]) -> None:
        self.events.setdefault(group, []).extend(lines)

    def get_paginator(self, name: str) -> "Logs":
        assert name == "filter_log_events"
        return self

    def paginate(self, *, logGroupName: str, startTime: int) -> list[dict[str, Any]]:  # noqa: N803
        self.starts.append(startTime)
        found = sorted(self.events.get(logGroupName, []), key=lambda it: it["timestamp"])
        return [{"events": [it]} for it in found if it["timestamp"] >= startTime]


def texts(log: LogTail) -> list[str]:
    return [f"{found.function} {found.text}" for found in log.new_lines()]


def test_lines_of_several_groups_are_in_order_and_returned_once() -> None:
    logs = Logs()
    log = LogTail(logs, ["/aws/a", "/aws/b"], NOW / 1000)
    logs.add("/aws/a", line(NOW, "1"), line(NOW + 20, "3"))
    logs.add("/aws/b", line(NOW - 1, "too early"), line(NOW + 10, "2"))
    assert texts(log) == ["a 1", "b 2", "a 3"]
    assert texts(log) == []
    logs.add("/aws/b", line(NOW + 30, "4"))
    assert texts(log) == ["b 4"]


def test_late_line_is_returned_after_newer_ones() -> None:
    logs = Logs()
    log = LogTail(logs, ["g"], NOW / 1000)
    logs.add("g", line(NOW + LATE, "newer"))
    assert texts(log) == ["g newer"]
    logs.add("g", line(NOW + 5, "late"))
    assert texts(log) == ["g late"]


def test_equal_lines_of_one_millisecond_are_all_returned() -> None:
    logs = Logs()
    log = LogTail(logs, ["g"], NOW / 1000)
    logs.add("g", line(NOW, "same"), line(NOW, "same"), line(NOW, "same", "other stream"))
    assert texts(log) == ["g same"] * 3
    logs.add("g", line(NOW, "same"))
    assert texts(log) == ["g same"]


def test_each_read_begins_a_minute_before_the_newest_line() -> None:
    logs = Logs()
    log = LogTail(logs, ["g"], NOW / 1000)
    logs.add("g", line(NOW + 10 * LATE, "new"))
    list(log.new_lines())
    list(log.new_lines())
    assert logs.starts == [NOW, NOW + 9 * LATE]


def test_memory_holds_the_last_minute_only() -> None:
    logs = Logs()
    log = LogTail(logs, ["g"], NOW / 1000)
    for minute in range(20):
        logs.add("g", *(line(NOW + minute * LATE + second, "x") for second in range(0, LATE, 1000)))
        assert len(texts(log)) == 60
        assert len(log._seen) <= 61


def test_fraction_of_a_millisecond_in_the_start_repeats_no_line() -> None:
    logs = Logs()
    log = LogTail(logs, ["g"], (NOW + 0.7) / 1000)
    logs.add("g", line(NOW, "1"))
    assert texts(log) == ["g 1"]
    assert texts(log) == []
