"""Why a message's document has no summary now."""

from __future__ import annotations


class NotSummarized(Exception):
    """The message fails; the sentence is for the log, and holds no name and no word of a document.

    SQS sends it again, and after some times keeps it as a dead letter.
    """


class NotNow(NotSummarized):
    """The document is not at fault, so that the message may soon do."""


class OutOfTime(NotNow):
    """The invocation has too little time left."""

    def __init__(self) -> None:
        super().__init__("the invocation has too little time left")


def why(error: Exception) -> str:
    """Return what may be logged of an error: of one that is not ours, its class alone."""
    return str(error) if isinstance(error, NotSummarized) else type(error).__name__
