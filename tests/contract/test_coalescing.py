"""One writer per answer: who asks the model, who waits, and for how long, on a real server."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel, BaseLLM
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import (
    ChatGeneration,
    ChatGenerationChunk,
    ChatResult,
    Generation,
    LLMResult,
)
from pydantic import Field
from upstash_redis import Redis

from llm_cache import (
    CachePolicy,
    Report,
    Status,
    StoreUnavailable,
    UpstashRedisCache,
    cached,
    coalescing,
    heartbeat,
)
from local_cloud.children import wait_until
from local_cloud.redis_server import RedisServer
from local_cloud.upstash import UpstashEndpoint

SLOW = 0.3  # seconds a call of the model takes
ANSWER = [Generation(text="an answer")]

_counting = threading.Lock()


class Model(BaseChatModel):
    """Answers after a while, and counts how often it is asked."""

    asked: list[str] = Field(default_factory=list)
    fail: int = 0

    @property
    def _llm_type(self) -> str:
        return "counting"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        with _counting:
            self.asked.append(messages[-1].text)
            number = len(self.asked)
        time.sleep(SLOW)
        if number <= self.fail:
            raise RuntimeError("the model failed")
        message = AIMessage(f"answer {number}")
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture(params=["process", "fleet"])
def policy(request: pytest.FixtureRequest) -> CachePolicy:
    return CachePolicy(coalesce=request.param)


@pytest.fixture
def caches(upstash: UpstashEndpoint) -> Iterator[Callable[[], UpstashRedisCache]]:
    """Caches as of several processes: they share the database and nothing else."""
    clients = []

    def make() -> UpstashRedisCache:
        clients.append(Redis(upstash.url, upstash.token))
        return UpstashRedisCache(clients[-1], namespace="shop", lease=5)

    yield make
    for client in clients:
        client.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def cache(caches: Callable[[], UpstashRedisCache]) -> UpstashRedisCache:
    return caches()


def statuses(report: Report) -> list[str]:
    return sorted(f"{one.status} {one.why or ''}".strip() for one in report.outcomes)


def test_a_batch_of_equal_prompts_is_one_call(
    cache: UpstashRedisCache, policy: CachePolicy
) -> None:
    model = Model(cache=cache)
    with cache.policy(policy) as report:
        answers = model.batch(["same"] * 5)
    assert {answer.text for answer in answers} == {"answer 1"}
    assert model.asked == ["same"]
    assert statuses(report) == [*["hit collapsed"] * 4, "miss unknown", "stored"]


async def test_an_asynchronous_batch_of_equal_prompts_is_one_call(
    cache: UpstashRedisCache, policy: CachePolicy
) -> None:
    model = Model(cache=cache)
    with cache.policy(policy):
        answers = await model.abatch([*["same"] * 5, "other"])
    assert [answer.text for answer in answers[:5]] == [answers[0].text] * 5
    assert sorted(model.asked) == ["other", "same"]


def test_without_the_policy_everyone_asks(cache: UpstashRedisCache) -> None:
    model = Model(cache=cache)
    model.batch(["same"] * 3)
    assert len(model.asked) == 3


def test_what_coalescing_costs_without_contention(
    cache: UpstashRedisCache, policy: CachePolicy, upstash: UpstashEndpoint
) -> None:
    def spent(prompt: str) -> int:
        upstash.meter.reset()
        with cache.policy(policy):
            if cache.lookup(prompt, "model") is None:
                cache.update(prompt, "model", ANSWER)
        return upstash.meter.read().commands

    more = 1 if policy.coalesce == "fleet" else 0
    assert [spent("p"), spent("p"), spent("q"), spent("q")] == [2 + more, 1, 2 + more, 1]


def test_nothing_is_left_of_a_lease(
    cache: UpstashRedisCache, redis: Redis, policy: CachePolicy
) -> None:
    with cache.policy(policy):
        cache.lookup("p", "model")
        assert len(redis.keys("*:lease:*")) == (policy.coalesce == "fleet")
        cache.update("p", "model", ANSWER)
    assert redis.keys("*:lease:*") == []


def together(*works: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(works)) as pool:
        return [task.result() for task in [pool.submit(work) for work in works]]


def asking(cache: UpstashRedisCache, model: Model, policy: CachePolicy) -> Callable[[], Any]:
    def ask() -> str:
        with cache.policy(policy):
            return str(model.model_copy(update={"cache": cache}).invoke("same").text)

    return ask


def test_processes_ask_once_between_them(caches: Callable[[], UpstashRedisCache]) -> None:
    model = Model()
    fleet = CachePolicy(coalesce="fleet")
    answers = together(*(asking(caches(), model, fleet) for _ in range(8)))
    assert answers == ["answer 1"] * 8


def test_a_lease_taken_before_a_clear_is_not_waited_for(
    caches: Callable[[], UpstashRedisCache],
) -> None:
    first, second = caches(), caches()
    with first.policy(CachePolicy(coalesce="fleet")):
        assert first.lookup("p", "model") is None
        second.clear()
        with second.policy(CachePolicy(coalesce="fleet")) as report:
            assert second.lookup("p", "model") is None
            second.update("p", "model", [Generation(text="new")])
        first.update("p", "model", [Generation(text="old")])
    assert statuses(report) == ["miss unknown", "stored"]
    assert second.lookup("p", "model") == [Generation(text="new")]


def test_the_first_answer_to_another_question_makes_nobody_ask_twice(
    caches: Callable[[], UpstashRedisCache], policy: CachePolicy
) -> None:
    """It makes the namespace's first epoch, which is no clear."""
    first, second = caches(), caches()
    with first.policy(policy):
        assert first.lookup("p", "model") is None
        second.update("another", "model", ANSWER)
        first.update("p", "model", ANSWER)
    assert second.lookup("p", "model") == ANSWER


def test_a_database_that_has_become_full_keeps_nobody_waiting(
    caches: Callable[[], UpstashRedisCache], redis: Redis, redis_server: RedisServer
) -> None:
    cache = caches()
    with cache.policy(CachePolicy(coalesce="fleet")) as report:
        assert cache.lookup("p", "model") is None
        redis_server.call("CONFIG", "SET", "maxmemory", 1)
        try:
            cache.update("p", "model", ANSWER)
        finally:
            redis_server.call("CONFIG", "SET", "maxmemory", 0)
    assert report.stored == 1  # Redis lets a script go on that has freed something first: the lease
    assert redis.keys("*:lease:*") == []


def test_a_model_that_fails_lets_the_next_one_ask(
    cache: UpstashRedisCache, policy: CachePolicy
) -> None:
    model = Model(cache=cache, fail=1)
    began = time.monotonic()
    with cache.policy(policy):
        answers = model.batch(["same"] * 4, return_exceptions=True)
    assert time.monotonic() - began < 4
    assert len(model.asked) == 2
    assert [str(answer) for answer in answers if isinstance(answer, Exception)] == [
        "the model failed"
    ]


async def test_a_model_that_fails_on_a_loop_lets_the_next_one_ask(
    cache: UpstashRedisCache, policy: CachePolicy
) -> None:
    model = Model(cache=cache, fail=1)
    with cache.policy(policy):
        async with asyncio.timeout(4):
            await model.abatch(["same"] * 4, return_exceptions=True)
    assert len(model.asked) == 2


def test_a_model_that_fails_gives_its_lease_back(
    caches: Callable[[], UpstashRedisCache], redis: Redis
) -> None:
    first, second = caches(), caches()
    model = Model(fail=1)
    fleet = CachePolicy(coalesce="fleet")
    with pytest.raises(RuntimeError, match="the model failed"):
        asking(first, model, fleet)()
    assert redis.keys("*:lease:*") == []
    began = time.monotonic()
    assert asking(second, model, fleet)() == "answer 2"
    assert time.monotonic() - began < SLOW + 1


async def test_a_lease_is_given_back_without_stopping_the_loop(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    fleet = CachePolicy(coalesce="fleet")
    with pytest.raises(RuntimeError, match="the model failed"), cache.policy(fleet):
        await Model(cache=cache, fail=1).ainvoke("same")
    await asyncio.sleep(0.5)
    assert redis.keys("*:lease:*") == []


@pytest.mark.parametrize("retry", ["invoke", "ainvoke"])
def test_a_retry_goes_on_where_the_failure_left(
    cache: UpstashRedisCache, policy: CachePolicy, retry: str
) -> None:
    model = Model(cache=cache, fail=2)
    again = model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    began = time.monotonic()
    with cache.policy(policy):
        answer = again.invoke("p") if retry == "invoke" else asyncio.run(again.ainvoke("p"))
    assert answer.text == "answer 3"
    assert time.monotonic() - began < 3


def _never(_answer: object, _now: float) -> None:
    """A TTL that says, once the answer is there, that it is not to be stored."""


def test_an_answer_that_is_not_stored_is_not_waited_for(
    cache: UpstashRedisCache, policy: CachePolicy
) -> None:
    """Those who wait learn of it at once, and then ask side by side and not in turn."""
    model = Model(cache=cache)
    never = CachePolicy(coalesce=policy.coalesce, ttl=_never)
    began = time.monotonic()
    with cache.policy(never):
        model.batch(["same"] * 6)
    assert len(model.asked) == 6
    assert time.monotonic() - began < 3.5 * SLOW + 0.5


def test_across_the_fleet_an_answer_that_is_not_stored_is_not_waited_for(
    caches: Callable[[], UpstashRedisCache],
) -> None:
    model = Model()
    never = CachePolicy(coalesce="fleet", ttl=_never)
    began = time.monotonic()
    together(*(asking(caches(), model, never) for _ in range(6)))
    assert len(model.asked) == 6
    assert time.monotonic() - began < 3.5 * SLOW + 1.5


@pytest.mark.parametrize("fields", [{"ttl": 0}, {"mode": "read_only"}, {"mode": "refresh"}])
def test_nobody_takes_a_lease_for_what_policy_forbids(
    cache: UpstashRedisCache, redis: Redis, fields: dict[str, Any]
) -> None:
    with cache.policy(CachePolicy(coalesce="fleet", **fields)):
        cache.lookup("p", "model")
        assert redis.keys("*:lease:*") == []


@contextmanager
def hanging(cache: UpstashRedisCache, policy: CachePolicy) -> Iterator[None]:
    """Have another thread look the answer up and compute it until the block ends: for ever."""
    holding, done = threading.Event(), threading.Event()

    def hang() -> None:
        with cache.policy(policy):
            cache.lookup("p", "model")
            holding.set()
            done.wait()

    thread = threading.Thread(target=hang)
    thread.start()
    holding.wait()
    try:
        yield
    finally:
        done.set()
        thread.join()


def test_a_dead_writer_is_waited_for_no_longer_than_its_lease(
    upstash: UpstashEndpoint, redis: Redis
) -> None:
    dead = UpstashRedisCache(redis, namespace="shop", lease=0.8)
    alive = UpstashRedisCache(redis, namespace="shop", lease=5)
    fleet = CachePolicy(coalesce="fleet")
    with hanging(dead, fleet):
        began = time.monotonic()
        with alive.policy(fleet) as report:
            assert alive.lookup("p", "model") is None
            alive.update("p", "model", ANSWER)
        waited = time.monotonic() - began
    assert 0.4 < waited < 2.5
    assert report.stored == 1


def test_of_those_who_wait_for_a_dead_writer_one_takes_over(
    redis: Redis, policy: CachePolicy
) -> None:
    """They all gave up at the moment at which its lease ended, and each asked the model."""
    shared = UpstashRedisCache(redis, namespace="shop", lease=1.0)
    computed = []

    def ask() -> None:
        own = UpstashRedisCache(redis, namespace="shop", lease=1.0)
        cache = shared if policy.coalesce == "process" else own
        with cache.policy(policy):
            if cache.lookup("p", "model") is None:
                computed.append("p")
                time.sleep(SLOW)
                cache.update("p", "model", ANSWER)

    with hanging(shared, policy):
        together(*[ask] * 6)
    assert computed == ["p"]


@pytest.fixture
def _short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coalescing, "LIFE", 0.6)
    monkeypatch.setattr(heartbeat, "EACH", 0.1)


def compute(cache: UpstashRedisCache, seconds: float) -> list[str]:
    """Look an answer up and store it after so long; return what became of it."""
    with cache.policy(CachePolicy(coalesce="fleet")) as report:
        if cache.lookup("p", "model") is None:
            time.sleep(seconds)
            cache.update("p", "model", ANSWER)
    return statuses(report)


@pytest.mark.usefixtures("_short_lives")
def test_a_slow_writer_that_lives_is_waited_for(
    caches: Callable[[], UpstashRedisCache], redis: Redis
) -> None:
    first, second = caches(), caches()
    told = together(lambda: compute(first, 2.0), lambda: compute(second, 2.0))
    assert sorted(told) == [["hit collapsed"], ["miss unknown", "stored"]]
    assert redis.keys("*:lease:*") == []


@pytest.mark.usefixtures("_short_lives")
async def test_one_that_holds_up_its_event_loop_lives(
    caches: Callable[[], UpstashRedisCache],
) -> None:
    first, second = caches(), caches()
    with first.policy(CachePolicy(coalesce="fleet")):
        assert await first.alookup("p", "model") is None
        waiting = asyncio.get_running_loop().run_in_executor(None, compute, second, 0.0)
        await asyncio.sleep(0.2)
        time.sleep(1.5)  # noqa: ASYNC251  as a model that blocks
        await first.aupdate("p", "model", ANSWER)
    assert await waiting == ["hit collapsed"]


@pytest.mark.usefixtures("_short_lives")
def test_a_writer_lives_for_no_longer_than_its_lease(redis: Redis) -> None:
    hung = UpstashRedisCache(redis, namespace="shop", lease=2.0)
    other = UpstashRedisCache(redis, namespace="shop", lease=5.0)
    with hanging(hung, CachePolicy(coalesce="fleet")):
        began = time.monotonic()
        assert compute(other, 0.0) == ["miss unknown", "stored"]
    assert 1.5 < time.monotonic() - began < 4.5


@pytest.mark.usefixtures("_short_lives")
def test_a_lease_is_renewed_in_spite_of_failures(
    caches: Callable[[], UpstashRedisCache], redis: Redis
) -> None:
    first, second = caches(), caches()
    failing = iter([True, False] * 99)
    execute = first._execute

    def unsteady(step: Any) -> Any:
        if coalescing.RENEW in step and next(failing):
            raise StoreUnavailable("not now")
        return execute(step)

    first._execute = unsteady  # type: ignore[method-assign]
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(compute, first, 2.0)
        wait_until(lambda: bool(redis.keys("*:lease:*")), seconds=5, what="the lease")
        assert compute(second, 0.0) == ["hit collapsed"]
    assert writing.result() == ["miss unknown", "stored"]


class Context:
    """What Lambda tells of the invocation's end."""

    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * (self.until - time.monotonic()))


def test_a_wait_leaves_half_of_the_invocation_to_the_model(
    cache: UpstashRedisCache, policy: CachePolicy
) -> None:
    with hanging(cache, policy):
        context = Context(2.25)
        with cache.policy(policy, context=context):
            assert cache.lookup("p", "model") is None
        left = context.get_remaining_time_in_millis()
    assert 700 < left < 1500


async def test_a_blocking_lookup_never_stops_the_loop_that_computes(
    cache: UpstashRedisCache, policy: CachePolicy
) -> None:
    with cache.policy(policy):
        assert await cache.alookup("p", "model") is None
        began = time.monotonic()
        assert await asyncio.create_task(_blocking(cache)) is None
    assert time.monotonic() - began < 1


async def _blocking(cache: UpstashRedisCache) -> object:
    return cache.lookup("p", "model")


class Completions(BaseLLM):
    """Is asked for several prompts at once, as LangChain asks a completion model."""

    calls: int = 0

    @property
    def _llm_type(self) -> str:
        return "completions"

    def _generate(self, prompts: list[str], *args: Any, **kwargs: Any) -> LLMResult:
        time.sleep(SLOW)
        return LLMResult(generations=[[Generation(text=f"to {prompt}")] for prompt in prompts])


def test_two_who_each_compute_what_the_other_wants_do_not_wait_for_each_other(
    cache: UpstashRedisCache, policy: CachePolicy
) -> None:
    model = Completions(cache=cache)

    def ask(prompts: list[str]) -> Callable[[], list[str]]:
        def work() -> list[str]:
            with cache.policy(policy):
                return model.batch([*prompts])

        return work

    began = time.monotonic()
    for order in itertools.permutations(["a", "b", "c"]):
        cache.clear()
        texts = together(ask(list(order)), ask(list(reversed(order))), ask(["a", "a", "c"]))
        assert texts[0] == [f"to {prompt}" for prompt in order]
    assert time.monotonic() - began < 6 * (3 * SLOW + 0.5)


def test_those_who_wait_accept_by_their_own_policy(cache: UpstashRedisCache) -> None:
    model = Model(cache=cache)

    def ask(policy: CachePolicy) -> Callable[[], Status]:
        def work() -> Status:
            while policy.min_fresh and not model.asked:
                time.sleep(0.01)
            with cache.policy(policy) as report:
                model.invoke("same")
            return report.outcomes[0].status

        return work

    short = CachePolicy(coalesce="process", ttl=60)
    demanding = CachePolicy(coalesce="process", min_fresh=600)
    assert together(ask(short), ask(demanding)) == [Status.MISS, Status.MISS]
    assert len(model.asked) == 2


def test_tenants_do_not_wait_for_each_other(cache: UpstashRedisCache, policy: CachePolicy) -> None:
    model = Model(cache=cache)
    asked = [CachePolicy(coalesce=policy.coalesce, tenant=tenant) for tenant in ("a", "b")]
    answers = together(*(asking(cache, model, one) for one in asked * 2))
    assert answers[0] == answers[2] != answers[1] == answers[3]


class Streaming(Model):
    """Streams what it would answer."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        self.asked.append("stream")
        for word in ("an ", "answer"):
            time.sleep(SLOW / 2)
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def test_streams_wait_for_one_stream(cache: UpstashRedisCache, policy: CachePolicy) -> None:
    model = cached(Streaming(cache=cache))

    def ask() -> str:
        with cache.policy(policy):
            return "".join(chunk.text for chunk in model.stream("same"))

    assert together(*[ask] * 4) == ["an answer"] * 4
    assert model.asked == ["stream"]


def test_a_stream_that_its_reader_left_is_not_waited_for(
    cache: UpstashRedisCache, policy: CachePolicy
) -> None:
    model = cached(Streaming(cache=cache))
    with cache.policy(policy):
        for _ in model.stream("same"):
            break
        began = time.monotonic()
        assert together(lambda: ask_in(cache, model, policy)) == ["an answer"]
    assert time.monotonic() - began < SLOW + 1


def ask_in(cache: UpstashRedisCache, model: Any, policy: CachePolicy) -> str:
    with cache.policy(policy):
        return "".join(chunk.text for chunk in model.stream("same"))
