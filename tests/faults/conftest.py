from collections.abc import Callable, Iterator
from typing import Any

import pytest
from langchain_core.outputs import Generation
from tests.faults.either_client import EitherClient
from tests.faults.faulty_proxy import FaultyProxy, faulty_proxy

from llm_cache import UpstashRedisCache
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.upstash_store import UpstashStore
from upstash_endpoint.endpoint import UpstashEndpoint

Execute = Callable[..., Any]
Call = Callable[[UpstashRedisCache], list[Generation] | None]
ANSWER = [Generation(text="paid for")]


def store_at(url: str, token: str = "token") -> UpstashStore:
    return UpstashStore(lambda: Credentials(url, token))


@pytest.fixture(params=[True, False], ids=["blocking", "asynchronous"])
def blocking(request: pytest.FixtureRequest) -> bool:
    """Which of the two clients a test uses."""
    return bool(request.param)


@pytest.fixture
def execute(blocking: bool) -> Execute:
    """Run one command on a new store."""

    def run(url: str, token: str, seconds: float, command: tuple[str, ...] = ("GET", "k")) -> Any:
        client = EitherClient(store_at(url, token), blocking)
        return client.run(client.call("execute", command, seconds))

    return run


@pytest.fixture
def call(blocking: bool) -> Call:
    """Look up and store one answer; return the found answer."""

    def look_up_and_store(cache: UpstashRedisCache) -> list[Generation] | None:
        client = EitherClient(cache, blocking)

        async def work() -> list[Generation] | None:
            found: list[Generation] | None = await client.call("lookup", "p", "model")
            await client.call("update", "p", "model", ANSWER)
            return found

        return client.run(work())

    return look_up_and_store


@pytest.fixture
def proxy(upstash: UpstashEndpoint) -> Iterator[FaultyProxy]:
    with faulty_proxy(upstash.url) as proxy:
        yield proxy


@pytest.fixture
def proxied(upstash: UpstashEndpoint, proxy: FaultyProxy) -> UpstashStore:
    """A store whose requests pass the proxy."""
    return store_at(proxy.url, upstash.token)
