"""Run an operation against a store: once blocking, once on the event loop.

The two must stay the same but for ``await``; every rule lives in the operation.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from llm_cache.operations import Command, Operation

T = TypeVar("T")


def run(operation: Operation[T], execute: Callable[[Command], Any]) -> T:
    """Run ``operation`` to its end and return its result."""
    try:
        command = next(operation)
        while True:
            try:
                reply = execute(command)
            except Exception as error:  # noqa: BLE001  the operation knows what a failure means
                command = operation.throw(error)
            else:
                command = operation.send(reply)
    except StopIteration as done:
        result: T = done.value
        return result


async def arun(operation: Operation[T], execute: Callable[[Command], Awaitable[Any]]) -> T:
    """Run ``operation`` to its end on the running event loop and return its result."""
    try:
        command = next(operation)
        while True:
            try:
                reply = await execute(command)
            except Exception as error:  # noqa: BLE001  the operation knows what a failure means
                command = operation.throw(error)
            else:
                command = operation.send(reply)
    except StopIteration as done:
        result: T = done.value
        return result
