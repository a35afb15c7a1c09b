"""What a function returns, behind the cache, as a user of it sees it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, cast

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.outputs import Generation
from tests.clock import Clock
from tests.wait_log import logged_waits
from upstash_redis import Redis

from llm_cache import (
    CacheMiss,
    CacheNamespace,
    CachePolicy,
    MemoryTier,
    Reason,
    ResponseCache,
    Status,
    Uncached,
    UpstashRedisCache,
)
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

USAGE = {"input_tokens": 9, "output_tokens": 5}
REQUEST = {"question": "What?", "system": None}


class Function:
    """Counts its calls, and fails when told to."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.fails = False

    def __call__(self, request: Any) -> dict[str, Any]:
        self.asked.append(request)
        if self.fails:
            raise RuntimeError("the model failed")
        return {"answer": f"answer {len(self.asked)}", "usage": USAGE}


@pytest.fixture
def cache(redis: Redis) -> ResponseCache:
    return ResponseCache(redis, version="model 1", namespace="n")


@pytest.fixture
def function() -> Function:
    return Function()


Ask = Callable[[Any], dict[str, Any]]
Asking = Callable[[Callable[[Any], dict[str, Any] | Uncached]], Ask]


@pytest.fixture(params=["blocking", "asynchronous"])
def asking(request: pytest.FixtureRequest, cache: ResponseCache) -> Asking:
    """Put a function behind the cache, each of the two ways."""
    if request.param == "blocking":
        return cache.cached

    def asynchronous(function: Callable[[Any], dict[str, Any] | Uncached]) -> Ask:
        async def answer(asked: Any) -> dict[str, Any] | Uncached:
            return function(asked)

        behind = cache.cached(answer)

        async def once(asked: Any) -> dict[str, Any]:
            return await behind(asked)

        return lambda asked: asyncio.run(once(asked))

    return asynchronous


@pytest.fixture
def ask(asking: Asking, function: Function) -> Ask:
    return asking(function)


def test_a_request_asked_again_calls_nobody_and_says_what_it_saved(
    cache: ResponseCache, function: Function, ask: Ask
) -> None:
    with cache.policy() as report:
        first, again = ask(REQUEST), ask(dict(reversed(REQUEST.items())))
    assert first == again == {"answer": "answer 1", "usage": USAGE}
    assert (report.misses, report.stored, report.hits, report.tokens_saved) == (1, 1, 1, 14)
    assert function.asked == [REQUEST]


@pytest.mark.parametrize(
    "other", [{"question": "What"}, {**REQUEST, "system": ""}, [REQUEST], "What?", None, 1, 1.0]
)
def test_another_request_is_another_answer(ask: Ask, other: object) -> None:
    assert ask(REQUEST) != ask(other)


def test_another_version_is_another_answer(redis: Redis, function: Function) -> None:
    of = [ResponseCache(redis, version=version, namespace="n") for version in ("1", "2")]
    assert [one.cached(function)(REQUEST)["answer"] for one in of] == ["answer 1", "answer 2"]


@pytest.mark.parametrize("clears", ["this", "LangChain's", "the namespace", "its tag"])
def test_one_clear_clears_both(
    cache: ResponseCache, redis: Redis, upstash: UpstashEndpoint, ask: Ask, clears: str
) -> None:
    langchain = UpstashRedisCache(redis, namespace="n")
    with cache.policy(CachePolicy(tags=("t",))):
        ask(REQUEST)
        langchain.update("p", "model", [Generation(text="an answer")])
        if clears == "the namespace":
            store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
            CacheNamespace(store, "n").clear()
        elif clears == "its tag":
            cache.clear(tag="t")
        else:
            (cache if clears == "this" else langchain).clear()
        assert langchain.lookup("p", "model") is None
        assert ask(REQUEST)["answer"] == "answer 2"


def test_a_model_called_inside_keeps_nothing_of_its_own(cache: ResponseCache, redis: Redis) -> None:
    model = FakeListLLM(responses=["one", "two"], cache=UpstashRedisCache(redis, namespace="n"))

    def answer(request: str) -> dict[str, Any]:
        return {"answer": model.invoke(request)}

    with cache.policy() as report:
        assert cache.cached(answer)("q") == cache.cached(answer)("q") == {"answer": "one"}
    assert (report.misses, report.hits) == (1, 1)
    assert len(redis.keys("n:entry:*")) == 1
    with cache.policy(CachePolicy(mode="bypass")) as report:
        assert cache.cached(answer)("q") == {"answer": "two"}
    assert [(outcome.why, outcome.detail) for outcome in report.outcomes] == [("mode", "bypass")]


@pytest.mark.parametrize(
    ("policy", "calls", "stored"),
    [
        (CachePolicy(mode="refresh"), 2, "answer 2"),
        (CachePolicy(mode="read_only"), 1, "answer 1"),
        (CachePolicy(tenant="other"), 2, "answer 1"),
        (CachePolicy(salt="other"), 2, "answer 1"),
        (CachePolicy(key="mine"), 2, "answer 1"),
    ],
)
def test_policies_mean_what_they_mean(
    cache: ResponseCache, function: Function, ask: Ask, policy: CachePolicy, calls: int, stored: str
) -> None:
    ask(REQUEST)
    with cache.policy(policy):
        ask(REQUEST)
    assert len(function.asked) == calls
    found = cache.lookup(REQUEST)
    assert found is not None
    assert found["answer"] == stored


def test_a_key_of_ones_own_is_never_that_of_a_models_answer(
    cache: ResponseCache, redis: Redis
) -> None:
    with cache.policy(CachePolicy(key="mine")):
        UpstashRedisCache(redis, namespace="n").update("p", "m", [Generation(text="an answer")])
        assert cache.lookup(REQUEST) is None


def test_only_if_cached_calls_nobody(cache: ResponseCache, function: Function, ask: Ask) -> None:
    with cache.policy(CachePolicy(mode="only_if_cached")), pytest.raises(CacheMiss):
        ask(REQUEST)
    assert function.asked == []


def test_an_expired_response_stands_in_for_one_that_fails(redis: Redis, clock: Clock) -> None:
    cache, function = ResponseCache(redis, version="1", namespace="n", clock=clock), Function()
    ask = cache.cached(function)
    policy = CachePolicy(ttl=10, stale_if_error=600)
    with cache.policy(policy):
        ask(REQUEST)
    clock.now += 60
    function.fails = True
    with cache.policy(policy) as report:
        assert ask(REQUEST)["answer"] == "answer 1"
    assert report.last is not None
    assert report.last.status == "stale"
    with cache.policy(CachePolicy(ttl=10)), pytest.raises(RuntimeError, match="the model failed"):
        ask(REQUEST)


def test_what_another_request_left_to_spare_stands_in_for_none(redis: Redis, clock: Clock) -> None:
    cache, function = ResponseCache(redis, version="1", namespace="n", clock=clock), Function()
    ask = cache.cached(function)
    with cache.policy(CachePolicy(ttl=10, stale_if_error=600)):
        ask("one")
        clock.now += 60
        assert ask("one")["answer"] == "answer 2"  # it had expired, and was computed anew
        function.fails = True
        with pytest.raises(RuntimeError, match="the model failed"):
            ask("another")


def test_many_who_ask_at_once_cost_one_call(cache: ResponseCache) -> None:
    calls = []

    @cache.cached
    def behind(request: str) -> dict[str, Any]:
        calls.append(request)
        waits.until(4)
        return {"answer": "one"}

    def one() -> dict[str, Any]:
        return behind("q")

    fleet = CachePolicy(coalesce="fleet")
    with logged_waits() as waits, cache.policy(fleet), ThreadPoolExecutor(5) as pool:
        asking = [pool.submit(copy_context().run, one) for _ in range(5)]
        assert [one.result() for one in asking] == [{"answer": "one"}] * 5
    assert calls == ["q"]


def test_uncached_response_goes_to_its_caller_and_is_not_stored(
    cache: ResponseCache, redis: Redis, function: Function, asking: Asking
) -> None:
    ask = asking(lambda request: Uncached(function(request), Reason.TRUNCATED))
    with cache.policy() as report:
        assert [ask(REQUEST)["answer"] for _ in range(2)] == ["answer 1", "answer 2"]
    assert [outcome.why for outcome in report.having(Status.SKIPPED)] == [Reason.TRUNCATED] * 2
    assert (report.misses, report.stored, report.hits) == (2, 0, 0)
    assert redis.keys("n:entry:*") == []


@pytest.mark.parametrize("mode", ["bypass", "read_only", "refresh"])
def test_uncached_response_is_a_plain_one_in_every_mode(
    cache: ResponseCache, function: Function, asking: Asking, mode: Any
) -> None:
    ask = asking(lambda request: Uncached(function(request), Reason.WITHHELD))
    with cache.policy(CachePolicy(mode=mode)):
        assert ask(REQUEST) == {"answer": "answer 1", "usage": USAGE}


def test_refresh_with_an_uncached_response_leaves_what_is_stored(
    cache: ResponseCache, function: Function, asking: Asking
) -> None:
    asking(function)(REQUEST)
    with cache.policy(CachePolicy(mode="refresh")):
        asking(lambda request: Uncached(function(request), Reason.FAILED))(REQUEST)
    found = cache.lookup(REQUEST)
    assert found is not None
    assert found["answer"] == "answer 1"


@pytest.mark.parametrize("blocking", [True, False])
def test_update_with_an_uncached_response_stores_nothing(
    cache: ResponseCache, blocking: bool
) -> None:
    uncached = Uncached({"answer": "one"}, Reason.EMPTY)
    with cache.policy() as report:
        if blocking:
            cache.update(REQUEST, uncached)
        else:
            asyncio.run(cache.aupdate(REQUEST, uncached))
    assert [outcome.why for outcome in report.outcomes] == [Reason.EMPTY]
    assert cache.lookup(REQUEST) is None


def test_expired_response_does_not_stand_in_for_an_uncached_one(redis: Redis, clock: Clock) -> None:
    cache, function = ResponseCache(redis, version="1", namespace="n", clock=clock), Function()
    with cache.policy(CachePolicy(ttl=10, stale_if_error=600)):
        cache.cached(function)(REQUEST)
        clock.now += 60
        cut = cache.cached(lambda request: Uncached(function(request), Reason.TRUNCATED))
        assert cut(REQUEST)["answer"] == "answer 2"


@pytest.mark.parametrize(("coalesce", "waiters"), [("process", 2), ("fleet", 3)])
def test_waiter_calls_the_function_itself_when_the_leaders_response_is_uncached(
    redis: Redis, coalesce: Any, waiters: int
) -> None:
    calls: list[str] = []
    caches = [ResponseCache(redis, version="1", namespace="n") for _ in range(2)]

    def one(cache: ResponseCache) -> dict[str, Any]:
        @cache.cached
        def behind(request: str) -> Uncached:
            calls.append(request)
            waits.until(waiters)
            return Uncached({"answer": len(calls)}, Reason.TRUNCATED)

        with cache.policy(CachePolicy(coalesce=coalesce)):
            return behind("q")

    with logged_waits() as waits, ThreadPoolExecutor(4) as pool:
        asking = [pool.submit(one, cache) for cache in caches * 2]
        assert all(each.result()["answer"] for each in asking)
    assert calls == ["q"] * 4
    assert redis.keys("n:entry:*") == []


def right(response: dict[str, Any]) -> object:
    return response["answer"] != "wrong" and response["usage"]["input_tokens"] >= 0


WRONG = [{"x": 1}, {"answer": "wrong", "usage": USAGE}, {"answer": "a", "usage": None}]


@pytest.mark.parametrize("response", WRONG)
def test_response_that_validation_refuses_is_a_miss_and_is_deleted(
    redis: Redis, response: dict[str, Any]
) -> None:
    ResponseCache(redis, version="1", namespace="n").update("q", response)
    cache = ResponseCache(redis, version="1", namespace="n", validate=right)
    with cache.policy() as report:
        assert cache.lookup("q") is None
    assert [outcome.why for outcome in report.outcomes] == [Reason.UNREADABLE]
    assert redis.keys("n:entry:*") == []


@pytest.mark.parametrize("response", WRONG)
def test_response_that_validation_refuses_is_not_stored_and_goes_to_its_caller(
    redis: Redis, response: dict[str, Any]
) -> None:
    cache = ResponseCache(redis, version="1", namespace="n", validate=right)
    with cache.policy() as report:
        assert cache.cached(lambda _: response)("q") is response
    assert report.outcomes[-1].why is Reason.NOT_RESTORABLE


def test_response_that_validation_accepts_is_a_hit_also_in_memory_and_when_it_returns_nothing(
    redis: Redis,
) -> None:
    cache = ResponseCache(
        redis, version="1", namespace="n", validate=lambda _: None, memory=MemoryTier(seconds=10)
    )
    cache.update("q", {"answer": "one"})
    assert cache.lookup("q") == cache.lookup("q") == {"answer": "one"}


def test_expired_response_that_validation_refuses_does_not_stand_in(
    redis: Redis, clock: Clock
) -> None:
    policy = CachePolicy(ttl=10, stale_if_error=600)
    loose = ResponseCache(redis, version="1", namespace="n", clock=clock)
    cache = ResponseCache(redis, version="1", namespace="n", clock=clock, validate=right)
    function = Function()
    function.fails = True
    with loose.policy(policy):
        loose.update(REQUEST, {"x": 1})
    clock.now += 60
    with cache.policy(policy), pytest.raises(RuntimeError, match="the model failed"):
        cache.cached(function)(REQUEST)


@pytest.mark.parametrize(
    "usage",
    [
        {"input_tokens": 10**4000, "output_tokens": 5},
        {"input_tokens": 9, "output_tokens": -1},
        {"input_tokens": True, "output_tokens": 5},
        {"input_tokens": 9.0, "output_tokens": 5},
        None,
        [9, 5],
    ],
)
def test_impossible_usage_saves_no_tokens(cache: ResponseCache, usage: Any) -> None:
    cache.update(REQUEST, {"answer": "one", "usage": usage})
    with cache.policy() as report:
        assert cache.lookup(REQUEST) is not None
    assert report.tokens_saved == 0


@pytest.mark.parametrize("text", ['{"a": "\\ud800"}', '{"a": [NaN]}', '{"\\udfff": 1}', "{}"])
def test_entry_with_a_lone_surrogate_nan_or_nothing_is_unreadable(
    cache: ResponseCache, redis: Redis, text: str
) -> None:
    cache.update(REQUEST, {"answer": "one"})
    (key,) = redis.keys("n:entry:*")
    redis.set(key, str(redis.get(key)).replace('{"answer":"one"}', text))
    with cache.policy() as report:
        assert cache.lookup(REQUEST) is None
    assert [outcome.why for outcome in report.outcomes] == [Reason.UNREADABLE]


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"a": "\ud800"},
        {"a": {1: 2}},
        {"a": (1,)},
        {"a": float("nan")},
        {"a": object()},
        [1],
        "text",
    ],
)
def test_what_would_not_come_back_is_not_stored(cache: ResponseCache, response: Any) -> None:
    def answer(_: object) -> dict[str, Any]:
        return cast("dict[str, Any]", response)

    with cache.policy() as report:
        assert cache.cached(answer)("q") is response
    assert report.skipped == 1


def test_a_request_that_is_no_json_is_answered_all_the_same(cache: ResponseCache) -> None:
    with cache.policy() as report:
        assert cache.cached(lambda _: {"answer": "one"})(object()) == {"answer": "one"}
    assert report.errors >= 1


def test_what_langchain_stored_under_its_key_is_no_response(
    cache: ResponseCache, redis: Redis
) -> None:
    cache.update(REQUEST, {"answer": "one"})
    (key,) = redis.keys("n:entry:*")
    redis.set(key, str(redis.get(key)).replace('{"answer":"one"}', '["one"]'))
    with cache.policy() as report:
        assert cache.lookup(REQUEST) is None
    assert report.outcomes[0].why == "unreadable"


def test_a_cache_that_is_away_fails_nobody(function: Function) -> None:
    store = UpstashStore(lambda: Credentials("http://127.0.0.1:9", "token"))
    away = ResponseCache(store, version="1", timeout=0.5)
    assert away.cached(function)(REQUEST)["answer"] == "answer 1"
