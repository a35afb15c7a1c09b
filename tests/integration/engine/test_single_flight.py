"""Single flight on a real server: one caller calls the model, the others share its answer."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import BaseLLM
from langchain_core.outputs import Generation, LLMResult
from tests.integration.engine.conftest import Caches
from tests.integration.engine.models import (
    ANSWER,
    FLEET,
    Model,
    StreamingModel,
    invoking,
    statuses,
    together,
)
from tests.wait_log import WaitLog

from llm_cache import CachePolicy, Status, UpstashRedisCache, cached
from upstash_endpoint.endpoint import UpstashEndpoint

both = pytest.mark.parametrize("asynchronous", [False, True])


async def batch(model: Model, prompts: list[str], *, asynchronous: bool) -> list[Any]:
    """Call the model once for each prompt; return its answers and errors."""
    if asynchronous:
        return await model.abatch([*prompts], return_exceptions=True)
    return await asyncio.to_thread(model.batch, [*prompts], return_exceptions=True)


@both
async def test_batch_of_equal_prompts_is_one_model_call(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog, asynchronous: bool
) -> None:
    model = Model(cache=cache, during=lambda _: waits.until(4))
    with cache.policy(policy) as report:
        answers = await batch(model, ["same"] * 5, asynchronous=asynchronous)
    assert {answer.text for answer in answers} == {"answer 1"}
    assert model.calls == ["same"]
    assert statuses(report) == [*["hit collapsed"] * 4, "miss unknown", "stored"]


def test_processes_of_a_fleet_share_one_model_call(caches: Caches, waits: WaitLog) -> None:
    model = Model(during=lambda _: waits.until(7))
    answers = together(*(invoking(caches(), model, FLEET) for _ in range(8)))
    assert answers == ["answer 1"] * 8


def test_streams_share_one_stream(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = cached(StreamingModel(cache=cache, during=lambda _: waits.until(3)))
    assert together(*[streaming(cache, model, policy)] * 4) == ["an answer"] * 4
    assert model.calls == ["stream"]


def streaming(cache: UpstashRedisCache, model: Any, policy: CachePolicy) -> Callable[[], str]:
    def stream() -> str:
        with cache.policy(policy):
            return "".join(chunk.text for chunk in model.stream("same"))

    return stream


def test_stream_does_not_wait_for_an_abandoned_stream(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = cached(StreamingModel(cache=cache))
    with cache.policy(policy):
        for _ in model.stream("same"):
            break
        assert together(streaming(cache, model, policy)) == ["an answer"]
    assert waits.pauses == []


def test_each_caller_calls_the_model_without_coalescing(cache: UpstashRedisCache) -> None:
    begun = threading.Barrier(3, timeout=60)
    model = Model(cache=cache, during=lambda _: begun.wait())
    model.batch(["same"] * 3)
    assert len(model.calls) == 3


def test_coalescing_without_contention_costs_one_command_for_the_fleet(
    cache: UpstashRedisCache, policy: CachePolicy, upstash: UpstashEndpoint
) -> None:
    def commands(prompt: str) -> int:
        upstash.meter.reset()
        with cache.policy(policy):
            if cache.lookup(prompt, "model") is None:
                cache.update(prompt, "model", ANSWER)
        return upstash.meter.read().commands

    miss = 3 if policy.coalesce == "fleet" else 2
    assert [commands(prompt) for prompt in "ppqq"] == [miss, 1, miss, 1]


def test_lookup_after_a_clear_does_not_wait_for_an_earlier_call(caches: Caches) -> None:
    first, second = caches(), caches()
    with first.policy(FLEET):
        assert first.lookup("p", "model") is None
        second.clear()
        with second.policy(FLEET) as report:
            assert second.lookup("p", "model") is None
            second.update("p", "model", [Generation(text="new")])
        first.update("p", "model", [Generation(text="old")])
    assert statuses(report) == ["miss unknown", "stored"]
    assert second.lookup("p", "model") == [Generation(text="new")]


def test_first_epoch_of_the_namespace_does_not_discard_a_call_in_flight(
    caches: Caches, policy: CachePolicy
) -> None:
    first, second = caches(), caches()
    with first.policy(policy):
        assert first.lookup("p", "model") is None
        second.update("another", "model", ANSWER)
        first.update("p", "model", ANSWER)
    assert second.lookup("p", "model") == ANSWER


@both
async def test_waiter_calls_the_model_after_a_failed_model_call(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog, asynchronous: bool
) -> None:
    model = Model(cache=cache, fail=1, during=lambda number: waits.until(3 if number == 1 else 5))
    with cache.policy(policy):
        answers = await batch(model, ["same"] * 4, asynchronous=asynchronous)
    assert waits.timed_out == []
    assert len(model.calls) == 2
    errors = [str(answer) for answer in answers if isinstance(answer, Exception)]
    assert errors == ["the model failed"]


def _never(_answer: object, _now: float) -> None:
    """Return no TTL: the answer is not stored."""


def side_by_side(waits: WaitLog) -> Callable[[int], object]:
    """Hold the first model call until five callers wait, and theirs until all five have begun."""
    begun = threading.Barrier(5, timeout=60)
    return lambda number: waits.until(5) if number == 1 else begun.wait()


def test_waiters_for_an_uncacheable_answer_call_the_model_at_once(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = Model(cache=cache, during=side_by_side(waits))
    with cache.policy(CachePolicy(coalesce=policy.coalesce, ttl=_never)):
        model.batch(["same"] * 6)
    assert len(model.calls) == 6
    assert waits.timed_out == []


def test_fleet_waiters_for_an_uncacheable_answer_call_the_model_at_once(
    caches: Caches, waits: WaitLog
) -> None:
    model = Model(during=side_by_side(waits))
    uncacheable = CachePolicy(coalesce="fleet", ttl=_never)
    together(*(invoking(caches(), model, uncacheable) for _ in range(6)))
    assert len(model.calls) == 6


def test_waiter_calls_the_model_if_its_policy_refuses_the_shared_answer(
    cache: UpstashRedisCache, waits: WaitLog
) -> None:
    model = Model(cache=cache, during=lambda _: waits.until(1))

    def invoke(policy: CachePolicy) -> Callable[[], Status]:
        def work() -> Status:
            while policy.min_fresh and not model.calls:
                time.sleep(0.01)
            with cache.policy(policy) as report:
                model.invoke("same")
            return report.outcomes[0].status

        return work

    short = CachePolicy(coalesce="process", ttl=60)
    demanding = CachePolicy(coalesce="process", min_fresh=600)
    assert together(invoke(short), invoke(demanding)) == [Status.MISS, Status.MISS]
    assert len(model.calls) == 2


def test_tenants_do_not_wait_for_each_other(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = Model(cache=cache, during=lambda _: waits.until(2))
    tenants = [CachePolicy(coalesce=policy.coalesce, tenant=tenant) for tenant in ("a", "b")]
    answers = together(*(invoking(cache, model, tenant) for tenant in tenants * 2))
    assert answers[0] == answers[2] != answers[1] == answers[3]


class CompletionModel(BaseLLM):
    """Receives several prompts at once, as LangChain calls completion models."""

    @property
    def _llm_type(self) -> str:
        return "completions"

    def _generate(self, prompts: list[str], *args: Any, **kwargs: Any) -> LLMResult:
        time.sleep(0.3)
        return LLMResult(generations=[[Generation(text=f"to {prompt}")] for prompt in prompts])


def test_leaders_do_not_wait_for_each_others_prompts(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog
) -> None:
    model = CompletionModel(cache=cache)

    def batch(*prompts: str) -> Callable[[], list[str]]:
        def work() -> list[str]:
            with cache.policy(policy):
                return model.batch([*prompts])

        return work

    for order in itertools.permutations(["a", "b", "c"]):
        cache.clear()
        texts = together(batch(*order), batch(*reversed(order)), batch("a", "a", "c"))
        assert texts[0] == [f"to {prompt}" for prompt in order]
        assert waits.timed_out == []


@pytest.mark.parametrize("retry", ["invoke", "ainvoke"])
async def test_retry_leads_its_own_call_again(
    cache: UpstashRedisCache, policy: CachePolicy, waits: WaitLog, retry: str
) -> None:
    model = Model(cache=cache, fail=2)
    retrying = model.with_retry(stop_after_attempt=3, wait_exponential_jitter=False)
    with cache.policy(policy):
        answer = retrying.invoke("p") if retry == "invoke" else await retrying.ainvoke("p")
    assert answer.text == "answer 3"
    assert waits.pauses == []
