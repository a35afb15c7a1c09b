from collections.abc import Iterator

import pytest
from langchain_core.globals import set_llm_cache
from tests.clock import Clock
from tests.integration.langchain.call_styles import CALL_STYLES, STREAM_STYLES, CallStyle
from tests.integration.langchain.scripted_model import AsyncScriptedModel, ScriptedModel
from upstash_redis import Redis

from llm_cache import UpstashRedisCache


@pytest.fixture
def cache(redis: Redis, clock: Clock) -> UpstashRedisCache:
    return UpstashRedisCache(redis, ttl=60, namespace="n", clock=clock)


@pytest.fixture
def global_cache(cache: UpstashRedisCache) -> Iterator[UpstashRedisCache]:
    set_llm_cache(cache)
    yield cache
    set_llm_cache(None)


@pytest.fixture(params=[ScriptedModel, AsyncScriptedModel])
def model(request: pytest.FixtureRequest, cache: UpstashRedisCache) -> ScriptedModel:
    kind: type[ScriptedModel] = request.param
    return kind(cache=cache)


@pytest.fixture(params=CALL_STYLES)
def call(request: pytest.FixtureRequest) -> CallStyle:
    """Each style of a model call, as a function that returns the message."""
    return CALL_STYLES[request.param]


@pytest.fixture(params=STREAM_STYLES)
def streamed(request: pytest.FixtureRequest) -> CallStyle:
    """Each style of a stream, as a function that returns its chunks."""
    return STREAM_STYLES[request.param]
