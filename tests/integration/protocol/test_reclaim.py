"""What a reclaim frees and what it leaves, decided by its script in a real server."""

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import CacheNamespace, CachePolicy, UpstashRedisCache
from llm_cache._entries.envelope import HEAD, before_tag, body, head
from llm_cache._entries.keys import MAX_TAGS, tag_hash
from llm_cache._upstash.store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="an answer")]
GLOBS = "a*[b]?^"


@pytest.fixture(params=["shop", GLOBS])
def cache(redis: Redis, request: pytest.FixtureRequest) -> UpstashRedisCache:
    return UpstashRedisCache(redis, namespace=request.param)


@pytest.fixture
def namespace(cache: UpstashRedisCache, redis: Redis) -> CacheNamespace:
    return CacheNamespace(UpstashStore.beside(redis), cache._keys.prefix)


def keep(
    cache: UpstashRedisCache, prompt: str, *tags: str, answer: list[Generation] = ANSWER
) -> str:
    with cache.policy(CachePolicy(tags=tags)) as report:
        cache.update(prompt, "model", answer)
    assert report.last is not None
    return report.last.key


def hit(cache: UpstashRedisCache, prompt: str) -> bool:
    return cache.lookup(prompt, "model") is not None


def test_answers_under_a_cleared_tag_are_freed_and_no_others(
    cache: UpstashRedisCache, namespace: CacheNamespace, redis: Redis
) -> None:
    keep(cache, "cleared", "red")
    keep(cache, "cleared too", "blue", "red")
    keep(cache, "of another tag", "blue")
    keep(cache, "of none")
    namespace.clear("red")
    keep(cache, "stored since", "red")
    reclaimed = namespace.reclaim(seconds=30)
    assert (reclaimed.scanned, reclaimed.removed, reclaimed.complete) == (5, 2, True)
    left = ("of another tag", "of none", "stored since")
    assert all(hit(cache, prompt) for prompt in left)


def test_a_clear_of_a_tag_in_another_namespace_frees_nothing(
    cache: UpstashRedisCache, namespace: CacheNamespace, redis: Redis
) -> None:
    keep(cache, "p", "red")
    for other in ("aXbY^", "a*[b]?^:epoch", "shop2"):
        CacheNamespace(UpstashStore.beside(redis), other).clear("red")
    assert namespace.reclaim(seconds=30).removed == 0
    assert hit(cache, "p")


def test_a_reclaim_frees_nothing_of_a_namespace_that_its_pattern_would_match(
    redis: Redis,
) -> None:
    other = UpstashRedisCache(redis, namespace="aXbY^")
    keep(other, "p", "red")
    other.clear(tag="red")
    namespace = CacheNamespace(UpstashStore.beside(redis), GLOBS)
    namespace.clear("red")
    assert namespace.reclaim(seconds=30).scanned == 0


@pytest.mark.parametrize("foreign", [False, True])
def test_answers_under_a_tag_whose_epoch_was_lost_are_freed(
    cache: UpstashRedisCache, namespace: CacheNamespace, redis: Redis, foreign: bool
) -> None:
    keep(cache, "p", "red")
    epoch = f"{namespace.name}:epoch:{tag_hash('red')}"
    redis.delete(epoch)
    if foreign:
        redis.hset(epoch, "of another", "type")
    assert not hit(cache, "p")
    assert namespace.reclaim(seconds=30).removed == 1


@pytest.mark.parametrize("answer", ["short", "long " * 10_000])
def test_a_live_answer_under_all_the_tags_there_may_be_is_left_alone(
    cache: UpstashRedisCache, namespace: CacheNamespace, answer: str
) -> None:
    tags = [f"tag {number}" for number in range(MAX_TAGS)]
    keep(cache, "p", *tags, answer=[Generation(text=answer)])
    assert namespace.reclaim(seconds=30).removed == 0
    last = max(tags, key=tag_hash)
    namespace.clear(last)
    assert namespace.reclaim(seconds=30).removed == 1


REST = body(head(1.0, 60, "langchain"), ["1"])
RED = before_tag(tag_hash("red"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rubbish",
        HEAD + "LIVE",
        HEAD + 'LIVE"',
        HEAD + 'LIVE",',
        HEAD + "LIVE" + RED,
        HEAD + "LIVE" + RED + 'RED"',
        HEAD + "LIVE" + RED + 'RED","blue":"RED"}',
        HEAD + 'LIVE",7' + RED[1:] + "RED" + REST,
        HEAD + "LIVE" + RED.upper() + "RED" + REST,
        HEAD + "LIVE" + before_tag("0" * 31) + "RED" + REST,
        HEAD + "LIVE" + before_tag("red*") + "RED" + REST,
        HEAD + "LIVE" + RED + "gone" + REST,
        HEAD + "gone" + RED + "RED" + REST,
    ],
)
def test_what_no_lookup_would_return_is_freed(
    cache: UpstashRedisCache, namespace: CacheNamespace, redis: Redis, text: str
) -> None:
    key = keep(cache, "p", "red")
    live = redis.get(f"{namespace.name}:epoch") or ""
    red = redis.get(f"{namespace.name}:epoch:{tag_hash('red')}") or ""
    redis.set(f"{namespace.name}:epoch:{'0' * 31}", red)
    assert namespace.reclaim(seconds=30).removed == 0
    redis.set(key, text.replace("LIVE", live).replace("RED", red))
    assert namespace.reclaim(seconds=30).removed == 1


def test_what_is_of_another_type_is_freed(
    cache: UpstashRedisCache, namespace: CacheNamespace, redis: Redis
) -> None:
    key = keep(cache, "p")
    redis.delete(key)
    redis.hset(key, "of another", "type")
    assert namespace.reclaim(seconds=30).removed == 1


def test_a_dry_run_counts_what_a_reclaim_would_free_and_frees_nothing(
    cache: UpstashRedisCache, namespace: CacheNamespace, redis: Redis
) -> None:
    keep(cache, "p", "red")
    keep(cache, "q")
    namespace.clear("red")
    before = redis.dbsize()
    counted = namespace.reclaim(seconds=30, dry_run=True)
    assert redis.dbsize() == before
    assert counted == namespace.reclaim(seconds=30)
    assert (counted.scanned, counted.removed) == (2, 1)


@pytest.mark.parametrize(("tag", "unreachable"), [(None, 4), ("red", 2), ("blue", 3), ("pink", 1)])
def test_a_preview_counts_what_a_clear_would_leave_to_free(
    cache: UpstashRedisCache, namespace: CacheNamespace, tag: str | None, unreachable: int
) -> None:
    keep(cache, "cleared before", "old")
    namespace.clear("old")
    keep(cache, "p", "red", "blue")
    keep(cache, "q", "blue")
    keep(cache, "r")
    preview = namespace.preview(tag, seconds=30)
    assert (preview.scanned, preview.removed, preview.complete) == (4, unreachable, True)
    assert hit(cache, "p")
    assert hit(cache, "q")
    namespace.clear(tag)
    assert namespace.reclaim(seconds=30) == preview


def test_a_preview_costs_two_commands_a_page_and_is_resumed(
    redis: Redis, upstash: UpstashEndpoint
) -> None:
    cache = UpstashRedisCache(redis, namespace="shop")
    for number in range(1200):
        keep(cache, f"p{number}", f"tag {number % 3}")
    namespace = CacheNamespace(UpstashStore.beside(redis), "shop")
    upstash.meter.reset()
    cursor, counted, turns = "0", 0, 0
    while turns == 0 or cursor != "0":
        preview = namespace.preview("tag 1", seconds=0, cursor=cursor)
        cursor, counted, turns = preview.cursor, counted + preview.removed, turns + 1
    assert counted == 400
    assert turns > 1
    assert upstash.meter.read().commands <= 2 * turns
