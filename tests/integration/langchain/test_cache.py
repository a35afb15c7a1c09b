"""The drop-in class against a real server: policy, clears, and what a caller sees."""

import asyncio
import base64
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, Generation
from tests.clock import Clock
from upstash_redis import Redis
from upstash_redis.asyncio import Redis as AsyncRedis

from llm_cache import (
    CacheMiss,
    CacheNamespace,
    CachePolicy,
    InvalidPolicy,
    InvalidSettings,
    Status,
    UpstashRedisCache,
)
from llm_cache._entries.keys import MAX_NAMESPACE, MAX_TAGS
from llm_cache._protocol.effects import CommandArgs
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

ANSWER = [Generation(text="an answer")]


def noise(length: int) -> str:
    """Return text of four thirds of ``length`` that compression would not shorten much."""
    return base64.b64encode(random.Random(1).randbytes(length)).decode()


@pytest.fixture
def cache(redis: Redis, clock: Clock) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=600, namespace="shop", ttl_ceiling=3600, clock=clock)


def ask(cache: UpstashRedisCache, prompt: str = "p") -> tuple[bool, str | None]:
    """Look up and store as LangChain does; return whether it was a hit, and why not."""
    with cache.policy() as report:
        found = cache.lookup(prompt, "model")
        if found is None:
            cache.update(prompt, "model", ANSWER)
    return found is not None, report.outcomes[0].why if report.outcomes else None


def test_a_hit_reports_its_age_its_ttl_and_its_key(
    cache: UpstashRedisCache, clock: Clock, redis: Redis
) -> None:
    ask(cache)
    clock.now += 10
    with cache.policy() as report:
        cache.lookup("p", "model")
    (hit,) = report.outcomes
    assert (hit.status, hit.age, hit.ttl) == (Status.HIT, 10, 590)
    assert redis.exists(hit.key) == 1


def test_the_ttl_of_an_invocation_reaches_redis_clamped(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    for wanted, kept in ((120, 120), (10**6, 3600), (None, 600)):
        with cache.policy(CachePolicy(ttl=wanted)) as report:
            cache.update(f"p{wanted}", "model", ANSWER)
        assert report.last is not None
        assert report.last.ttl == kept
        assert kept - 60 <= redis.ttl(report.last.key) <= kept


def test_answers_stored_together_do_not_expire_together(upstash: UpstashEndpoint) -> None:
    cache = from_env(upstash, LLM_CACHE_TTL="1000", LLM_CACHE_TTL_JITTER="0.5")
    with cache.policy() as report:
        for number in range(20):
            cache.update(f"p{number}", "model", ANSWER)
    ttls = [outcome.ttl or 0 for outcome in report.outcomes]
    assert 500 <= min(ttls) < max(ttls) <= 1000


def test_an_answer_with_zero_ttl_is_not_stored(cache: UpstashRedisCache, redis: Redis) -> None:
    with cache.policy(CachePolicy(ttl=0)) as report:
        assert ask(cache) == (False, "unknown")
    assert [outcome.status for outcome in report.outcomes] == [Status.MISS, Status.SKIPPED]
    assert redis.keys("*:entry:*") == []


def test_a_ttl_callable_that_raises_loses_no_answer(cache: UpstashRedisCache) -> None:
    def broken(_answer: Any, _now: float) -> float:
        raise KeyError("tenant")

    with cache.policy(CachePolicy(ttl=broken)) as report:
        cache.update("p", "model", ANSWER)
    assert (report.errors, report.stored) == (1, 0)


def test_an_answer_older_than_max_age_is_computed_anew(
    cache: UpstashRedisCache, clock: Clock
) -> None:
    ask(cache)
    clock.now += 30
    with cache.policy(CachePolicy(max_age=20)):
        assert ask(cache) == (False, "too_old")
        assert ask(cache) == (True, None)


CUT = [ChatGeneration(message=AIMessage("The", response_metadata={"stopReason": "max_tokens"}))]


def test_an_answer_that_was_cut_short_is_not_kept(cache: UpstashRedisCache, redis: Redis) -> None:
    with cache.policy() as report:
        cache.update("p", "model", CUT)
    assert report.last is not None
    assert (report.last.status, report.last.why) == (Status.SKIPPED, "truncated")
    assert redis.keys("*:entry:*") == []


def test_each_rule_against_junk_can_be_switched_off(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, do_not_store=["empty"], mark_hits=False)
    cache.update("p", "model", CUT)
    cache.update("q", "model", [Generation(text="")])
    assert (cache.lookup("p", "model"), cache.lookup("q", "model")) == (CUT, None)


def test_a_rule_that_does_not_exist_is_refused(redis: Redis) -> None:
    with pytest.raises(InvalidSettings, match=r"do_not_store=\['boring'\] .*truncated"):
        UpstashRedisCache(redis, do_not_store=["boring"])


def test_a_refresh_overwrites(cache: UpstashRedisCache) -> None:
    cache.update("p", "model", [Generation(text="old")])
    with cache.policy(CachePolicy(mode="refresh")):
        assert ask(cache) == (False, "not_read")
    assert cache.lookup("p", "model") == ANSWER


def test_read_only_reads_and_leaves_nothing_behind(cache: UpstashRedisCache, redis: Redis) -> None:
    with cache.policy(CachePolicy(mode="read_only")):
        assert ask(cache) == (False, "unknown")
    assert redis.keys("*") == []
    ask(cache)
    with cache.policy(CachePolicy(mode="read_only")):
        assert ask(cache) == (True, None)


def test_bypass_neither_reads_nor_stores(cache: UpstashRedisCache) -> None:
    ask(cache)
    with cache.policy(CachePolicy(mode="bypass")):
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", [Generation(text="other")])
    assert cache.lookup("p", "model") == ANSWER


def test_only_if_cached_raises_rather_than_ask_the_model(
    cache: UpstashRedisCache, clock: Clock
) -> None:
    with cache.policy(CachePolicy(mode="only_if_cached")) as report:
        with pytest.raises(CacheMiss, match="unknown"):
            cache.lookup("p", "model")
        with pytest.raises(CacheMiss):
            asyncio.run(cache.alookup("p", "model"))
    assert report.misses == 2
    ask(cache)
    with cache.policy(CachePolicy(mode="only_if_cached")):
        assert cache.lookup("p", "model") == ANSWER
    with cache.policy(CachePolicy(mode="only_if_cached", max_age=1)):
        clock.now += 2
        with pytest.raises(CacheMiss, match="too_old"):
            cache.lookup("p", "model")


def test_an_answer_near_its_end_is_not_fresh_enough(cache: UpstashRedisCache, clock: Clock) -> None:
    ask(cache)
    clock.now += 590
    with cache.policy(CachePolicy(min_fresh=10)):
        assert cache.lookup("p", "model") == ANSWER
    with cache.policy(CachePolicy(min_fresh=11)):
        assert cache.lookup("p", "model") is None


def test_an_answer_is_kept_beyond_its_ttl_for_when_the_model_fails(
    cache: UpstashRedisCache, clock: Clock, redis: Redis
) -> None:
    with cache.policy(CachePolicy(ttl=60, stale_if_error=3600)) as report:
        cache.update("p", "model", ANSWER)
    assert report.last is not None
    assert (report.last.ttl, redis.ttl(report.last.key)) == (60, 3600)  # the ceiling
    clock.now += 100
    assert ask(cache) == (False, "expired")
    clock.now += 700
    with cache.policy(CachePolicy(max_stale=200)) as report:
        assert cache.lookup("p", "model") == ANSWER
    assert report.last is not None
    assert report.last.ttl == -100


def test_an_answer_that_upstash_may_refuse_for_its_size_is_not_sent(
    redis: Redis, upstash: UpstashEndpoint
) -> None:
    cache = UpstashRedisCache(redis, max_bytes=5_000)
    with cache.policy() as report:
        cache.update("p", "model", [Generation(text=noise(4_000))])
        assert upstash.meter.read().commands == 0
        cache.update("q", "model", [Generation(text=noise(3_000))])
    assert [outcome.status for outcome in report.outcomes] == [Status.SKIPPED, Status.STORED]
    assert report.outcomes[0].why == "too_large"


def from_env(upstash: UpstashEndpoint, **variables: str) -> UpstashRedisCache:
    located = {
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
    }
    return UpstashRedisCache.from_env({**located, **variables}, namespace="shop")


def test_the_environment_says_how_large_an_answer_may_be(upstash: UpstashEndpoint) -> None:
    cache = from_env(upstash, LLM_CACHE_MAX_BYTES="100")
    with cache.policy() as report:
        cache.update("p", "model", ANSWER)
    assert report.last is not None
    assert report.last.why == "too_large"


def test_an_answer_that_compression_makes_small_enough_is_stored(redis: Redis) -> None:
    cache, answer = UpstashRedisCache(redis, max_bytes=5_000), [Generation(text="word " * 10_000)]
    cache.update("p", "model", answer)
    assert cache.lookup("p", "model") == answer


def test_the_largest_answer_by_default_is_within_upstashs_smaller_limit(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[int] = []
    cache = UpstashRedisCache(redis, namespace="\U0001f600" * MAX_NAMESPACE)
    tags = [f"tag {number}" for number in range(MAX_TAGS)]
    execute = UpstashStore.execute

    def watched(store: UpstashStore, command: CommandArgs, *within: Any) -> Any:
        sent.append(len(json.dumps(command, ensure_ascii=False).encode()))
        return execute(store, command, *within)

    monkeypatch.setattr(UpstashStore, "execute", watched)
    with cache.policy(CachePolicy(tags=tags)) as report:
        cache.update("p", "model", [Generation(text=noise(672_000))])  # 896 KB in base64
    assert report.stored == 1
    assert 890_000 < sent[0] < 1_000_000


@pytest.mark.parametrize("size", [0, -1, 1.5, "900000", True, None])
def test_a_size_that_is_none_is_refused_by_name(redis: Redis, size: Any) -> None:
    with pytest.raises(InvalidSettings, match="max_bytes="):
        UpstashRedisCache(redis, max_bytes=size)


def test_overwriting_with_fewer_generations_leaves_no_tail(cache: UpstashRedisCache) -> None:
    cache.update("p", "model", [Generation(text="a"), Generation(text="b")])
    cache.update("p", "model", ANSWER)
    assert cache.lookup("p", "model") == ANSWER


def test_chat_answers_are_kept_with_what_they_carry(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, mark_hits=False)
    usage: Any = {"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}
    answer = [ChatGeneration(message=AIMessage("hi", id="1", usage_metadata=usage))]
    cache.update("p", "model", answer)
    with cache.policy() as report:
        assert cache.lookup("p", "model") == answer
    assert report.tokens_saved == 7


def test_a_clear_takes_effect_at_once_and_only_in_its_namespace(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    other = UpstashRedisCache(redis, namespace="shop2")
    redis.set("foreign", "untouched")
    ask(cache), ask(other)
    cache.clear()
    assert ask(cache) == (False, "cleared")
    assert ask(cache) == (True, None)
    assert ask(other) == (True, None)
    assert redis.get("foreign") == "untouched"


def test_an_answer_computed_across_a_clear_is_not_served(cache: UpstashRedisCache) -> None:
    ask(cache, "so that an epoch is there")
    assert cache.lookup("p", "model") is None
    cache.clear()
    cache.update("p", "model", ANSWER)
    assert ask(cache) == (False, "cleared")


def test_an_answer_computed_across_the_first_clear_of_all_is_not_served(redis: Redis) -> None:
    cache = UpstashRedisCache(redis, namespace="fresh")
    assert cache.lookup("p", "model") is None
    cache.clear()
    with cache.policy() as report:
        cache.update("p", "model", ANSWER)
    assert report.last is not None
    assert report.last.why == "cleared_meanwhile"
    assert cache.lookup("p", "model") is None


@pytest.mark.parametrize("namespace", [None, "fresh"])
def test_the_first_answers_of_all_may_be_many_at_once(redis: Redis, namespace: str | None) -> None:
    cache = UpstashRedisCache(redis, namespace=namespace)
    prompts = [f"p{number}" for number in range(5)]
    assert [cache.lookup(prompt, "model") for prompt in prompts] == [None] * 5
    for prompt in prompts:
        cache.update(prompt, "model", ANSWER)
    assert [cache.lookup(prompt, "model") for prompt in prompts] == [ANSWER] * 5


def test_an_answer_computed_across_a_flush_is_not_served(redis: Redis) -> None:
    cache = UpstashRedisCache(redis)
    ask(cache, "so that an epoch is there")
    assert cache.lookup("p", "model") is None
    cache.clear()
    cache.update("p", "model", ANSWER)
    assert cache.lookup("p", "model") is None


def test_a_lost_epoch_only_causes_misses(cache: UpstashRedisCache, redis: Redis) -> None:
    ask(cache, "before")
    cache.clear()
    redis.delete("shop:epoch")
    assert ask(cache, "before") == (False, "cleared")
    assert ask(cache, "before") == (True, None)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_drop_in_form_flushes_the_whole_database(redis: Redis, asynchronous: bool) -> None:
    cache = UpstashRedisCache(redis)
    redis.set("foreign", "gone after")
    ask(cache)
    cache.clear(asynchronous=asynchronous)
    assert redis.keys("*") == ["llm_cache:epoch"]


def test_a_clear_does_not_guess_at_arguments_it_does_not_know(cache: UpstashRedisCache) -> None:
    ask(cache)
    with pytest.raises(TypeError, match="not tags"):
        cache.clear(tags="tenant:42")
    assert ask(cache) == (True, None)


def test_rubbish_in_redis_is_a_miss_and_is_replaced(cache: UpstashRedisCache, redis: Redis) -> None:
    with cache.policy() as report:
        cache.update("p", "model", ANSWER)
    assert report.last is not None
    redis.set(report.last.key, '[{"lc": 1}]')
    assert ask(cache) == (False, "unreadable")
    assert ask(cache) == (True, None)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_reclaim_frees_what_was_cleared_and_nothing_else(
    cache: UpstashRedisCache, redis: Redis, upstash: UpstashEndpoint, asynchronous: bool
) -> None:
    for number in range(1200):
        cache.update(f"p{number}", "model", ANSWER)
    cache.clear(asynchronous=asynchronous)
    ask(cache, "fresh")
    redis.hset("shop:entry:" + "0" * 64, "of another", "type")
    redis.set("shop:entry:not-a-hash", "foreign")
    redis.set("shopX:entry:" + "1" * 64, "foreign")
    namespace = CacheNamespace(UpstashStore.beside(redis), "shop")
    reclaimed = namespace.reclaim(seconds=30)
    assert (reclaimed.scanned, reclaimed.removed, reclaimed.complete) == (1202, 1201, True)
    assert ask(cache, "fresh") == (True, None)
    assert redis.dbsize() == 4  # the fresh entry, the epoch, two foreign keys


def test_a_reclaim_in_many_short_turns_reaches_everything(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    for number in range(1200):
        cache.update(f"p{number}", "model", ANSWER)
    namespace = CacheNamespace(UpstashStore.beside(redis), "shop")
    namespace.clear()
    cursor, removed, turns = "0", 0, 0
    while turns == 0 or cursor != "0":
        reclaimed = namespace.reclaim(seconds=0, cursor=cursor)
        cursor, removed, turns = reclaimed.cursor, removed + reclaimed.removed, turns + 1
    assert removed == 1200
    assert turns > 1


def open_loops(cache: UpstashRedisCache) -> int:
    client = cache._runner.store._client
    assert client
    return len(client._asynchronous._pools)


def test_one_event_loop_per_invocation_leaves_nothing_open(
    cache: UpstashRedisCache, upstash: UpstashEndpoint
) -> None:
    async def invocation(prompt: str) -> object:
        if await cache.alookup(prompt, "model") is None:
            await cache.aupdate(prompt, "model", ANSWER)
        return await cache.alookup(prompt, "model")

    for number in range(3):
        assert asyncio.run(invocation(f"p{number}")) == ANSWER
        assert open_loops(cache) == 0


async def test_many_tasks_of_one_loop_share_a_client(cache: UpstashRedisCache) -> None:
    found = await asyncio.gather(*(cache.alookup(f"p{number}", "model") for number in range(20)))
    assert found == [None] * 20
    assert open_loops(cache) == 1


async def test_an_asynchronous_clear_clears(cache: UpstashRedisCache) -> None:
    await cache.aupdate("p", "model", ANSWER)
    await cache.aclear()
    assert await cache.alookup("p", "model") is None


@pytest.mark.parametrize(
    "not_a_client", [lambda at: AsyncRedis(at.url, at.token), lambda at: at.url, lambda _: None]
)
def test_what_is_no_client_is_refused_by_name(
    upstash: UpstashEndpoint, not_a_client: Callable[[UpstashEndpoint], object]
) -> None:
    with pytest.raises(InvalidSettings, match=r"redis_=.*an upstash_redis\.Redis"):
        UpstashRedisCache(not_a_client(upstash))


def test_the_callers_client_is_left_as_it_was(redis: Redis) -> None:
    before, http = dict(vars(redis)), redis._http._client
    UpstashRedisCache(redis).lookup("p", "model")
    assert vars(redis) == before
    assert redis._http._client is http
    assert http.timeout.read is None


@pytest.mark.parametrize("said", [ANSWER, CUT, None], ids=["an answer", "junk", "nothing"])
def test_a_lease_that_cannot_be_given_back_is_not_the_callers_failure(
    cache: UpstashRedisCache, said: list[Generation] | None
) -> None:
    class Breaks:
        broken = False

        def get_remaining_time_in_millis(self) -> int:
            return broken() if self.broken else 60_000

    context = Breaks()
    with cache.policy(CachePolicy(coalesce="fleet"), context=context) as report:
        assert cache.lookup("p", "model") is None
        context.broken = True
        if said:
            cache.update("p", "model", said)
    assert report.errors == (said is ANSWER)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), "1", True])
def test_a_timeout_that_is_no_time_is_refused(redis: Redis, timeout: float) -> None:
    with pytest.raises(InvalidSettings, match="timeout="):
        UpstashRedisCache(redis, timeout=timeout)


def test_a_context_that_is_not_lambdas_is_refused_before_the_call(cache: UpstashRedisCache) -> None:
    context: Any = {"aws_request_id": "1"}
    with pytest.raises(InvalidPolicy, match="context="), cache.policy(context=context):
        pass


def broken(*_: object) -> Any:
    raise RuntimeError("injected")


@pytest.fixture(
    params=["the canonical form", "the key", "the protection", "a prompt that is no text"]
)
def unasked(
    request: pytest.FixtureRequest,
    cache: UpstashRedisCache,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    """A prompt of which no question can be made."""
    match request.param:
        case "the canonical form":
            monkeypatch.setattr("llm_cache._langchain.cache.conversation_hash", broken)
        case "the key":
            monkeypatch.setattr("llm_cache._engine.cache_call.digest", broken)
        case "the protection":
            monkeypatch.setattr(cache._runner.store._credentials, "get", broken)
            monkeypatch.setattr(cache._runner.store._credentials, "aget", broken)
        case _:
            return 7
    return "p"


def test_a_question_that_cannot_be_made_fails_no_call(
    cache: UpstashRedisCache, unasked: Any, redis: Redis
) -> None:
    with cache.policy() as report:
        assert cache.lookup(unasked, "model") is None
        cache.update(unasked, "model", ANSWER)
        assert asyncio.run(cache.alookup(unasked, "model")) is None
        asyncio.run(cache.aupdate(unasked, "model", ANSWER))
    assert (report.errors, report.hits, report.misses, report.stored) == (3, 0, 0, 0)
    assert (report.outcomes[0].key, report.outcomes[1].why) == ("", "lookup_failed")
    assert redis.keys("*") == []


def test_a_question_that_cannot_be_made_is_not_asked_of_the_model_where_none_is_wanted(
    cache: UpstashRedisCache, unasked: Any
) -> None:
    with cache.policy(CachePolicy(mode="only_if_cached")) as report:
        with pytest.raises(CacheMiss, match="failed"):
            cache.lookup(unasked, "model")
        with pytest.raises(CacheMiss, match="failed"):
            asyncio.run(cache.alookup(unasked, "model"))
    assert report.errors == 2


def test_who_deletes_what_cannot_be_asked_is_told(cache: UpstashRedisCache, unasked: Any) -> None:
    with pytest.raises((RuntimeError, AttributeError, TypeError)):
        cache.delete(unasked, "model")


def test_a_context_that_fails_is_a_miss(cache: UpstashRedisCache) -> None:
    class Broken:
        def get_remaining_time_in_millis(self) -> int:
            raise RuntimeError("no clock")

    with cache.policy(context=Broken()) as report:
        assert cache.lookup("p", "model") is None
        cache.update("p", "model", ANSWER)
    assert report.errors == 1
