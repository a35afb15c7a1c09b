"""No two calls that may differ share an answer: by schemas, headers and masked settings."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration
from pydantic import BaseModel, create_model
from tests.integration.langchain.test_structured_output import OpenAI
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
    return UpstashRedisCache(redis, ttl=60, namespace="apart", ignored_headers=["X-Team"])


class Structured(OpenAI):
    """Answers with the fields of the schema that is bound to the call."""

    def _answer(self, messages: list[Any], schema: type[BaseModel]) -> dict[str, Any]:
        self.calls.append(schema)
        return {"content": ", ".join(schema.model_fields)}


def ask(model: Any, schema: Any) -> str:
    return str(model.bind(response_format=schema).invoke("q").content)


def told(report: Report) -> list[tuple[Status, Reason | None]]:
    return [(outcome.status, outcome.why) for outcome in report.outcomes]


def test_class_made_at_each_call_hits_at_the_second(cache: UpstashRedisCache) -> None:
    model = Structured(cache=cache, calls=[])

    def answer() -> str:
        class Form(BaseModel):
            name: str

        return ask(model, Form)

    assert [answer() for _ in range(3)] == ["name"] * 3
    assert len(model.calls) == 1


def test_two_classes_of_one_name_never_share_an_answer(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    model = Structured(cache=cache, calls=[])
    one, other = create_model("Form", a=int), create_model("Form", b=int)
    for _ in range(2):
        with cache.policy() as report:
            assert [ask(model, one), ask(model, other)] == ["a", "b"]
        expected = [Status.MISS, Status.SKIPPED] * 2
        assert told(report) == [(status, Reason.AMBIGUOUS_SCHEMA) for status in expected]
        assert all("Form" in outcome.detail for outcome in report.outcomes)
    assert len(model.calls) == 4
    assert redis.keys("*") == []


def test_changed_class_asks_the_model_again(cache: UpstashRedisCache) -> None:
    model = Structured(cache=cache, calls=[])
    form = create_model("Form", a=int)
    assert [ask(model, form), ask(model, form)] == ["a", "a"]
    model.calls.clear()
    del form
    gc.collect()
    form = create_model("Form", a=int, b=int)
    assert [ask(model, form), ask(model, form)] == ["a, b", "a, b"]
    assert len(model.calls) == 1


@pytest.mark.parametrize("field", ["salt", "key"])
def test_policy_tells_classes_of_one_name_apart(cache: UpstashRedisCache, field: str) -> None:
    model = Structured(cache=cache, calls=[])
    forms = {"a": create_model("Form", a=int), "b": create_model("Form", b=int)}
    chosen: list[dict[str, Any]] = [{field: name} for name in ("a", "b", "a", "b")]
    for fields in chosen:
        with cache.policy(CachePolicy(**fields)):
            assert ask(model, forms[fields[field]]) == fields[field]
    assert len(model.calls) == 2


def test_masked_setting_is_not_cached_and_the_report_says_why(
    cache: UpstashRedisCache, redis: Redis
) -> None:
    for servers in ("https://a", "https://b"):
        model = Claude(cache=cache, responses=[servers], mcp_servers=[{"url": servers}])
        with cache.policy() as report:
            assert model.invoke("q").content == servers
        expected = [Status.MISS, Status.SKIPPED]
        assert told(report) == [(status, Reason.MASKED_SETTING) for status in expected]
        assert all("mcp_servers" in outcome.detail for outcome in report.outcomes)
    assert redis.keys("*") == []


async def test_salt_lets_a_masked_setting_be_cached(cache: UpstashRedisCache) -> None:
    for servers in ("https://a", "https://b"):
        model = Claude(cache=cache, responses=[servers, "again"], mcp_servers=[{"url": servers}])
        for _ in range(2):
            with cache.policy(CachePolicy(salt=servers)):
                assert (await model.ainvoke("q")).content == servers


def test_call_that_is_uncacheable_is_a_miss_where_only_the_cache_may_answer(
    cache: UpstashRedisCache,
) -> None:
    model = Claude(cache=cache, mcp_servers=[{"url": "https://a"}])
    only = CachePolicy(mode="only_if_cached")
    with cache.policy(only), pytest.raises(CacheMiss, match="mcp_servers"):
        model.invoke("q")


def test_headers_tell_answers_apart_unless_they_cannot_matter(cache: UpstashRedisCache) -> None:
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
    call = of_call(extra_headers={"Authorization": "Bearer hush", "x": object(), "Cookie": "hush"})
    cache.lookup("q", call)
    cache.update("q", call, ANSWER)
    (key,) = redis.keys("*:entry:*")
    assert "hush" not in f"{key} {redis.get(key)}"
