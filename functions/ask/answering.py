"""From a question to an answer."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage

from bedrock.failures import Cause, Failure
from bedrock.model import model
from problems import Problem, model_timeout

STATUS = {Cause.NOT_CACHED: 504, Cause.BUSY: 503, Cause.FAILED: 502}  # 504: RFC 9111, 5.2.1.7


def answer(prompt: Sequence[BaseMessage]) -> AIMessage:
    """Ask the model, or the cache; raise a ``Problem`` when there is no answer."""
    try:
        return model().invoke(list(prompt))
    except Exception as error:
        raise _as_problem(Failure.of(error)) from error


def _as_problem(failure: Failure) -> Problem:
    if failure.cause is Cause.TIMEOUT:
        return model_timeout()
    status = STATUS[failure.cause]
    return Problem(status, failure.cause, failure.message, retry_after=failure.retry_after)
