"""The event loop that Mangum needs in the main thread, a model, and settings."""

import asyncio
from collections.abc import Callable, Iterator
from functools import cache
from types import SimpleNamespace
from unittest.mock import patch

import botocore.session
import pytest
from tests.clock import Clock
from tests.functions.bedrock import Bedrock, bedrock, environment

from upstash_endpoint.endpoint import UpstashEndpoint

asyncio.set_event_loop(asyncio.new_event_loop())  # before the import: Mangum reads it there

from tests.functions.asking import cold  # noqa: E402
from tests.functions.documents import KEY, TEXT, Documents, bucket  # noqa: E402
from tests.functions.sqs import Sqs  # noqa: E402

import attempt  # noqa: E402

asyncio.get_event_loop().close()


@pytest.fixture(scope="session", autouse=True)
def _service_models_loaded_once() -> Iterator[None]:
    """Share botocore's service models between sessions: 0.4 s a client."""
    with patch.object(botocore.session, "create_loader", cache(botocore.session.create_loader)):
        yield


@pytest.fixture(autouse=True)
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    current = asyncio.new_event_loop()
    asyncio.set_event_loop(current)
    yield current
    asyncio.set_event_loop(None)
    current.close()


@pytest.fixture(scope="session")
def _model() -> Iterator[Bedrock]:
    with bedrock() as running:
        yield running


@pytest.fixture
def model(
    _model: Bedrock,
    upstash: UpstashEndpoint,
    monkeypatch: pytest.MonkeyPatch,
    loop: asyncio.AbstractEventLoop,
) -> Iterator[Bedrock]:
    for name, value in environment(_model, upstash).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("LLM_CACHE_TIMEOUT", "10")  # timed tests set their own
    monkeypatch.delenv("SHARE_ANSWERS", raising=False)
    _model.requests.clear()
    _model.recover()
    cold()
    yield _model
    loop.run_until_complete(loop.shutdown_asyncgens())  # closes connections
    cold()


@pytest.fixture
def configure(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set variables of `ask`, and restart it."""

    def restart(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        cold()

    return restart


@pytest.fixture
def flush_environment(upstash: UpstashEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPSTASH_REDIS_REST_URL", upstash.url)
    monkeypatch.setenv("UPSTASH_REDIS_REST_TOKEN", upstash.token)
    monkeypatch.setenv("LLM_CACHE_NAMESPACE", "test")


@pytest.fixture
def documents(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Documents]:
    with bucket(model, monkeypatch) as made:
        yield made


@pytest.fixture
def sqs(documents: Documents, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sqs]:
    """The queues with an injected clock, and one document; clients retry without a delay."""
    documents.put(KEY, TEXT)
    monkeypatch.setattr(attempt, "clock", clock)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    with Sqs(clock).connected(monkeypatch.setenv) as connected:
        yield connected
