"""Which entries a reclaim frees, decided by its script in a real server."""

import pytest
from langchain_core.outputs import Generation
from upstash_redis import Redis

from llm_cache import CacheNamespace, CachePolicy, UpstashRedisCache
from llm_cache._entries.envelope import encode_body, metadata, tag_separator
from llm_cache._entries.keys import MAX_TAGS, tag_hash
from llm_cache._entries.opening import OPENING
from llm_cache._protocol.clearing import Reclaimed
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

GLOB = "a*[b]?^"  # matches "aXbY^", unless it is escaped


class Shop:
    """The cache of a namespace, and its administration."""

    def __init__(self, redis: Redis, name: str) -> None:
        self.cache = UpstashRedisCache(redis, namespace=name)
        self.namespace = CacheNamespace(UpstashStore.from_client(redis), name)
        self.clear = self.namespace.clear

    def store(self, prompt: str, *tags: str, answer: str = "an answer") -> str:
        """Store an answer; return its key."""
        with self.cache.policy(CachePolicy(tags=tags)) as report:
            self.cache.update(prompt, "model", [Generation(text=answer)])
        assert report.last is not None
        return report.last.key

    def hits(self, *prompts: str) -> bool:
        return all(self.cache.lookup(prompt, "model") is not None for prompt in prompts)

    def reclaim(self, *, dry_run: bool = False) -> Reclaimed:
        reclaimed = self.namespace.reclaim(seconds=30, dry_run=dry_run)
        assert reclaimed.complete
        return reclaimed

    def epoch_key(self, tag: str = "") -> str:
        return f"{self.namespace.name}:epoch" + (f":{tag_hash(tag)}" if tag else "")


@pytest.fixture(params=["shop", GLOB])
def shop(redis: Redis, request: pytest.FixtureRequest) -> Shop:
    return Shop(redis, request.param)


def test_reclaim_frees_the_answers_of_a_cleared_tag_and_no_others(shop: Shop) -> None:
    shop.store("cleared", "red")
    shop.store("cleared too", "blue", "red")
    shop.store("of another tag", "blue")
    shop.store("of no tag")
    shop.clear("red")
    shop.store("stored since", "red")
    assert shop.reclaim() == Reclaimed(scanned=5, removed=2, cursor="0")
    assert shop.hits("of another tag", "of no tag", "stored since")


def test_clear_of_a_tag_in_another_namespace_frees_nothing(shop: Shop, redis: Redis) -> None:
    shop.store("p", "red")
    for name in ("aXbY^", f"{GLOB}:epoch", "shop2"):
        other = Shop(redis, name)
        other.store("p", "red")
        other.clear("red")
    assert shop.reclaim() == Reclaimed(scanned=1, removed=0, cursor="0")
    assert shop.hits("p")


@pytest.mark.parametrize("other_type", [False, True])
def test_reclaim_frees_an_answer_under_a_lost_epoch(
    shop: Shop, redis: Redis, other_type: bool
) -> None:
    shop.store("p", "red")
    redis.delete(shop.epoch_key("red"))
    if other_type:
        redis.hset(shop.epoch_key("red"), "a", "hash")
    assert not shop.hits("p")
    assert shop.reclaim().removed == 1


@pytest.mark.parametrize("answer", ["short", "long " * 10_000])
def test_reclaim_reads_as_many_tags_as_an_answer_may_have(shop: Shop, answer: str) -> None:
    tags = [f"tag {number}" for number in range(MAX_TAGS)]
    shop.store("p", *tags, answer=answer)
    assert shop.reclaim().removed == 0
    shop.clear(max(tags, key=tag_hash))
    assert shop.reclaim().removed == 1


REST = encode_body(metadata(1.0, 60, "langchain"), ["1"])
RED = tag_separator(tag_hash("red"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rubbish",
        OPENING + "LIVE",
        OPENING + 'LIVE"',
        OPENING + 'LIVE",',
        OPENING + "LIVE" + RED,
        OPENING + "LIVE" + RED + 'RED"',
        OPENING + "LIVE" + RED + 'RED","blue":"RED"}',
        OPENING + 'LIVE",7' + RED[1:] + "RED" + REST,
        OPENING + "LIVE" + RED.upper() + "RED" + REST,
        OPENING + "LIVE" + tag_separator("0" * 31) + "RED" + REST,
        OPENING + "LIVE" + tag_separator("red*") + "RED" + REST,
        OPENING + "LIVE" + RED + "gone" + REST,
        OPENING + "gone" + RED + "RED" + REST,
        None,  # a hash
    ],
)
def test_reclaim_frees_an_entry_that_no_lookup_would_return(
    shop: Shop, redis: Redis, text: str | None
) -> None:
    key = shop.store("p", "red")
    live, red = redis.mget(shop.epoch_key(), shop.epoch_key("red"))
    redis.set(f"{shop.epoch_key()}:{'0' * 31}", red or "")
    assert shop.reclaim().removed == 0
    redis.delete(key)
    if text is None:
        redis.hset(key, "a", "hash")
    else:
        redis.set(key, text.replace("LIVE", live or "").replace("RED", red or ""))
    assert shop.reclaim().removed == 1


def test_dry_run_counts_what_a_reclaim_frees_and_frees_nothing(shop: Shop, redis: Redis) -> None:
    shop.store("p", "red")
    shop.store("q")
    shop.clear("red")
    before = redis.dbsize()
    counted = shop.reclaim(dry_run=True)
    assert redis.dbsize() == before
    assert counted == shop.reclaim() == Reclaimed(scanned=2, removed=1, cursor="0")


@pytest.mark.parametrize(("tag", "removed"), [(None, 4), ("red", 2), ("blue", 3), ("pink", 1)])
def test_preview_counts_what_a_reclaim_after_a_clear_frees(
    shop: Shop, tag: str | None, removed: int
) -> None:
    shop.store("cleared before", "old")
    shop.clear("old")
    shop.store("p", "red", "blue")
    shop.store("q", "blue")
    shop.store("r")
    preview = shop.namespace.preview(tag, seconds=30)
    assert preview == Reclaimed(scanned=4, removed=removed, cursor="0")
    assert shop.hits("p", "q", "r")
    shop.clear(tag)
    assert shop.reclaim() == preview


def test_preview_costs_two_commands_a_page_and_resumes(
    redis: Redis, upstash: UpstashEndpoint
) -> None:
    shop = Shop(redis, "shop")
    for number in range(1200):
        shop.store(f"p{number}", f"tag {number % 3}")
    upstash.meter.reset()
    cursor, counted, pages = "0", 0, 0
    while pages == 0 or cursor != "0":
        preview = shop.namespace.preview("tag 1", seconds=0, cursor=cursor)
        cursor, counted, pages = preview.cursor, counted + preview.removed, pages + 1
    assert counted == 400
    assert pages > 1
    assert upstash.meter.read().commands <= 2 * pages
