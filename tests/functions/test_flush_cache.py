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
from tests.faults.faulty_proxy import FaultyProxy, Forward, faulty_proxy
from tests.faults.http_faults import close_without_reply, run_and_close
from tests.functions.events import Context, event, names
from upstash_redis import Redis

import flush_cache
from llm_cache import CachePolicy, InvalidPolicy, InvalidSettings, StoreError, UpstashRedisCache
from llm_cache._protocol import clearing
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

pytestmark = pytest.mark.usefixtures("flush_environment")

FOREIGN = {f"foreign:{number}": "x" for number in range(2000)}  # keys that a SCAN passes over
SCHEDULES = names("schedules")
SCHEDULED = event("schedules/scheduler_without_input")
NAMESPACES = ("test", "other")
METRICS = ("FlushSucceeded", "EntriesReclaimed", "ReclaimFailed")


def flush(seconds: float = 60, **fields: object) -> dict[str, Any]:
    return flush_cache.handler(fields, Context(seconds))


class Answers:
    """Thirty untagged answers, five with a tag and one with a tenant; two in another namespace."""

    def __init__(self, redis: Redis) -> None:
        self.own, self.other = (UpstashRedisCache(redis, namespace=name) for name in NAMESPACES)
        store(self.own, *(f"p{number}" for number in range(30)))
        store(self.own, *(f"red {number}" for number in range(5)), tags=["red"])
        store(self.own, "of 42", tenant="42")
        store(self.other, "p1", tags=["red"])
        store(self.other, "p2")

    @property
    def left(self) -> set[str]:
        """The answers that are hits, one of each kind."""
        found = {"p1", "red 1"} & hits(self.own) | ({"of 42"} & hits(self.own, tenant="42"))
        return found | {f"other {prompt}" for prompt in hits(self.other)}


def store(cache: UpstashRedisCache, *prompts: str, **policy: Any) -> None:
    with cache.policy(CachePolicy(**policy)):
        for prompt in prompts:
            cache.update(prompt, "model", [Generation(text="answer")])


def hits(cache: UpstashRedisCache, **policy: Any) -> set[str]:
    with cache.policy(CachePolicy(**policy)):
        prompts = ("p1", "p2", "red 1", "of 42")
        return {prompt for prompt in prompts if cache.lookup(prompt, "model")}


@pytest.fixture
def answers(redis: Redis) -> Answers:
    return Answers(redis)


def entries(redis: Redis) -> list[str]:
    found: list[str] = redis.keys("test:entry:*")
    return found


def counted(capsys: pytest.CaptureFixture[str]) -> list[tuple[int, ...]]:
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    return [tuple(int(line[name][0]) for name in METRICS) for line in lines]


OWN, OTHER = {"p1", "red 1", "of 42"}, {"other p1", "other p2"}
ALL = OWN | OTHER


@pytest.mark.parametrize(
    ("event", "scanned", "removed", "left", "metrics"),
    [
        ({}, 36, 36, OTHER, [(1, 36, 0)]),
        (SCHEDULED, 36, 36, OTHER, [(1, 36, 0)]),
        ({"tag": "red"}, 36, 5, ALL - {"red 1"}, [(0, 5, 0)]),
        ({"tag": "red", "dry_run": False}, 36, 5, ALL - {"red 1"}, [(0, 5, 0)]),
        ({"tenant": "42"}, 36, 1, ALL - {"of 42"}, [(0, 1, 0)]),
        ({"namespace": "other"}, 2, 2, OWN, [(0, 2, 0)]),
        ({"namespace": "other", "tag": "red"}, 2, 1, OWN | {"other p2"}, [(0, 1, 0)]),
        ({"dry_run": True}, 36, 36, ALL, []),
        ({"tag": "red", "dry_run": True}, 36, 5, ALL, []),
        ({"namespace": "other", "tag": "red", "dry_run": True}, 2, 1, ALL, []),
        ({"cursor": 0}, 36, 0, ALL, [(0, 0, 0)]),
        ({"cursor": "0"}, 36, 0, ALL, [(0, 0, 0)]),
    ],
)
def test_flush_clears_what_its_event_names_and_reports_it(
    answers: Answers,
    redis: Redis,
    capsys: pytest.CaptureFixture[str],
    event: dict[str, Any],
    scanned: int,
    removed: int,
    left: set[str],
    metrics: list[tuple[int, ...]],
) -> None:
    before = {key: redis.get(key) for key in redis.keys("*")}
    fields = {} if event is SCHEDULED else event
    clears = not (event.get("dry_run") or "cursor" in event)
    assert flush_cache.handler(event, Context()) == {
        "namespace": fields.get("namespace", "test"),
        "tag": fields.get("tag"),
        "tenant": fields.get("tenant"),
        "dry_run": fields.get("dry_run", False),
        "cleared": clears,
        "scanned": scanned,
        "removed": removed,
        "cursor": "0",
        "complete": True,
        "failure": None,
    }
    after = {key: redis.get(key) for key in redis.keys("*")}
    assert (after == before) is not clears
    assert len(before.keys() - after.keys()) == (removed if clears else 0)
    assert answers.left == left
    assert counted(capsys) == metrics


@pytest.mark.parametrize("fields", [{}, {"tag": "red", "dry_run": True}])
def test_flush_without_time_clears_and_continues_from_its_cursor(
    answers: Answers, redis: Redis, fields: dict[str, Any]
) -> None:
    redis.mset(FOREIGN)
    first = flush(**fields, seconds=1)
    assert (first["cleared"], first["complete"]) == (not fields, False)
    assert answers.left == (ALL if fields else OTHER)
    rest = flush(**fields, cursor=first["cursor"])
    assert (rest["cleared"], rest["complete"]) == (False, True)
    assert first["removed"] + rest["removed"] == (5 if fields else 36)


def test_token_of_one_namespace_flushes_no_other(
    answers: Answers, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = ["on", ">password", "~test:*", "+set", "+scan", "+eval", "+unlink"]
    redis.execute(["ACL", "SETUSER", "flush", "reset", *rules])
    token = redis.execute(["ACL", "RESTTOKEN", "flush", "password"])
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", str(token))
    with pytest.raises(StoreError, match="NOPERM"):
        flush(namespace="other")
    assert answers.left == ALL


def test_failed_clear_raises_and_writes_no_metrics(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", "wrong")
    with pytest.raises(StoreError, match="WRONGPASS"):
        flush()
    assert counted(capsys) == []


@pytest.fixture
def proxy(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """A proxy between the function and Upstash; a failed page is retried without a pause."""
    monkeypatch.setattr(clearing, "RETRY_PAUSE", 0.0)
    with faulty_proxy(upstash.url) as between:
        monkeypatch.setenv("UPSTASH_REDIS_REST_URL", between.url)
        yield between


@pytest.mark.parametrize("requests", [1, 2, 3])
def test_flush_with_a_failed_reclaim_reports_what_was_cleared_and_freed(
    answers: Answers,
    redis: Redis,
    proxy: FaultyProxy,
    requests: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    redis.mset(FOREIGN)
    proxy.call_after(requests, lambda: setattr(proxy, "misbehave", close_without_reply))
    result = flush()
    assert (result["cleared"], result["complete"]) == (True, False)
    assert result["failure"] == "no connection to Upstash (closed before the reply was complete)"
    assert answers.left == OTHER
    assert counted(capsys) == [(1, result["removed"], 1)]
    proxy.misbehave = None
    rest = flush(cursor=result["cursor"])
    assert (rest["cleared"], rest["complete"]) == (False, True)
    assert entries(redis) == []


def test_reclaim_continues_after_a_page_that_failed_once(
    answers: Answers, redis: Redis, proxy: FaultyProxy
) -> None:
    def once(connection: socket.socket, forward: Forward) -> None:
        proxy.misbehave = None
        run_and_close(connection, forward)

    proxy.call_after(1, lambda: setattr(proxy, "misbehave", once))
    result = flush()
    assert (result["cleared"], result["complete"], result["failure"]) == (True, True, None)
    assert entries(redis) == []


@pytest.mark.parametrize("fields", [{"cursor": "0"}, {"dry_run": True}])
def test_flush_that_did_nothing_raises(
    answers: Answers,
    proxy: FaultyProxy,
    fields: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    proxy.misbehave = close_without_reply
    with pytest.raises(StoreError):
        flush(**fields)
    assert counted(capsys) == []


def test_full_database_is_flushed(
    answers: Answers, redis_server: RedisServer, capsys: pytest.CaptureFixture[str]
) -> None:
    redis_server.call("CONFIG", "SET", "maxmemory", 1)
    try:
        result = flush()
    finally:
        redis_server.call("CONFIG", "SET", "maxmemory", 0)
    assert (result["cleared"], result["removed"], result["complete"]) == (True, 36, True)
    assert counted(capsys) == [(1, 36, 0)]


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
    answers: Answers, event: Any, message: str
) -> None:
    with pytest.raises(InvalidPolicy) as raised:
        flush_cache.handler(event, Context())
    assert str(raised.value).startswith(message)
    assert answers.left == ALL


def test_schedule_clears(redis: Redis) -> None:
    for name in SCHEDULES:
        sent = event(name)
        done = flush_cache.handler(sent, Context())
        assert (done["cleared"], done["tag"]) == (True, sent.get("tag")), name
        assert redis.keys("test:epoch*") != [], name
        redis.flushdb()


@pytest.mark.parametrize("name", [name for name in names() if name not in SCHEDULES])
def test_other_event_is_refused_and_clears_nothing(redis: Redis, name: str) -> None:
    sent: Any = event(name)
    with pytest.raises(InvalidPolicy, match="one of namespace, tag"):
        flush_cache.handler(sent, Context())
    assert redis.keys("*") == []


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
