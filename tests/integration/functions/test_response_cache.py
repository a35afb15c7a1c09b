"""Responses of a function behind the cache, as the function's caller gets them."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
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
KEEP = CachePolicy(ttl=10, stale_if_error=600)


class Function:
    """Counts its calls, and fails if ``fails``."""

    def __init__(self) -> None:
        self.requests: list[Any] = []
        self.fails = False

    def __call__(self, request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self.fails:
            raise RuntimeError("the model failed")
        return {"answer": f"answer {len(self.requests)}", "usage": USAGE}


Make = Callable[..., ResponseCache]


@pytest.fixture
def make(redis: Redis, clock: Clock) -> Make:
    return partial(ResponseCache, redis, version="1", namespace="n", clock=clock)


@pytest.fixture
def cache(make: Make) -> ResponseCache:
    return make()


@pytest.fixture
def function() -> Function:
    return Function()


Ask = Callable[[Any], dict[str, Any]]
Decorate = Callable[[Callable[[Any], dict[str, Any] | Uncached]], Ask]


@pytest.fixture(params=["blocking", "asynchronous"])
def decorate(request: pytest.FixtureRequest, cache: ResponseCache) -> Decorate:
    """Put a function behind the cache in each of the two forms."""
    if request.param == "blocking":
        return cache.cached

    def asynchronous(function: Callable[[Any], dict[str, Any] | Uncached]) -> Ask:
        async def answer(request: Any) -> dict[str, Any] | Uncached:
            return function(request)

        behind = cache.cached(answer)

        async def once(request: Any) -> dict[str, Any]:
            return await behind(request)

        return lambda request: asyncio.run(once(request))

    return asynchronous


@pytest.fixture
def ask(decorate: Decorate, function: Function) -> Ask:
    return decorate(function)


def stored_answer(cache: ResponseCache, request: object = REQUEST) -> object:
    found = cache.lookup(request)
    return found and found["answer"]


def test_repeated_request_is_a_hit_and_reports_its_saved_tokens(
    cache: ResponseCache, function: Function, ask: Ask
) -> None:
    with cache.policy() as report:
        first, again = ask(REQUEST), ask(dict(reversed(REQUEST.items())))
    assert first == again == {"answer": "answer 1", "usage": USAGE}
    assert (report.misses, report.stored, report.hits, report.saved) == (1, 1, 1, (9, 5))
    assert function.requests == [REQUEST]


@pytest.mark.parametrize(
    "other", [{"question": "What"}, {**REQUEST, "system": ""}, [REQUEST], "What?", None, 1, 1.0]
)
def test_another_request_has_another_answer(ask: Ask, other: object) -> None:
    assert ask(REQUEST) != ask(other)


def test_another_version_has_another_answer(make: Make, function: Function) -> None:
    caches = [make(version=version) for version in ("1", "2")]
    assert [each.cached(function)(REQUEST)["answer"] for each in caches] == ["answer 1", "answer 2"]


@pytest.mark.parametrize("by", ["this cache", "LangChain's", "the namespace", "a tag"])
def test_clear_reaches_responses_and_langchain_s_answers(
    cache: ResponseCache, redis: Redis, upstash: UpstashEndpoint, ask: Ask, by: str
) -> None:
    langchain = UpstashRedisCache(redis, namespace="n")
    store = UpstashStore(lambda: Credentials(upstash.url, upstash.token))
    clears: dict[str, Callable[[], object]] = {
        "this cache": cache.clear,
        "LangChain's": langchain.clear,
        "the namespace": CacheNamespace(store, "n").clear,
        "a tag": lambda: cache.clear(tag="t"),
    }
    with cache.policy(CachePolicy(tags=("t",))):
        ask(REQUEST)
        langchain.update("p", "model", [Generation(text="an answer")])
        clears[by]()
        assert langchain.lookup("p", "model") is None
        assert ask(REQUEST)["answer"] == "answer 2"


def test_model_inside_a_cached_function_bypasses_its_own_cache(
    cache: ResponseCache, redis: Redis
) -> None:
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
def test_policy_applies_to_a_cached_function(
    cache: ResponseCache, function: Function, ask: Ask, policy: CachePolicy, calls: int, stored: str
) -> None:
    ask(REQUEST)
    with cache.policy(policy):
        ask(REQUEST)
    assert len(function.requests) == calls
    assert stored_answer(cache) == stored


def test_policy_key_of_a_model_call_differs_from_policy_key_of_a_response(
    cache: ResponseCache, redis: Redis
) -> None:
    with cache.policy(CachePolicy(key="mine")):
        UpstashRedisCache(redis, namespace="n").update("p", "m", [Generation(text="an answer")])
        assert cache.lookup(REQUEST) is None


def test_policy_key_names_the_response(cache: ResponseCache, ask: Ask) -> None:
    answers = []
    for key in ("one", "one", "two"):
        with cache.policy(CachePolicy(key=key)):
            answers.append(ask(key)["answer"])
    assert answers == ["answer 1", "answer 1", "answer 2"]


def test_only_if_cached_does_not_call_the_function(
    cache: ResponseCache, function: Function, ask: Ask
) -> None:
    with cache.policy(CachePolicy(mode="only_if_cached")), pytest.raises(CacheMiss):
        ask(REQUEST)
    assert function.requests == []


def test_stale_response_is_served_if_the_function_fails(
    cache: ResponseCache, function: Function, ask: Ask, clock: Clock
) -> None:
    with cache.policy(KEEP):
        ask(REQUEST)
    clock.now += 60
    function.fails = True
    with cache.policy(KEEP) as report:
        assert ask(REQUEST)["answer"] == "answer 1"
    assert report.outcomes[-1].status == "stale"
    with cache.policy(CachePolicy(ttl=10)), pytest.raises(RuntimeError, match="the model failed"):
        ask(REQUEST)


def test_stale_response_of_another_request_is_not_served(
    cache: ResponseCache, function: Function, ask: Ask, clock: Clock
) -> None:
    with cache.policy(KEEP):
        ask("one")
        clock.now += 60
        assert ask("one")["answer"] == "answer 2"  # expired, and computed again
        function.fails = True
        with pytest.raises(RuntimeError, match="the model failed"):
            ask("another")


def test_concurrent_requests_make_one_call(cache: ResponseCache) -> None:
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


@pytest.mark.parametrize(
    ("mode", "skipped"),
    [
        ("use", Reason.TRUNCATED),
        ("refresh", Reason.TRUNCATED),
        ("read_only", Reason.MODE),
        ("bypass", None),
    ],
)
def test_uncached_response_is_returned_and_not_stored(
    cache: ResponseCache,
    redis: Redis,
    function: Function,
    decorate: Decorate,
    mode: Any,
    skipped: Reason | None,
) -> None:
    ask = decorate(lambda request: Uncached(function(request), Reason.TRUNCATED))
    with cache.policy(CachePolicy(mode=mode)) as report:
        assert [ask(REQUEST)["answer"] for _ in range(2)] == ["answer 1", "answer 2"]
    reasons = [outcome.why for outcome in report.having(Status.SKIPPED)]
    assert reasons == ([skipped] * 2 if skipped else [])
    assert (report.stored, report.hits) == (0, 0)
    assert redis.keys("n:entry:*") == []


def test_refresh_with_an_uncached_response_keeps_the_stored_one(
    cache: ResponseCache, function: Function, decorate: Decorate
) -> None:
    decorate(function)(REQUEST)
    with cache.policy(CachePolicy(mode="refresh")):
        decorate(lambda request: Uncached(function(request), Reason.FAILED))(REQUEST)
    assert stored_answer(cache) == "answer 1"


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


def test_stale_response_does_not_replace_an_uncached_response(
    cache: ResponseCache, function: Function, decorate: Decorate, clock: Clock
) -> None:
    with cache.policy(KEEP):
        decorate(function)(REQUEST)
        clock.now += 60
        ask = decorate(lambda request: Uncached(function(request), Reason.TRUNCATED))
        assert ask(REQUEST)["answer"] == "answer 2"


def valid(response: dict[str, Any]) -> object:
    return response["answer"] != "wrong" and response["usage"]["input_tokens"] >= 0


INVALID = [{"x": 1}, {"answer": "wrong", "usage": USAGE}, {"answer": "a", "usage": None}]


@pytest.mark.parametrize("response", INVALID)
def test_invalid_entry_is_a_miss_and_is_deleted(
    make: Make, redis: Redis, response: dict[str, Any]
) -> None:
    make().update("q", response)
    cache = make(validate=valid)
    with cache.policy() as report:
        assert cache.lookup("q") is None
    assert [outcome.why for outcome in report.outcomes] == [Reason.UNREADABLE]
    assert redis.keys("n:entry:*") == []


@pytest.mark.parametrize("response", INVALID)
def test_invalid_response_is_returned_and_not_stored(make: Make, response: dict[str, Any]) -> None:
    cache = make(validate=valid)
    with cache.policy() as report:
        assert cache.cached(lambda _: response)("q") is response
    assert report.outcomes[-1].why is Reason.NOT_RESTORABLE


def test_response_is_valid_if_the_validator_returns_none_also_in_memory(make: Make) -> None:
    cache = make(validate=lambda _: None, memory=MemoryTier(seconds=10))
    cache.update("q", {"answer": "one"})
    assert cache.lookup("q") == cache.lookup("q") == {"answer": "one"}


def test_invalid_stale_response_is_not_served(make: Make, function: Function, clock: Clock) -> None:
    cache, loose = make(validate=valid), make()
    function.fails = True
    with loose.policy(KEEP):
        loose.update(REQUEST, {"x": 1})
    clock.now += 60
    with cache.policy(KEEP), pytest.raises(RuntimeError, match="the model failed"):
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


@pytest.mark.parametrize(
    "text", ['{"a": "\\ud800"}', '{"a": [NaN]}', '{"\\udfff": 1}', "{}", '["one"]']
)
def test_entry_without_a_response_is_unreadable(
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
    [{}, *({"a": each} for each in ("\ud800", {1: 2}, (1,), float("nan"), object())), [1], "text"],
)
def test_response_that_cannot_be_restored_is_returned_and_not_stored(
    cache: ResponseCache, response: Any
) -> None:
    def answer(_: object) -> dict[str, Any]:
        return cast("dict[str, Any]", response)

    with cache.policy() as report:
        assert cache.cached(answer)("q") is response
    assert report.skipped == 1


@pytest.mark.parametrize("request_", [object(), float("nan")])
def test_request_other_than_json_is_answered(
    cache: ResponseCache, ask: Ask, request_: object
) -> None:
    with cache.policy() as report:
        assert ask(request_)["answer"] == "answer 1"
    assert report.errors >= 1


async def test_blocking_function_on_an_event_loop_waits_for_no_leader(
    cache: ResponseCache, function: Function
) -> None:
    with cache.policy(CachePolicy(coalesce="process")), logged_waits() as waits:
        leading = copy_context()  # keeps the leader of the first lookup
        leading.run(cache.lookup, REQUEST)
        assert copy_context().run(cache.cached(function), REQUEST)["answer"] == "answer 1"
    assert waits.pauses == []
