"""The flush function, called as Lambda calls it."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langchain_core.outputs import Generation
from tests.faults.proxy import Forward, Proxy, proxying
from tests.faults.wire import hanging_up, hanging_up_after_it_ran
from tests.functions.events import Context
from upstash_redis import Redis

import flush_cache
from llm_cache import CachePolicy, InvalidPolicy, InvalidSettings, StoreError, UpstashRedisCache
from llm_cache._protocol import clearing
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

FOREIGN = {f"foreign:{number}": "x" for number in range(2000)}  # what a SCAN has to pass over


@pytest.fixture(autouse=True)
def _environment(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", upstash.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", upstash.token)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "test")


@pytest.fixture
def filled(redis: Redis) -> UpstashRedisCache:
    cache = UpstashRedisCache(redis, namespace="test")
    for number in range(30):
        cache.update(f"p{number}", "model", [Generation(text="answer")])
    return cache


def test_a_flush_clears_reclaims_and_counts(filled: UpstashRedisCache, redis: Redis) -> None:
    assert flush_cache.handler({}, Context()) == {
        "namespace": "test",
        "tag": None,
        "tenant": None,
        "dry_run": False,
        "cleared": True,
        "scanned": 30,
        "removed": 30,
        "cursor": "0",
        "complete": True,
        "failure": None,
    }
    assert filled.lookup("p1", "model") is None
    assert redis.keys("*") == ["test:epoch"]


def test_with_no_time_left_it_still_clears_and_says_where_to_go_on(
    filled: UpstashRedisCache, redis: Redis
) -> None:
    redis.mset(FOREIGN)
    result = flush_cache.handler({}, Context(seconds=1))
    assert (result["cleared"], result["complete"]) == (True, False)
    assert filled.lookup("p1", "model") is None
    removed = result["removed"]
    rest = flush_cache.handler({"cursor": result["cursor"]}, Context())
    assert (rest["cleared"], rest["complete"], removed + rest["removed"]) == (False, True, 30)


SCHEDULED = {
    "version": "0",
    "id": "37666ae6-48cf-4285-b4c6-a3320b38824a",
    "detail-type": "Scheduled Event",
    "source": "aws.scheduler",
    "account": "123456789012",
    "time": "2025-11-23T03:00:00Z",
    "region": "us-east-1",
    "resources": ["arn:aws:scheduler:us-east-1:123456789012:schedule/default/nightly"],
    "detail": "{}",
}


def test_what_the_scheduler_sends_by_itself_clears_all(filled: UpstashRedisCache) -> None:
    result = flush_cache.handler(SCHEDULED, Context())
    assert (result["cleared"], result["tag"], result["removed"]) == (True, None, 30)


@pytest.fixture
def tagged(filled: UpstashRedisCache) -> UpstashRedisCache:
    with filled.policy(CachePolicy(tags=("red",))):
        for number in range(5):
            filled.update(f"red {number}", "model", [Generation(text="answer")])
    return filled


@pytest.mark.parametrize("event", [{"tag": "red"}, {"tag": "red", "dry_run": False}])
def test_a_flush_of_a_tag_leaves_the_other_answers(
    tagged: UpstashRedisCache, event: dict[str, Any]
) -> None:
    result = flush_cache.handler(event, Context())
    assert (result["tag"], result["cleared"]) == ("red", True)
    assert (result["scanned"], result["removed"]) == (35, 5)
    assert tagged.lookup("p1", "model") is not None
    assert tagged.lookup("red 1", "model") is None


@pytest.mark.parametrize(("event", "counted"), [({}, 35), ({"tag": "red"}, 5)])
def test_a_dry_run_counts_and_changes_nothing(
    tagged: UpstashRedisCache, redis: Redis, event: dict[str, Any], counted: int
) -> None:
    before = {key: redis.get(key) for key in redis.keys("*")}
    result = flush_cache.handler({**event, "dry_run": True}, Context())
    assert (result["dry_run"], result["cleared"], result["removed"]) == (True, False, counted)
    assert {key: redis.get(key) for key in redis.keys("*")} == before


def test_a_dry_run_goes_on_where_it_stopped(tagged: UpstashRedisCache, redis: Redis) -> None:
    redis.mset(FOREIGN)
    first = flush_cache.handler({"tag": "red", "dry_run": True}, Context(seconds=1))
    assert not first["complete"]
    rest = {"tag": "red", "dry_run": True, "cursor": first["cursor"]}
    assert first["removed"] + flush_cache.handler(rest, Context())["removed"] == 5


@pytest.fixture
def other(filled: UpstashRedisCache, redis: Redis) -> UpstashRedisCache:
    cache = UpstashRedisCache(redis, namespace="other")
    with cache.policy(CachePolicy(tags=("red",))):
        cache.update("p1", "model", [Generation(text="answer")])
    cache.update("p2", "model", [Generation(text="answer")])
    return cache


def test_a_flush_of_another_namespace_leaves_the_stacks_own(
    other: UpstashRedisCache, filled: UpstashRedisCache, redis: Redis
) -> None:
    result = flush_cache.handler({"namespace": "other"}, Context())
    assert (result["namespace"], result["cleared"]) == ("other", True)
    assert (result["scanned"], result["removed"]) == (2, 2)
    assert other.lookup("p2", "model") is None
    assert redis.keys("other:entry:*") == []
    assert filled.lookup("p1", "model") is not None


def test_a_tag_and_a_dry_run_are_those_of_the_namespace_that_is_named(
    other: UpstashRedisCache, tagged: UpstashRedisCache
) -> None:
    event = {"namespace": "other", "tag": "red"}
    assert flush_cache.handler({**event, "dry_run": True}, Context())["removed"] == 1
    assert other.lookup("p2", "model") is not None
    assert flush_cache.handler(event, Context())["removed"] == 1
    assert other.lookup("p2", "model") is not None
    assert tagged.lookup("red 1", "model") is not None


def test_a_token_of_one_namespace_flushes_no_other(
    other: UpstashRedisCache, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = ["on", ">password", "~test:*", "+set", "+scan", "+eval", "+unlink"]
    redis.execute(["ACL", "SETUSER", "flush", "reset", *rules])
    token = redis.execute(["ACL", "RESTTOKEN", "flush", "password"])
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", str(token))
    with pytest.raises(StoreError, match="NOPERM"):
        flush_cache.handler({"namespace": "other"}, Context())
    assert other.lookup("p2", "model") is not None


METRICS = ("FlushSucceeded", "EntriesReclaimed", "ReclaimFailed")


def counted(capsys: pytest.CaptureFixture[str]) -> list[tuple[int, ...]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return [tuple(int(line[name][0]) for name in METRICS) for line in lines]


def test_flush_of_another_namespace_does_not_count_as_the_stacks(
    other: UpstashRedisCache, capsys: pytest.CaptureFixture[str]
) -> None:
    flush_cache.handler({"namespace": "other"}, Context())
    assert counted(capsys) == [(0, 2, 0)]


def test_flush_writes_one_line_of_metrics(
    tagged: UpstashRedisCache, capsys: pytest.CaptureFixture[str]
) -> None:
    flush_cache.handler({"tag": "red"}, Context())
    flush_cache.handler({}, Context())
    flush_cache.handler({"cursor": 7}, Context())
    assert counted(capsys) == [(0, 5, 0), (1, 30, 0), (0, 0, 0)]


def test_dry_run_and_failed_clear_count_as_no_flush(
    filled: UpstashRedisCache, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flush_cache.handler({"dry_run": True}, Context())
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    with pytest.raises(StoreError):
        flush_cache.handler({}, Context())
    assert counted(capsys) == []


@pytest.fixture
def proxy(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy between the function and Upstash, and no pause before a page is tried again."""
    monkeypatch.setattr(clearing, "BETWEEN", 0.0)
    with proxying(upstash.url) as between:
        monkeypatch.setenv("UPSTASH_REDIS_REST_URL", between.url)
        yield between


def fail_after(proxy: Proxy, requests: int) -> None:
    """Serve so many requests, and then hang up on each."""

    def begin() -> None:
        proxy.misbehave = hanging_up

    proxy.after, proxy.begin = requests, begin


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_flush_whose_reclaim_fails_says_what_was_cleared_and_freed(
    filled: UpstashRedisCache,
    redis: Redis,
    proxy: Proxy,
    requests: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    redis.mset(FOREIGN)
    fail_after(proxy, requests)
    result = flush_cache.handler({}, Context())
    assert (result["cleared"], result["complete"]) == (True, False)
    assert result["failure"] == "no connection to Upstash (closed before the reply was complete)"
    assert filled.lookup("p1", "model") is None
    (line,) = counted(capsys)
    assert line == (1, result["removed"], 1)
    proxy.misbehave = None
    rest = flush_cache.handler({"cursor": result["cursor"]}, Context())
    assert (rest["cleared"], rest["complete"]) == (False, True)
    assert redis.keys("test:entry:*") == []


def test_reclaim_goes_on_after_a_page_that_failed_once(
    filled: UpstashRedisCache, redis: Redis, proxy: Proxy
) -> None:
    def once(connection: socket.socket, forward: Forward) -> None:
        proxy.misbehave = None
        hanging_up_after_it_ran(connection, forward)

    proxy.after, proxy.begin = 1, lambda: setattr(proxy, "misbehave", once)
    result = flush_cache.handler({}, Context())
    assert (result["cleared"], result["complete"], result["failure"]) == (True, True, None)
    assert redis.keys("test:entry:*") == []


@pytest.mark.parametrize("event", [{"cursor": "0"}, {"dry_run": True}])
def test_run_that_did_nothing_raises(
    filled: UpstashRedisCache,
    proxy: Proxy,
    event: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    proxy.misbehave = hanging_up
    with pytest.raises(StoreError):
        flush_cache.handler(event, Context())
    assert counted(capsys) == []


def test_full_database_is_flushed(
    filled: UpstashRedisCache,
    redis: Redis,
    redis_server: RedisServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    redis_server.call("CONFIG", "SET", "maxmemory", 1)
    try:
        result = flush_cache.handler({}, Context())
    finally:
        redis_server.call("CONFIG", "SET", "maxmemory", 0)
    assert (result["cleared"], result["removed"], result["complete"]) == (True, 30, True)
    assert counted(capsys) == [(1, 30, 0)]


@pytest.mark.parametrize("cursor", [0, "0"])
def test_cursor_of_zero_reclaims_from_the_start_without_a_clear(
    filled: UpstashRedisCache, cursor: object
) -> None:
    result = flush_cache.handler({"cursor": cursor}, Context())
    assert (result["cleared"], result["scanned"], result["complete"]) == (False, 30, True)
    assert filled.lookup("p1", "model") is not None


@pytest.mark.parametrize(
    ("event", "named"),
    [
        ({"tags": 7}, "tags=7 is not accepted: one of namespace, tag, tenant, dry_run, cursor"),
        ({"namespace": None}, "namespace=None is not accepted: 1 to 200 printable characters"),
        ({"namespace": ""}, "namespace='' "),
        ({"namespace": 7}, "namespace=7 "),
        ({"namespace": "x" * 201}, "namespace=<201 characters> "),
        ({"namespace": "two\nlines"}, "namespace=<9 characters> "),
        ({"tag": None}, "tag=None is not accepted: text"),
        ({"tag": ""}, "tag='' is not accepted: text"),
        ({"tag": ["red"]}, "tag=<list> "),
        ({"tenant": ""}, "tenant='' is not accepted: text"),
        ({"tenant": 42}, "tenant=42 is not accepted: text"),
        ({"tenant": "42", "tag": "red"}, "tenant=<2 characters> is not accepted: text, with"),
        ({"dry_run": "yes"}, "dry_run='yes' is not accepted: true or false"),
        ({"dry_run": 1}, "dry_run=1 "),
        ({"dry_run": None}, "dry_run=None "),
        ({"cursor": None}, "cursor=None is not accepted: a number that an unfinished"),
        ({"cursor": True}, "cursor=True "),
        ({"cursor": -1}, "cursor=-1 "),
        ({"cursor": "7; FLUSHALL"}, "cursor='7; FLUSHALL' "),
        ({"cursor": 1.5}, "cursor=1.5 "),
        ({"source": "aws.scheduler"}, "source=<13 characters> "),
        ({**SCHEDULED, "tags": "red"}, "tags=<3 characters> "),
        ([], "event=<list> is not accepted: an object"),
        (None, "event=None "),
    ],
)
def test_a_wrong_event_is_refused_by_its_field_and_clears_nothing(
    filled: UpstashRedisCache, event: Any, named: str
) -> None:
    with pytest.raises(InvalidPolicy) as raised:
        flush_cache.handler(event, Context())
    assert str(raised.value).startswith(named)
    assert filled.lookup("p1", "model") is not None


def test_a_flush_that_failed_raises_so_that_somebody_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    with pytest.raises(StoreError, match="WRONGPASS"):
        flush_cache.handler({}, Context())


def test_without_a_namespace_it_refuses_to_flush_a_whole_database(
    monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    redis.set("foreign", "x")
    monkeypatch.delenv("LLM_CACHE_NAMESPACE")
    with pytest.raises(InvalidSettings, match="LLM_CACHE_NAMESPACE"):
        flush_cache.handler({}, Context())
    assert redis.get("foreign") == "x"


def test_it_never_imports_langchain_nor_boto3(checkout: Path) -> None:
    path = str(checkout / "functions" / "flush_cache")
    script = f"import sys; sys.path.insert(0, {path!r}); import flush_cache; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert "llm_cache" in modules
    assert not {"langchain_core", "langsmith", "pydantic", "boto3"} & modules
