"""``or_stale`` serves a stale answer if the model fails."""

import pytest
from langchain_core.language_models import FakeListLLM
from langchain_core.messages import AIMessage
from tests.clock import Clock
from tests.integration.langchain.assistant import Assistant
from tests.integration.langchain.call_styles import CALL_STYLES

from llm_cache import CachePolicy, Reason, Status, UpstashRedisCache, or_stale, uncacheable

KEEP = CachePolicy(ttl=60, stale_if_error=3600)
ANSWER = "You said: human: q"


@pytest.fixture
def model(cache: UpstashRedisCache, clock: Clock) -> Assistant:
    """A model whose answer to "q" has expired, and that now fails."""
    model = Assistant(cache=cache)
    with cache.policy(KEEP):
        model.invoke("q")
    clock.now += 100
    model.busy = ["throttled"] * 2
    return model


def test_stale_answer_is_served_with_hit_metadata(
    model: Assistant, cache: UpstashRedisCache
) -> None:
    with cache.policy(KEEP) as report:
        message = or_stale(model).invoke("q")
    assert isinstance(message, AIMessage)
    assert message.content == ANSWER
    assert [outcome.status for outcome in report.outcomes] == [Status.MISS, Status.STALE]
    usage = message.response_metadata["cache"].pop("usage")
    assert usage["total_tokens"] == len("human: q") + 1
    assert message.response_metadata["cache"] == {
        "hit": False,
        "stale": True,
        "age": 100.0,
        "ttl": -40.0,
        "key": report.outcomes[0].key,
    }
    assert uncacheable(message) is Reason.STALE


@pytest.mark.parametrize("style", ["ainvoke", "batch", "abatch"])
def test_stale_answer_is_served_in_other_call_styles(
    style: str, model: Assistant, cache: UpstashRedisCache
) -> None:
    with cache.policy(KEEP):
        assert CALL_STYLES[style](or_stale(model)).content == ANSWER


def test_each_call_of_a_batch_is_served_its_own_stale_answer(
    model: Assistant, cache: UpstashRedisCache
) -> None:
    with cache.policy(KEEP):
        results = or_stale(model).batch(["q", "never asked"], return_exceptions=True)
    assert (results[0].content, type(results[1])) == (ANSWER, ConnectionError)


@pytest.mark.parametrize("stale_if_error", [None, 39])
def test_error_is_raised_if_the_policy_does_not_allow_the_stale_answer(
    model: Assistant, cache: UpstashRedisCache, stale_if_error: float | None
) -> None:
    policy = CachePolicy(stale_if_error=stale_if_error)
    with cache.policy(policy), pytest.raises(ConnectionError, match="throttled"):
        or_stale(model).invoke("q")


def test_error_is_raised_if_the_answer_was_cleared(
    model: Assistant, cache: UpstashRedisCache
) -> None:
    cache.clear()
    with cache.policy(KEEP), pytest.raises(ConnectionError, match="throttled"):
        or_stale(model).invoke("q")


def test_answer_of_a_model_that_works_is_stored(model: Assistant, cache: UpstashRedisCache) -> None:
    model.busy = []
    with cache.policy(KEEP) as report:
        assert or_stale(model).invoke("q").content == ANSWER
    assert report.stored == 1
    assert model.answered == ["q", "q"]


class FailingText(FakeListLLM):
    fails: bool = False

    def _call(self, *args: object, **kwargs: object) -> str:
        if self.fails:
            raise RuntimeError("throttled")
        return "one"


def test_stale_answer_of_a_text_model_is_served_as_text(
    cache: UpstashRedisCache, clock: Clock
) -> None:
    model = FailingText(responses=[], cache=cache)
    with cache.policy(KEEP):
        model.invoke("q")
        clock.now += 100
        model.fails = True
        assert or_stale(model).invoke("q") == "one"
