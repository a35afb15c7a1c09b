"""The event loop that Mangum finds in the main thread on Lambda."""

import asyncio
from collections.abc import Iterator

import pytest

LOOP = asyncio.new_event_loop()
asyncio.set_event_loop(LOOP)  # now: Mangum looks for it when the function is imported


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
