"""`flush_cache`, invoked as Lambda does, with a real Redis."""

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
from tests.functions.events import Context, event
from upstash_redis import Redis

import flush_cache
from llm_cache import CachePolicy, InvalidPolicy, InvalidSettings, StoreError, UpstashRedisCache
from llm_cache._protocol import clearing
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("flush_environment")

FOREIGN = {f"foreign:{number}": "x" for number in range(2000)}  # keys that a SCAN passes over
SCHEDULED = event("schedules/scheduler_without_input")
METRICS = ("FlushSucceeded", "EntriesReclaimed", "ReclaimFailed")


def flush(seconds: float = 60, **fields: object) -> dict[str, Any]:
    return flush_cache.handler(fields, Context(seconds))


def store(cache: UpstashRedisCache, *prompts: str, tag: str | None = None) -> UpstashRedisCache:
    with cache.policy(CachePolicy(tags=[tag] if tag else None)):
        for prompt in prompts:
            cache.update(prompt, "model", [Generation(text="answer")])
    return cache


@pytest.fixture
def filled(redis: Redis) -> UpstashRedisCache:
    cache = UpstashRedisCache(redis, namespace="test")
    return store(cache, *(f"p{number}" for number in range(30)))


@pytest.fixture
def tagged(filled: UpstashRedisCache) -> UpstashRedisCache:
    return store(filled, *(f"red {number}" for number in range(5)), tag="red")


@pytest.fixture
def other(filled: UpstashRedisCache, redis: Redis) -> UpstashRedisCache:
    cache = store(UpstashRedisCache(redis, namespace="other"), "p1", tag="red")
    return store(cache, "p2")


def test_flush_clears_reclaims_and_returns_counts(filled: UpstashRedisCache, redis: Redis) -> None:
    assert flush() == {
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


def test_flush_without_time_clears_and_returns_the_cursor(
    filled: UpstashRedisCache, redis: Redis
) -> None:
    redis.mset(FOREIGN)
    result = flush(seconds=1)
    assert (result["cleared"], result["complete"]) == (True, False)
    assert filled.lookup("p1", "model") is None
    rest = flush(cursor=result["cursor"])
    assert (rest["cleared"], rest["complete"]) == (False, True)
    assert result["removed"] + rest["removed"] == 30


def test_schedule_without_input_clears_the_namespace(filled: UpstashRedisCache) -> None:
    result = flush_cache.handler(SCHEDULED, Context())
    assert (result["cleared"], result["tag"], result["removed"]) == (True, None, 30)


@pytest.mark.parametrize("fields", [{"tag": "red"}, {"tag": "red", "dry_run": False}])
def test_flush_of_a_tag_keeps_other_answers(
    tagged: UpstashRedisCache, fields: dict[str, Any]
) -> None:
    result = flush(**fields)
    assert (result["tag"], result["cleared"]) == ("red", True)
    assert (result["scanned"], result["removed"]) == (35, 5)
    assert tagged.lookup("p1", "model") is not None
    assert tagged.lookup("red 1", "model") is None


@pytest.mark.parametrize(("fields", "count"), [({}, 35), ({"tag": "red"}, 5)])
def test_dry_run_counts_and_changes_nothing(
    tagged: UpstashRedisCache, redis: Redis, fields: dict[str, Any], count: int
) -> None:
    before = {key: redis.get(key) for key in redis.keys("*")}
    result = flush(**fields, dry_run=True)
    assert (result["dry_run"], result["cleared"], result["removed"]) == (True, False, count)
    assert {key: redis.get(key) for key in redis.keys("*")} == before


def test_dry_run_continues_from_its_cursor(tagged: UpstashRedisCache, redis: Redis) -> None:
    redis.mset(FOREIGN)
    first = flush(tag="red", dry_run=True, seconds=1)
    assert not first["complete"]
    rest = flush(tag="red", dry_run=True, cursor=first["cursor"])
    assert first["removed"] + rest["removed"] == 5


def test_flush_of_another_namespace_keeps_the_stacks_own_and_counts_no_success(
    other: UpstashRedisCache,
    filled: UpstashRedisCache,
    redis: Redis,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = flush(namespace="other")
    assert (result["namespace"], result["cleared"]) == ("other", True)
    assert (result["scanned"], result["removed"]) == (2, 2)
    assert other.lookup("p2", "model") is None
    assert redis.keys("other:entry:*") == []
    assert filled.lookup("p1", "model") is not None
    assert counted(capsys) == [(0, 2, 0)]


def test_tag_and_dry_run_apply_to_the_named_namespace(
    other: UpstashRedisCache, tagged: UpstashRedisCache
) -> None:
    assert flush(namespace="other", tag="red", dry_run=True)["removed"] == 1
    assert other.lookup("p2", "model") is not None
    assert flush(namespace="other", tag="red")["removed"] == 1
    assert other.lookup("p2", "model") is not None
    assert tagged.lookup("red 1", "model") is not None


def test_token_of_one_namespace_flushes_no_other(
    other: UpstashRedisCache, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = ["on", ">password", "~test:*", "+set", "+scan", "+eval", "+unlink"]
    redis.execute(["ACL", "SETUSER", "flush", "reset", *rules])
    token = redis.execute(["ACL", "RESTTOKEN", "flush", "password"])
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", str(token))
    with pytest.raises(StoreError, match="NOPERM"):
        flush(namespace="other")
    assert other.lookup("p2", "model") is not None


def counted(capsys: pytest.CaptureFixture[str]) -> list[tuple[int, ...]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return [tuple(int(line[name][0]) for name in METRICS) for line in lines]


def test_flush_writes_one_line_of_metrics(
    tagged: UpstashRedisCache, capsys: pytest.CaptureFixture[str]
) -> None:
    for fields in ({"tag": "red"}, {}, {"cursor": 7}):
        flush_cache.handler(fields, Context())
    assert counted(capsys) == [(0, 5, 0), (1, 30, 0), (0, 0, 0)]


def test_dry_run_and_failed_clear_write_no_metrics(
    filled: UpstashRedisCache, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    flush(dry_run=True)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    with pytest.raises(StoreError, match="WRONGPASS"):
        flush()
    assert counted(capsys) == []


@pytest.fixture
def proxy(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy between the function and Upstash; a failed page is retried without a pause."""
    monkeypatch.setattr(clearing, "BETWEEN", 0.0)
    with proxying(upstash.url) as between:
        monkeypatch.setenv("UPSTASH_REDIS_REST_URL", between.url)
        yield between


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_flush_with_a_failed_reclaim_reports_what_was_cleared_and_freed(
    filled: UpstashRedisCache,
    redis: Redis,
    proxy: Proxy,
    requests: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    redis.mset(FOREIGN)
    proxy.after, proxy.begin = requests, lambda: setattr(proxy, "misbehave", hanging_up)
    result = flush()
    assert (result["cleared"], result["complete"]) == (True, False)
    assert result["failure"] == "no connection to Upstash (closed before the reply was complete)"
    assert filled.lookup("p1", "model") is None
    assert counted(capsys) == [(1, result["removed"], 1)]
    proxy.misbehave = None
    rest = flush(cursor=result["cursor"])
    assert (rest["cleared"], rest["complete"]) == (False, True)
    assert redis.keys("test:entry:*") == []


def test_reclaim_continues_after_a_page_that_failed_once(
    filled: UpstashRedisCache, redis: Redis, proxy: Proxy
) -> None:
    def once(connection: socket.socket, forward: Forward) -> None:
        proxy.misbehave = None
        hanging_up_after_it_ran(connection, forward)

    proxy.after, proxy.begin = 1, lambda: setattr(proxy, "misbehave", once)
    result = flush()
    assert (result["cleared"], result["complete"], result["failure"]) == (True, True, None)
    assert redis.keys("test:entry:*") == []


@pytest.mark.parametrize("fields", [{"cursor": "0"}, {"dry_run": True}])
def test_flush_that_did_nothing_raises(
    filled: UpstashRedisCache,
    proxy: Proxy,
    fields: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    proxy.misbehave = hanging_up
    with pytest.raises(StoreError):
        flush(**fields)
    assert counted(capsys) == []


def test_full_database_is_flushed(
    filled: UpstashRedisCache, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_server.call("CONFIG", "SET", "maxmemory", 1)
    try:
        result = flush()
    finally:
        redis_server.call("CONFIG", "SET", "maxmemory", 0)
    assert (result["cleared"], result["removed"], result["complete"]) == (True, 30, True)
    assert counted(capsys) == [(1, 30, 0)]


@pytest.mark.parametrize("cursor", [0, "0"])
def test_cursor_zero_reclaims_from_the_start_without_a_clear(
    filled: UpstashRedisCache, cursor: object
) -> None:
    result = flush(cursor=cursor)
    assert (result["cleared"], result["scanned"], result["complete"]) == (False, 30, True)
    assert filled.lookup("p1", "model") is not None


@pytest.mark.parametrize(
    ("event", "message"),
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
        ({"tenant": "42", "tag": "red"}, "tenant=<2 characters> is not accepted: text, without"),
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
def test_invalid_event_is_refused_by_its_field_and_clears_nothing(
    filled: UpstashRedisCache, event: Any, message: str
) -> None:
    with pytest.raises(InvalidPolicy) as raised:
        flush_cache.handler(event, Context())
    assert str(raised.value).startswith(message)
    assert filled.lookup("p1", "model") is not None


def test_longest_namespace_is_accepted(redis: Redis) -> None:
    assert flush(namespace="x" * 200)["cleared"]


def test_missing_namespace_is_refused_so_that_no_whole_database_is_flushed(
    monkeypatch: pytest.MonkeyPatch, redis: Redis
) -> None:
    redis.set("foreign", "x")
    monkeypatch.delenv("LLM_CACHE_NAMESPACE")
    with pytest.raises(InvalidSettings, match="LLM_CACHE_NAMESPACE"):
        flush()
    assert redis.get("foreign") == "x"


def test_function_imports_neither_langchain_nor_boto3(checkout: Path) -> None:
    path = str(checkout / "functions" / "flush_cache")
    script = f"import sys; sys.path.insert(0, {path!r}); import flush_cache; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    modules = {name.partition(".")[0] for name in loaded.stdout.split()}
    assert "llm_cache" in modules
    assert not {"langchain_core", "langsmith", "pydantic", "boto3"} & modules
