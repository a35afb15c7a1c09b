"""``cached`` returns the same model, with its streams behind the cache of its other calls."""

import gc
import logging
from typing import Any

import pytest
from langchain_core.caches import BaseCache
from langchain_core.language_models import BaseChatModel, FakeListLLM
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import ConfigurableField
from tests.integration.langchain.call_styles import CallStyle, stream, whole
from tests.integration.langchain.scripted_model import ANSWER, ScriptedModel
from upstash_redis import Redis

from llm_cache import UpstashRedisCache, cached


class FailingCache(BaseCache):
    """Fails at everything, with an error of its own."""

    def lookup(self, prompt: str, llm_string: str) -> Any:
        raise ZeroDivisionError

    def update(self, prompt: str, llm_string: str, return_val: Any) -> None:
        raise ZeroDivisionError

    def clear(self, **kwargs: Any) -> None:
        raise ZeroDivisionError


def test_failure_of_the_cache_does_not_reach_the_reader(
    streamed: CallStyle, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    model.cache = FailingCache()
    with caplog.at_level(logging.WARNING, "llm_cache"):
        assert whole(streamed(model)).content == ANSWER
    assert caplog.messages == [
        f"cache {action} failed: ZeroDivisionError" for action in ("lookup", "update")
    ]


def test_failure_to_make_a_key_does_not_reach_the_reader(
    streamed: CallStyle, model: ScriptedModel, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(type(model)):  # type: ignore[misc]
        def _get_llm_string(self, **_: Any) -> str:
            raise ZeroDivisionError

    assert whole(streamed(Broken(cache=model.cache))).content == ANSWER
    assert caplog.messages == ["cache key failed: ZeroDivisionError"]


@pytest.mark.parametrize(("own", "calls"), [(None, 1), (True, 1), (False, 2)])
def test_global_cache_serves_a_model_without_its_own(
    own: Any, calls: int, global_cache: UpstashRedisCache
) -> None:
    model = ScriptedModel(cache=own)
    _ = [stream(model) for _ in range(2)]
    assert len(model.calls) == calls


def test_cache_true_without_a_global_cache_raises_as_invoke_does() -> None:
    assert whole(stream(ScriptedModel())).content == ANSWER
    with pytest.raises(ValueError, match="no cache found"):
        stream(ScriptedModel(cache=True))


def test_cached_model_has_the_class_the_name_the_state_and_the_key_of_its_model(
    model: ScriptedModel,
) -> None:
    view = cached(model)
    assert isinstance(view, type(model))
    assert view.get_name() == model.get_name()
    assert view._get_llm_string(stop=["x"], k=1) == model._get_llm_string(stop=["x"], k=1)
    assert cached(view) is view
    assert type(cached(model)) is type(view)
    model.temperature = 0.5
    assert view.temperature == 0.5


def test_serialisable_model_keeps_its_name_in_the_key() -> None:
    class Named(ScriptedModel):
        @classmethod
        def is_lc_serializable(cls) -> bool:
            return True

    named = [each._get_llm_string() for each in (cached(Named()), Named())]
    assert named[0] == named[1]
    assert Named.__module__.rpartition(".")[2] in named[0]


def test_copy_of_a_cached_model_is_cached_under_its_own_settings(
    model: ScriptedModel, redis: Redis
) -> None:
    hot = cached(model).model_copy(update={"temperature": 1.0})
    warm = cached(model).configurable_fields(temperature=ConfigurableField(id="t"))
    for each in (cached(model), hot, warm.with_config(configurable={"t": 0.5})):
        first, again = (list(each.stream("q")) for _ in range(2))
        assert len(first) != len(again)
    assert len(redis.keys("*:entry:*")) == 3


@pytest.mark.parametrize("streams", [True, False])
def test_model_that_cannot_stream_is_cached_as_invoke_is(
    cache: UpstashRedisCache, streams: bool
) -> None:
    class Whole(ScriptedModel):
        _stream = BaseChatModel._stream

    model = ScriptedModel(cache=cache, disable_streaming=True) if streams else Whole(cache=cache)
    assert [len(stream(model)) for _ in range(2)] == [1, 1]
    assert model.calls == ["q"]


def test_client_that_a_model_closes_is_open_while_the_cached_model_lives() -> None:
    closed = []

    class Closes(ScriptedModel):
        def __del__(self) -> None:
            closed.append(type(self))

    view = cached(Closes())
    gc.collect()
    assert closed == []
    del view
    gc.collect()
    assert closed == [Closes]


@pytest.mark.parametrize("other", [FakeListLLM(responses=["a"]), StrOutputParser(), "model"])
def test_object_other_than_a_chat_model_is_refused(other: Any) -> None:
    with pytest.raises(TypeError, match=f"not a {type(other).__name__}: wrap the model"):
        cached(other)
