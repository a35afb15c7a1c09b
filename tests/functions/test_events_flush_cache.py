"""`flush_cache` clears for a schedule, and refuses every other event that AWS sends."""

from typing import Any, cast

import pytest
from tests.functions.events import Context, event, names
from tests.functions.fronts import ALL, front
from upstash_redis import Redis

import flush_cache
from llm_cache import InvalidPolicy
from upstash_endpoint.endpoint import UpstashEndpoint

SCHEDULES = names("schedules")
OTHERS = {name: event(name) for name in names() if name not in SCHEDULES}
OTHERS |= {f"fronts/{name}": front(name) for name in ALL}


@pytest.fixture(autouse=True)
def _environment(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", upstash.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", upstash.token)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "test")


def flush(sent: object) -> dict[str, Any]:
    return flush_cache.handler(sent, cast(Any, Context()))


def refused(sent: object) -> bool:
    """Whether the function names the fields that a flush may have."""
    try:
        flush(sent)
    except InvalidPolicy as error:
        return "one of namespace, tag" in str(error)
    return False


def test_schedule_clears(redis: Redis) -> None:
    for name in SCHEDULES:
        sent = event(name)
        done = flush(sent)
        assert (done["cleared"], done["tag"]) == (True, sent.get("tag")), name
        assert redis.keys("test:epoch*") != [], name
        redis.flushdb()


def test_event_that_is_no_flush_request_is_refused_and_clears_nothing(redis: Redis) -> None:
    assert [name for name, sent in OTHERS.items() if not refused(sent)] == []
    assert redis.keys("*") == []
