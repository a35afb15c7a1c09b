"""What runs an operation ends it too."""

import asyncio
from typing import Any

import pytest

from llm_cache._protocol.drivers import arun, run
from llm_cache._protocol.effects import Operation


def operation(closed: list[bool]) -> Operation[None]:
    try:
        yield ("PING",)
    except GeneratorExit:
        closed.append(True)
        raise


def test_an_operation_that_is_interrupted_is_closed_at_once() -> None:
    def interrupted(step: Any) -> Any:
        raise KeyboardInterrupt

    closed: list[bool] = []
    with pytest.raises(KeyboardInterrupt) as caught:
        run(operation(closed), interrupted)
    assert closed
    assert caught  # which holds on to it, so that it was not collected


async def test_an_operation_that_is_cancelled_is_closed_at_once() -> None:
    async def cancelled(step: Any) -> Any:
        raise asyncio.CancelledError

    closed: list[bool] = []
    with pytest.raises(asyncio.CancelledError) as caught:
        await arun(operation(closed), cancelled)
    assert closed
    assert caught
