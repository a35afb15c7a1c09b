"""Run an operation: blocking, or on the running event loop.

The two drivers differ in ``await`` alone; the rules are in the operations. A cancelled operation
is closed at once, so that it can clean up. ``execute`` runs each step that is not a pause.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import time
from collections.abc import Awaitable, Callable, Generator
from contextlib import closing, suppress
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from llm_cache._protocol.daemon_thread import in_daemon_thread
from llm_cache._protocol.effects import Command, Operation, Pause

T = TypeVar("T")


def run(operation: Generator[Any, Any, T], execute: Callable[[Any], Any]) -> T:
    """Run ``operation`` to its end and return its result."""
    with closing(operation):
        try:
            step = next(operation)
            while True:
                try:
                    reply = pause(step) if isinstance(step, Pause) else execute(step)
                except Exception as error:  # noqa: BLE001  the operation knows what a failure means
                    step = operation.throw(error)
                else:
                    step = operation.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result


async def arun(operation: Generator[Any, Any, T], execute: Callable[[Any], Awaitable[Any]]) -> T:
    """Run ``operation`` to its end on the running event loop and return its result."""
    with closing(operation):
        try:
            step = next(operation)
            while True:
                try:
                    reply = await (apause(step) if isinstance(step, Pause) else execute(step))
                except Exception as error:  # noqa: BLE001  the operation knows what a failure means
                    step = operation.throw(error)
                else:
                    step = operation.send(reply)
        except StopIteration as done:
            result: T = done.value
            return result


def may_block() -> bool:
    """Whether this thread may wait: on an event loop, a wait would stop every task."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return True
    return False


def always() -> bool:
    """Return True: an asynchronous operation may always wait."""
    return True


def clean_up(
    operation: Operation[Any], execute: Callable[[Command[Any]], Any], *, wait: bool = True
) -> None:
    """Run best-effort cleanup: on an event loop, in its executor.

    Elsewhere the caller waits for it or, if ``wait`` is false, a daemon thread runs it.
    """

    def work() -> None:
        with suppress(Exception):
            run(operation, execute)

    if not may_block():
        asyncio.get_running_loop().run_in_executor(None, copy_context().run, work)
    elif wait:
        work()
    else:
        in_daemon_thread(partial(copy_context().run, work))


def pause(step: Pause) -> Any:
    """Wait as long as ``step`` allows."""
    if step.until is None:
        return time.sleep(step.seconds)
    return concurrent.futures.wait([step.until], step.seconds)


async def apause(step: Pause) -> Any:
    """Wait as long as ``step`` allows."""
    if step.until is None:
        return await asyncio.sleep(step.seconds)
    until = asyncio.wrap_future(step.until)
    try:
        return await asyncio.wait([until], timeout=step.seconds)
    finally:
        until.cancel()  # so that its source never calls a closed loop
