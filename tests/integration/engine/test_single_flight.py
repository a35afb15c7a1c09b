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
from tests.wait_log import WaitLog, logged_waits
from upstash_redis import Redis

from llm_cache import CachePolicy, Report, Status, StoreUnavailable, UpstashRedisCache, cached
from llm_cache._engine import heartbeat
from llm_cache._engine.execution import RESERVE
from llm_cache._protocol import leases
from upstash_endpoint.children import wait_until
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

SLOW = 0.3  # seconds a call of the model takes
LEASE = 60.0  # seconds: a wait that lasts until it ends is a failure
DEAD = 2.0  # seconds after which a dead leader is given up on
LIFE, EACH = 2.0, 0.2  # seconds: of a lease that nobody renews, and between renewals
LONG = 3.0  # seconds of a call that needs its lease renewed
MARGIN = 15.0  # seconds that a busy machine may add
ANSWER = [Generation(text="an answer")]

_counting = threading.Lock()


class Model(BaseChatModel):
    """Counts how often it is asked, and answers after what happens ``during`` that call."""

    asked: list[str] = Field(default_factory=list)
    fail: int = 0
    during: Callable[[int], object] = lambda _: None

    @property
    def _llm_type(self) -> str:
        return "counting"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        with _counting:
            self.asked.append(messages[-1].text)
            number = len(self.asked)
        self.during(number)
        if number <= self.fail:
            raise RuntimeError("the model failed")
        message = AIMessage(f"answer {number}")
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture(params=["process", "fleet"])
def policy(request: pytest.FixtureRequest) -> CachePolicy:
    return CachePolicy(coalesce=request.param)


@pytest.fixture
def waits() -> Iterator[WaitLog]:
    with logged_waits() as waits:
        yield waits


@pytest.fixture
def caches(upstash: UpstashEndpoint) -> Iterator[Callable[[], UpstashRedisCache]]:
    """Caches as of several processes: they share the database and nothing else."""
    clients = []

    def make() -> UpstashRedisCache:
        clients.append(Redis(upstash.url, upstash.token))
        return UpstashRedisCache(clients[-1], namespace="shop", lease=LEASE)

    yield make
    for client in clients:
        client.close()  # type: ignore[no-untyped-call]


@pytest.fixture
def cache(caches: Callable[[], UpstashRedisCache]) -> UpstashRedisCache:
    return caches()


def statuses(report: Report) -> list[str]:
    return sorted(f"{one.status} {one.why or ''}".strip() for one in report.outcomes)


def test_a_batch_of_equal_prompts_is_one_call(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = Model(cache=cache, during=lambda _: waits.until(4))
    with cache.policy(policy) as report:
        answers = model.batch(["same"] * 5)
    assert {answer.text for answer in answers} == {"answer 1"}
    assert model.asked == ["same"]
    assert statuses(report) == [*["hit collapsed"] * 4, "miss unknown", "stored"]


async def test_an_asynchronous_batch_of_equal_prompts_is_one_call(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = Model(cache=cache, during=lambda _: waits.until(4))
    with cache.policy(policy):
        answers = await model.abatch([*["same"] * 5, "other"])
    assert [answer.text for answer in answers[:5]] == [answers[0].text] * 5
    assert sorted(model.asked) == ["other", "same"]


def test_without_the_policy_everyone_asks(cache: UpstashRedisCache) -> None:
    begun = threading.Barrier(3, timeout=60)
    model = Model(cache=cache, during=lambda _: begun.wait())
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


def test_processes_ask_once_between_them(
    caches: Callable[[], UpstashRedisCache], waits: WaitLog
) -> None:
    model = Model(during=lambda _: waits.until(7))
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
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = Model(
        cache=cache, fail=1, during=lambda number: waits.until(3 if number == 1 else 3 + 2)
    )
    with cache.policy(policy):
        answers = model.batch(["same"] * 4, return_exceptions=True)
    assert waits.timed_out == []
    assert len(model.asked) == 2
    assert [str(answer) for answer in answers if isinstance(answer, Exception)] == [
        "the model failed"
    ]


async def test_a_model_that_fails_on_a_loop_lets_the_next_one_ask(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = Model(
        cache=cache, fail=1, during=lambda number: waits.until(3 if number == 1 else 3 + 2)
    )
    with cache.policy(policy):
        await model.abatch(["same"] * 4, return_exceptions=True)
    assert waits.timed_out == []
    assert len(model.asked) == 2


def test_a_model_that_fails_gives_its_lease_back(
    caches: Callable[[], UpstashRedisCache], redis: Redis, waits: WaitLog
) -> None:
    first, second = caches(), caches()
    model = Model(fail=1)
    fleet = CachePolicy(coalesce="fleet")
    with pytest.raises(RuntimeError, match="the model failed"):
        asking(first, model, fleet)()
    assert redis.keys("*:lease:*") == []
    assert asking(second, model, fleet)() == "answer 2"
    assert waits.pauses == []


async def test_a_lease_is_given_back_without_stopping_the_loop(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    fleet = CachePolicy(coalesce="fleet")
    with pytest.raises(RuntimeError, match="the model failed"), cache.policy(fleet):
        await Model(cache=cache, fail=1).ainvoke("same")
    await until(lambda: redis.keys("*:lease:*") == [])


async def until(holds: Callable[[], bool]) -> None:
    """Return once something holds."""
    await asyncio.to_thread(wait_until, holds, seconds=60, what="it")


@pytest.mark.parametrize("retry", ["invoke", "ainvoke"])
def test_a_retry_goes_on_where_the_failure_left(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog, retry: str
) -> None:
    model = Model(cache=cache, fail=2)
    again = model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    with cache.policy(policy):
        answer = again.invoke("p") if retry == "invoke" else asyncio.run(again.ainvoke("p"))
    assert answer.text == "answer 3"
    assert waits.pauses == []


def _never(_answer: object, _now: float) -> None:
    """A TTL that says, once the answer is there, that it is not to be stored."""


def side_by_side(waits: WaitLog, others: int) -> Callable[[int], object]:
    """Return what has the first call last until the others wait, and those until all have begun."""
    begun = threading.Barrier(others, timeout=60)
    return lambda number: waits.until(others) if number == 1 else begun.wait()


def test_an_answer_that_is_not_stored_is_not_waited_for(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    """Those who wait learn of it at once, and then ask side by side and not in turn."""
    model = Model(cache=cache, during=side_by_side(waits, 5))
    with cache.policy(CachePolicy(coalesce=policy.coalesce, ttl=_never)):
        model.batch(["same"] * 6)
    assert len(model.asked) == 6
    assert waits.timed_out == []


def test_across_the_fleet_an_answer_that_is_not_stored_is_not_waited_for(
    caches: Callable[[], UpstashRedisCache], waits: WaitLog
) -> None:
    model = Model(during=side_by_side(waits, 5))
    never = CachePolicy(coalesce="fleet", ttl=_never)
    together(*(asking(caches(), model, never) for _ in range(6)))
    assert len(model.asked) == 6


@pytest.mark.parametrize("fields", [{"ttl": 0}, {"mode": "read_only"}, {"mode": "refresh"}])
def test_nobody_takes_a_lease_for_what_policy_forbids(
    cache: UpstashRedisCache, redis: Redis, fields: dict[str, Any]
) -> None:
    with cache.policy(CachePolicy(coalesce="fleet", **fields)):
        cache.lookup("p", "model")
        assert redis.keys("*:lease:*") == []


class Invocation:
    """Lambda's context of an invocation that always has so many seconds left."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(1000 * self.seconds)


@contextmanager
def hanging(
    cache: UpstashRedisCache, policy: CachePolicy, seconds: float = LEASE
) -> Iterator[float]:
    """Have another thread look the answer up and compute it until the block ends: for ever.

    Its lease lasts for ``seconds``. The block is given the time before that, at most a lease ago.
    """
    began, holding, done = time.monotonic(), threading.Event(), threading.Event()

    def hang() -> None:
        with cache.policy(policy, context=Invocation(seconds + RESERVE)):
            cache.lookup("p", "model")
            holding.set()
            done.wait()

    thread = threading.Thread(target=hang)
    thread.start()
    holding.wait()
    try:
        yield began
    finally:
        done.set()
        thread.join()


@pytest.mark.timed
def test_a_dead_writer_is_waited_for_no_longer_than_its_lease(
    caches: Callable[[], UpstashRedisCache],
) -> None:
    dead, alive = caches(), caches()
    fleet = CachePolicy(coalesce="fleet")
    with hanging(dead, fleet, DEAD) as began:
        with alive.policy(fleet) as report:
            assert alive.lookup("p", "model") is None
            alive.update("p", "model", ANSWER)
        waited = time.monotonic() - began
    assert DEAD <= waited < DEAD + MARGIN
    assert report.stored == 1


@pytest.mark.timed
def test_of_those_who_wait_for_a_dead_writer_one_takes_over(
    caches: Callable[[], UpstashRedisCache], policy: CachePolicy
) -> None:
    """They all gave up at the moment at which its lease ended, and each asked the model."""
    shared, computed = caches(), []

    def ask() -> None:
        cache = shared if policy.coalesce == "process" else caches()
        with cache.policy(policy):
            if cache.lookup("p", "model") is None:
                computed.append("p")
                time.sleep(SLOW)
                cache.update("p", "model", ANSWER)

    with hanging(shared, policy, DEAD):
        together(*[ask] * 6)
    assert computed == ["p"]


@pytest.fixture
def _short_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "LEASE_LIFE", LIFE)
    monkeypatch.setattr(heartbeat, "RENEW_EVERY", EACH)


def compute(cache: UpstashRedisCache, seconds: float) -> list[str]:
    """Look an answer up and store it after so long; return what became of it."""
    with cache.policy(CachePolicy(coalesce="fleet")) as report:
        if cache.lookup("p", "model") is None:
            time.sleep(seconds)
            cache.update("p", "model", ANSWER)
    return statuses(report)


@pytest.mark.timed
@pytest.mark.usefixtures("_short_lives")
def test_a_slow_writer_that_lives_is_waited_for(
    caches: Callable[[], UpstashRedisCache], redis: Redis
) -> None:
    first, second = caches(), caches()
    told = together(lambda: compute(first, LONG), lambda: compute(second, LONG))
    assert sorted(told) == [["hit collapsed"], ["miss unknown", "stored"]]
    assert redis.keys("*:lease:*") == []


@pytest.mark.timed
@pytest.mark.usefixtures("_short_lives")
async def test_one_that_holds_up_its_event_loop_lives(
    caches: Callable[[], UpstashRedisCache], waits: WaitLog
) -> None:
    first, second = caches(), caches()
    with first.policy(CachePolicy(coalesce="fleet")):
        assert await first.alookup("p", "model") is None
        other = asyncio.get_running_loop().run_in_executor(None, compute, second, 0.0)
        await asyncio.to_thread(waits.until, 1)
        time.sleep(LONG)  # noqa: ASYNC251  as a model that blocks
        await first.aupdate("p", "model", ANSWER)
    assert await other == ["hit collapsed"]


@pytest.mark.timed
@pytest.mark.usefixtures("_short_lives")
def test_a_writer_lives_for_no_longer_than_its_lease(
    caches: Callable[[], UpstashRedisCache],
) -> None:
    with hanging(caches(), CachePolicy(coalesce="fleet"), 2 * LIFE) as began:
        assert compute(caches(), 0.0) == ["miss unknown", "stored"]
        assert 1.9 * LIFE < time.monotonic() - began < 2 * LIFE + MARGIN


@pytest.mark.timed
@pytest.mark.usefixtures("_short_lives")
def test_a_lease_is_renewed_in_spite_of_failures(
    caches: Callable[[], UpstashRedisCache], redis: Redis
) -> None:
    first, second = caches(), caches()
    failing = iter([True, False] * 99)
    execute = first._execution.store.execute

    def unsteady(command: Any, *limits: Any) -> Any:
        if leases.RENEW in command and next(failing):
            raise StoreUnavailable("not now")
        return execute(command, *limits)

    first._execution.store.execute = unsteady  # type: ignore[assignment, method-assign]
    with ThreadPoolExecutor(1) as pool:
        writing = pool.submit(compute, first, LONG)
        wait_until(lambda: bool(redis.keys("*:lease:*")), seconds=60, what="the lease")
        assert compute(second, 0.0) == ["hit collapsed"]
    assert writing.result() == ["miss unknown", "stored"]


def test_a_wait_leaves_half_of_the_invocation_to_the_model(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    with hanging(cache, policy), cache.policy(policy, context=Invocation(2.0 + RESERVE)):
        assert cache.lookup("p", "model") is None
    assert 0 < sum(pause.seconds for pause in waits.pauses) <= 1.0


async def test_a_blocking_lookup_never_stops_the_loop_that_computes(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    with cache.policy(policy):
        assert await cache.alookup("p", "model") is None
        assert await asyncio.create_task(_blocking(cache)) is None
    assert waits.pauses == []


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
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = Completions(cache=cache)

    def ask(prompts: list[str]) -> Callable[[], list[str]]:
        def work() -> list[str]:
            with cache.policy(policy):
                return model.batch([*prompts])

        return work

    for order in itertools.permutations(["a", "b", "c"]):
        cache.clear()
        texts = together(ask(list(order)), ask(list(reversed(order))), ask(["a", "a", "c"]))
        assert texts[0] == [f"to {prompt}" for prompt in order]
        assert waits.timed_out == []


def test_those_who_wait_accept_by_their_own_policy(
    cache: UpstashRedisCache, waits: WaitLog
) -> None:
    model = Model(cache=cache, during=lambda _: waits.until(1))

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


def test_tenants_do_not_wait_for_each_other(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = Model(cache=cache, during=lambda _: waits.until(2))
    asked = [CachePolicy(coalesce=policy.coalesce, tenant=tenant) for tenant in ("a", "b")]
    answers = together(*(asking(cache, model, one) for one in asked * 2))
    assert answers[0] == answers[2] != answers[1] == answers[3]


class Streaming(Model):
    """Streams what it would answer."""

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        self.asked.append("stream")
        for word in ("an ", "answer"):
            self.during(len(self.asked))
            yield ChatGenerationChunk(message=AIMessageChunk(content=word))


def test_streams_wait_for_one_stream(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = cached(Streaming(cache=cache, during=lambda _: waits.until(3)))

    def ask() -> str:
        with cache.policy(policy):
            return "".join(chunk.text for chunk in model.stream("same"))

    assert together(*[ask] * 4) == ["an answer"] * 4
    assert model.asked == ["stream"]


def test_a_stream_that_its_reader_left_is_not_waited_for(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = cached(Streaming(cache=cache))
    with cache.policy(policy):
        for _ in model.stream("same"):
            break
        assert together(lambda: ask_in(cache, model, policy)) == ["an answer"]
    assert waits.pauses == []


def ask_in(cache: UpstashRedisCache, model: Any, policy: CachePolicy) -> str:
    with cache.policy(policy):
        return "".join(chunk.text for chunk in model.stream("same"))
