"""The event loop that Mangum finds in the main thread on Lambda, and a model for the function."""

import asyncio
from collections.abc import Iterator

import pytest
from tests.functions.bedrock import Bedrock, bedrock

from local_cloud.upstash import UpstashEndpoint

LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)  # now: Mangum looks for it when the function is imported

from tests.functions.asking import cold  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def _close_loop() -> Iterator[None]:
    yield
    LOOP.run_until_complete(LOOP.shutdown_asyncgens())
    LOOP.close()


@pytest.fixture(autouse=True)
def _current_loop() -> Iterator[None]:
    asyncio.set_event_loop(LOOP)
    yield
    asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def _model() -> Iterator[Bedrock]:
    with bedrock() as running:
        yield running


@pytest.fixture
def model(
    _model: Bedrock, upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bedrock]:
    environment = {
        "MODEL_ID": "amazon.nova-2-lite-v1:0",
        "MODEL_MAX_TOKENS": "512",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": _model.url,
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
        "LLM_CACHE_NAMESPACE": "test",
        "LLM_CACHE_TTL": "600",
        "LLM_CACHE_TTL_FLOOR": "10",
        "LLM_CACHE_TTL_CEILING": "3600",
        "LLM_CACHE_TIMEOUT": "10",  # what is about time says so
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    _model.requests.clear()
    _model.status, _model.error, _model.headers, _model.hold = 200, "", {}, None
    cold()
    yield _model
    cold()
