"""Calls that may differ in a schema, a header or a masked setting share no answer."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration
from pydantic import BaseModel, Field, create_model
from tests.unit.langchain.llm_strings import Claude, of_call
from upstash_redis import Redis

from llm_cache import CacheMiss, CachePolicy, UpstashRedisCache
from llm_cache._reasons import Reason
from llm_cache._report import Report, Status

ANSWER = [ChatGeneration(message=AIMessage("a"))]


@pytest.fixture(autouse=True)
def _no_class_of_another_test() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture
def cache(redis: Redis) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=60, namespace="n", ignored_headers=["X-Team"])


class FieldNames(FakeListChatModel):
    """Answers with the field names of the bound schema, and counts its calls."""

    responses: list[str] = Field(default_factory=list)
    calls: int = 0

    def _call(self, *args: Any, **kwargs: Any) -> str:
        self.calls += 1
        return ", ".join(kwargs["response_format"].model_fields)


@pytest.fixture
def model(cache: UpstashRedisCache) -> FieldNames:
    return FieldNames(cache=cache)


def ask(model: Any, schema: Any) -> str:
    return str(model.bind(response_format=schema).invoke("q").content)


def assert_uncacheable(report: Report, reason: Reason, setting: str) -> None:
    assert [outcome.status for outcome in report.outcomes] == [Status.MISS, Status.SKIPPED]
    assert all(outcome.why is reason for outcome in report.outcomes)
    assert all(setting in outcome.detail for outcome in report.outcomes)


def test_class_made_at_each_call_hits_at_the_second(model: FieldNames) -> None:
    def answer() -> str:
        class Form(BaseModel):
            name: str

        return ask(model, Form)

    assert [answer() for _ in range(3)] == ["name"] * 3
    assert model.calls == 1


def test_two_classes_of_one_name_share_no_answer(
    model: FieldNames, cache: UpstashRedisCache, redis: Redis
) -> None:
    forms = create_model("Form", a=int), create_model("Form", b=int)
    for form, answer in zip(forms * 2, "abab", strict=True):
        with cache.policy() as report:
            assert ask(model, form) == answer
        assert_uncacheable(report, Reason.AMBIGUOUS_SCHEMA, "Form")
    assert model.calls == 4
    assert redis.keys("*") == []


@pytest.mark.parametrize("field", ["salt", "key"])
def test_policy_separates_classes_of_one_name(
    model: FieldNames, cache: UpstashRedisCache, field: str
) -> None:
    forms = {"a": create_model("Form", a=int), "b": create_model("Form", b=int)}
    for name in "abab":
        fields: dict[str, Any] = {field: name}
        with cache.policy(CachePolicy(**fields)):
            assert ask(model, forms[name]) == name
    assert model.calls == 2


def claude(cache: UpstashRedisCache, servers: str) -> Claude:
    return Claude(cache=cache, responses=[servers, "again"], mcp_servers=[{"url": servers}])


def test_call_with_a_masked_setting_is_uncacheable(cache: UpstashRedisCache, redis: Redis) -> None:
    for servers in ("https://a", "https://b"):
        with cache.policy() as report:
            assert claude(cache, servers).invoke("q").content == servers
        assert_uncacheable(report, Reason.MASKED_SETTING, "mcp_servers")
    assert redis.keys("*") == []


async def test_call_with_a_masked_setting_is_cached_under_a_salt(cache: UpstashRedisCache) -> None:
    for servers in ("https://a", "https://b"):
        model = claude(cache, servers)
        for _ in range(2):
            with cache.policy(CachePolicy(salt=servers)):
                assert (await model.ainvoke("q")).content == servers


def test_uncacheable_call_is_a_cache_miss_error_in_mode_only_if_cached(
    cache: UpstashRedisCache,
) -> None:
    only = CachePolicy(mode="only_if_cached")
    with cache.policy(only), pytest.raises(CacheMiss, match="mcp_servers"):
        claude(cache, "https://a").invoke("q")


def test_headers_separate_answers_unless_they_are_ignored(cache: UpstashRedisCache) -> None:
    def hit(**headers: str) -> bool:
        call = of_call(extra_headers=headers)
        found = cache.lookup("q", call)
        cache.update("q", call, ANSWER)
        return found is not None

    assert not hit(tags="free", Authorization="Bearer a", traceparent="1")
    assert not hit(tags="paid", Authorization="Bearer a", traceparent="1")
    assert hit(TAGS="free", authorization="Bearer b", traceparent="2", **{"x-team": "red"})
    assert not hit(Authorization="Bearer a")


def test_credential_in_a_header_is_nowhere_in_redis(cache: UpstashRedisCache, redis: Redis) -> None:
    headers = {"Authorization": "Bearer hush", "x": object(), "Cookie": "hush"}
    call = of_call(extra_headers=headers)
    cache.lookup("q", call)
    cache.update("q", call, ANSWER)
    (key,) = redis.keys("*:entry:*")
    assert "hush" not in f"{key} {redis.get(key)}"
