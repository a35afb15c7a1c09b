"""Why a document has no summary, and what that means for its message."""

from __future__ import annotations

from collections.abc import Iterable


class NotSummarized(Exception):
    """An attempt failed, and another may succeed.

    The text goes into the log and to the dead letters. It holds no name and no word of a document.
    """


class Permanent(NotSummarized):
    """Every attempt would fail like this one."""


class NotNow(NotSummarized):
    """The document is not at fault: a later try may succeed, and this one is no attempt."""


class OutOfTime(NotNow):
    """The invocation has too little time left. The next one can go on at once."""

    def __init__(self) -> None:
        super().__init__("the invocation has too little time left")


def worst(errors: Iterable[BaseException]) -> BaseException:
    """Return the error that decides if several pieces of a document failed.

    An error that no retry changes comes first, then one that spends an attempt.
    """
    return min(errors, key=_rank)


def _rank(error: BaseException) -> int:
    if isinstance(error, Permanent):
        return 0
    if isinstance(error, OutOfTime):
        return 3
    return 2 if isinstance(error, NotNow) else 1


def why(error: Exception) -> str:
    """Return what may be logged of an error: of an unexpected one, its class alone."""
    return str(error) if isinstance(error, NotSummarized) else type(error).__name__
