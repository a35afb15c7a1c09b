"""Why a document has no summary, and whether its message is retried."""

from __future__ import annotations

from collections.abc import Iterable


class SummaryError(Exception):
    """An attempt failed, and another may succeed.

    The text appears in logs and dead letters, so it must not quote a document or its name.
    """


class PermanentError(SummaryError):
    """Every attempt would fail the same way."""


class TransientError(SummaryError):
    """The document is not at fault, so this try uses no attempt."""


class OutOfTime(TransientError):
    """The invocation has too little time left. The next one can continue at once."""

    def __init__(self) -> None:
        super().__init__("the invocation has too little time left")


def worst(errors: Iterable[BaseException]) -> BaseException:
    """Return the error that decides if several pieces of a document failed.

    The order: permanent, uses an attempt, transient, out of time.
    """
    return min(errors, key=_rank)


def _rank(error: BaseException) -> int:
    if isinstance(error, PermanentError):
        return 0
    if isinstance(error, OutOfTime):
        return 3
    return 2 if isinstance(error, TransientError) else 1


def reason(error: Exception) -> str:
    """Return what logs may hold of an error: only the class of an unexpected one."""
    return str(error) if isinstance(error, SummaryError) else type(error).__name__
