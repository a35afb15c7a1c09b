"""`flush_cache` clears for every schedule, and refuses every other event of AWS."""

from typing import Any

import pytest
from tests.functions.events import Context, event, names
from upstash_redis import Redis

import flush_cache
from llm_cache import InvalidPolicy

pytestmark = pytest.mark.usefixtures("flush_environment")

SCHEDULES = names("schedules")


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
