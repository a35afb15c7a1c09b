"""A time limit for calls that have none of their own, such as those of boto3."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from llm_cache._protocol.daemon_thread import in_daemon_thread

T = TypeVar("T")


def within(seconds: float, work: Callable[[], T]) -> T:
    """Return the result of ``work``; raise ``TimeoutError`` after so many seconds."""
    running: Future[T] = in_daemon_thread(work)
    return running.result(seconds)
