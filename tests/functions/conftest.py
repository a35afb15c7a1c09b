"""The event loop that Mangum finds in the main thread on Lambda, and a model for the function."""

import asyncio
from collections.abc import Iterator
from functools import cache
from types import SimpleNamespace
from unittest.mock import patch

import botocore.session
import pytest
from tests.clock import Clock
from tests.functions.bedrock import Bedrock, bedrock, environment

from upstash_endpoint.endpoint import UpstashEndpoint

asyncio.set_event_loop(asyncio.new_event_loop())  # now: Mangum looks for it when it is made

from tests.functions.asking import cold  # noqa: E402
from tests.functions.documents import KEY, TEXT, Documents, bucket  # noqa: E402
from tests.functions.sqs import Sqs  # noqa: E402

import attempt  # noqa: E402

asyncio.get_event_loop().close()


@pytest.fixture(scope="session", autouse=True)
def _aws_is_described_once() -> Iterator[None]:
    """Let all sessions share what botocore reads of its services' descriptions: 0.4 s a client."""
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
    monkeypatch.setenv("LLM_CACHE_TIMEOUT", "10")  # what is about time says so
    _model.requests.clear()
    _model.status, _model.error, _model.headers, _model.hold = 200, "", {}, None
    _model.stops, _model.content = "end_turn", None
    cold()
    yield _model
    loop.run_until_complete(loop.shutdown_asyncgens())  # it ends, and with it its connections
    cold()


@pytest.fixture
def documents(model: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Documents]:
    """A bucket in process that the function summarizes the documents of."""
    with bucket(model, monkeypatch) as made:
        yield made


@pytest.fixture
def sqs(documents: Documents, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sqs]:
    """Its queues, by an injected clock, and one document; no client waits before it tries again."""
    documents.put(KEY, TEXT)
    monkeypatch.setattr(attempt, "clock", clock)
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None))
    with Sqs(clock).connected(monkeypatch.setenv) as connected:
        yield connected
