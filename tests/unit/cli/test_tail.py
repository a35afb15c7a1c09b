"""``llm-cache tail``."""

import json
import time
from collections.abc import Callable
from typing import TypeAlias

import boto3
import pytest
from tests.command_line import Run
from tests.deployed_stack import GROUPS, REGION
from tests.unit.cli.ask_server import AskServer

from llm_cache._cli import tail

Put: TypeAlias = Callable[..., None]
HIT: dict[str, float] = {
    "CacheHits": 1,
    "CacheMisses": 0,
    "HitMilliseconds": 12.4,
    "TokensSaved": 1400,
}
MISS: dict[str, float] = {"CacheMisses": 1, "CacheMissesExpired": 1, "MissMilliseconds": 1840}


def metrics(service: str, values: dict[str, float], request: str | None = None) -> str:
    names = [{"Name": name} for name in values]
    aws = {"CloudWatchMetrics": [{"Metrics": names}]}
    lists = {name: [value] for name, value in values.items()}
    return json.dumps({"_aws": aws, "service": service, "correlation_id": request, **lists})


@pytest.fixture
def put(served: AskServer, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Write a line to the log of a function; its time is the present one less ``ago`` seconds."""
    client, now = boto3.client("logs", region_name=REGION), int(time.time() * 1000)
    monkeypatch.setattr(tail, "_utc", lambda seconds: f"{(seconds * 1000 - now) / 1000:+.0f}")
    for group in GROUPS.values():
        client.create_log_group(logGroupName=group)
        client.create_log_stream(logGroupName=group, logStreamName="s")

    def put(text: str, *, function: str = "ask", ago: float = 60) -> None:
        event = {"timestamp": int(now - ago * 1000), "message": text}
        client.put_log_events(logGroupName=GROUPS[function], logStreamName="s", logEvents=[event])

    return put


def columns(out: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("  ") if cell] for line in out.splitlines()]


def test_each_invocation_is_one_line(put: Put, run: Run) -> None:
    put(metrics("ask", HIT, "r1"), ago=50)
    put("START RequestId: 1", ago=49)
    put(metrics("summarize", MISS), function="summarize", ago=40)
    put(json.dumps({"level": "WARNING", "message": "no answer", "code": "busy"}), ago=30)
    code, out, err = run("tail", "--stack", "shop", "--no-follow")
    assert (code, err) == (0, "")
    assert columns(out) == [
        ["-50", "ask", "hit", "12 ms", "1,400 tokens saved", "r1"],
        ["-40", "summarize", "miss (expired)", "1,840 ms"],
        ["-30", "shop-ask", "warning: no answer (busy)"],
    ]


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"CacheHits": 3, "CacheMisses": 1, "CacheMissesTooOld": 1}, "3 hits, miss (too_old)"),
        (
            {"CacheMisses": 3, "CacheMissesUnknown": 1, "CacheMissesCleared": 2},
            "3 misses (unknown 1, cleared 2)",
        ),
        ({"CacheErrors": 1, "CircuitOpen": 1}, "cache error, circuit open"),
        ({"CacheMisses": 1, "ModelErrors": 1}, "miss, model error"),
        ({"CacheHits": 0, "CacheMisses": 0}, "no lookup"),
        ({"FlushSucceeded": 1, "EntriesReclaimed": 1200}, "cleared all, reclaimed 1,200 entries"),
        ({"FlushSucceeded": 0, "EntriesReclaimed": 3}, "reclaimed 3 entries"),
    ],
)
def test_outcome_is_in_words(put: Put, run: Run, values: dict[str, float], text: str) -> None:
    put(metrics("ask", values))
    _, out, _ = run("tail", "-s", "shop", "-F")
    assert columns(out)[0][2] == text


def test_json_has_the_fields(put: Put, run: Run) -> None:
    put(metrics("ask", MISS, "r1"))
    put(json.dumps({"level": "ERROR", "message": "failed", "service": "ask"}), ago=1)
    miss, error = map(json.loads, run("tail", "-s", "shop", "-F", "--json")[1].splitlines())
    assert (miss["function"], miss["misses"], miss["miss_reasons"]) == ("ask", 1, {"expired": 1})
    assert (miss["correlation_id"], miss["milliseconds"]) == ("r1", 1840)
    assert (error["level"], error["message"], error["why"]) == ("ERROR", "failed", None)


def test_raw_prints_every_line_unchanged(put: Put, run: Run) -> None:
    put("REPORT RequestId: 1\tDuration: [bold]2[/] ms :key:", ago=3)
    put('{"level": "INFO"}', function="summarize", ago=2)
    first = "shop-ask  REPORT RequestId: 1\tDuration: [bold]2[/] ms :key:\n"
    printed = first + 'shop-summarize  {"level": "INFO"}\n'
    assert run("tail", "-s", "shop", "-F", "--raw") == (0, printed, "")
    lines = run("tail", "-s", "shop", "-F", "--raw", "--json")[1].splitlines()
    assert [json.loads(line)["function"] for line in lines] == ["shop-ask", "shop-summarize"]


def test_lines_before_the_minutes_are_left_out_and_none_is_a_hint(put: Put, run: Run) -> None:
    put(metrics("ask", HIT), ago=130)
    assert run("tail", "-s", "shop", "-F", "--minutes", "3")[1]
    code, out, err = run("tail", "-s", "shop", "-F", "--minutes", "2")
    assert (code, out) == (0, "")
    assert err.startswith("warning: no call in the last 2 minutes")


def test_new_lines_are_followed_until_ctrl_c(
    put: Put, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(metrics("ask", HIT, "first"))
    pauses = list[float]()

    def sleep(seconds: float) -> None:
        if pauses:
            raise KeyboardInterrupt
        pauses.append(seconds)
        put(metrics("ask", HIT, "second"), ago=0)

    monkeypatch.setattr(time, "sleep", sleep)
    code, out, err = run("tail", "--stack", "shop")
    assert (code, err) == (130, "llm-cache: interrupted\n")
    assert [row[-1] for row in columns(out)] == ["first", "second"]
