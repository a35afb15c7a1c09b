"""The fake model behaves as a real one, and its answers can be cached."""

from collections.abc import Iterator

import pytest
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage

from llm_cache import Reason, UpstashRedisCache, cached, uncacheable
from llm_cache.testing import FakeModel, InMemoryUpstash, assert_hit, assert_miss


@pytest.fixture
def cache(upstash: InMemoryUpstash) -> UpstashRedisCache:
    return UpstashRedisCache.from_env()


@pytest.fixture
def model(fake_model: FakeModel, cache: UpstashRedisCache) -> FakeModel:
    fake_model.cache = cache
    return fake_model


@pytest.fixture
def _global_cache(cache: UpstashRedisCache) -> Iterator[None]:
    set_llm_cache(cache)
    yield
    set_llm_cache(None)


def test_answers_are_numbered_and_calls_counted(fake_model: FakeModel) -> None:
    texts = [fake_model.invoke("a").text, fake_model.invoke("a").text]
    assert texts == ["answer 1", "answer 2"]
    assert fake_model.calls == 2


def test_given_answers_follow_in_turn_and_the_last_repeats(fake_model: FakeModel) -> None:
    fake_model.answers = ["one", AIMessage("two")]
    assert [fake_model.invoke("a").text for _ in range(3)] == ["one", "two", "two"]


def test_answer_and_its_chunks_may_be_stored(fake_model: FakeModel) -> None:
    assert uncacheable(fake_model.invoke("a")) is None
    assert uncacheable(AIMessage("".join(chunk.text for chunk in fake_model.stream("a")))) is None


def test_usage_counts_words_as_tokens(fake_model: FakeModel) -> None:
    usage = fake_model.invoke("one two three").usage_metadata
    assert usage == {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}


def test_stream_has_the_words_and_usage_of_the_answer(fake_model: FakeModel) -> None:
    fake_model.answers = ["How do\nyou do?"]
    chunks = list(fake_model.stream("a"))
    whole = sum(chunks[1:], chunks[0])
    assert len(chunks) > 3
    assert whole.text == "How do\nyou do?"
    assert whole.usage_metadata == fake_model.invoke("a").usage_metadata
    assert whole.response_metadata["finish_reason"] == "stop"


def test_tool_call_is_streamed(fake_model: FakeModel) -> None:
    call = {"name": "search", "args": {"q": "a"}, "id": "1", "type": "tool_call"}
    fake_model.answers = [AIMessage("", tool_calls=[call])]
    chunks = list(fake_model.stream("a"))
    assert sum(chunks[1:], chunks[0]).tool_calls == [call]


def test_model_fails_as_often_as_demanded(fake_model: FakeModel) -> None:
    fake_model.fail(times=2)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="the test has made the model fail"):
            fake_model.invoke("a")
    assert fake_model.invoke("a").text == "answer 1"
    assert fake_model.calls == 3


def test_model_raises_the_given_error(fake_model: FakeModel) -> None:
    fake_model.fail(TimeoutError("slow"))
    with pytest.raises(TimeoutError, match="slow"):
        list(fake_model.stream("a"))


async def test_second_call_in_every_style_is_a_hit(
    model: FakeModel, cache: UpstashRedisCache
) -> None:
    model.invoke("a")
    with cache.policy() as report:
        model.invoke("a")
        await model.ainvoke("a")
        model.batch(["a", "a"])
        assert "".join(chunk.text for chunk in cached(model).stream("a")) == "answer 1"
        assert [chunk async for chunk in cached(model).astream("a")]
    assert_hit(report)
    assert report.hits == 6
    assert model.calls == 1


def test_stream_without_cached_is_a_call_as_with_other_models(model: FakeModel) -> None:
    model.invoke("a")
    list(model.stream("a"))
    assert model.calls == 2


@pytest.mark.usefixtures("_global_cache")
def test_model_uses_the_global_cache(fake_model: FakeModel) -> None:
    assert fake_model.invoke("a").text == fake_model.invoke("a").text
    assert fake_model.calls == 1


def test_equal_models_share_answers_and_other_settings_do_not(cache: UpstashRedisCache) -> None:
    first, equal = FakeModel(cache=cache), FakeModel(cache=cache, answers=["other"])
    other, warm = FakeModel(cache=cache, model="other"), FakeModel(cache=cache, temperature=1.0)
    for model in (first, equal, other, warm):
        model.invoke("a")
    assert [each.calls for each in (first, equal, other, warm)] == [1, 0, 1, 1]


def test_truncated_answer_is_not_stored(model: FakeModel, cache: UpstashRedisCache) -> None:
    model.answers = [AIMessage("cut", response_metadata={"finish_reason": "length"})]
    with cache.policy() as report:
        model.invoke("a")
        model.invoke("a")
    assert_miss(report, Reason.UNKNOWN)
    assert [skipped.why for skipped in report.outcomes[1::2]] == [Reason.TRUNCATED] * 2


def test_hit_reports_the_tokens_that_it_saved(model: FakeModel, cache: UpstashRedisCache) -> None:
    with cache.policy() as report:
        model.invoke("one two")
        model.invoke("one two")
    assert report.tokens_saved == 4
