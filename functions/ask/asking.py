"""What the model is asked for a request. Imports LangChain: only who asks the model does."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
)

from bedrock.failures import Cause, Failure
from bedrock.model import model, stop_reason, text, usage
from llm_cache import CacheMiss, Uncached, uncacheable
from problems import Problem

ROLES = {"user": HumanMessage, "assistant": AIMessage}
STATUS = {
    Cause.TIMEOUT: 504,
    Cause.BUSY: 503,
    Cause.REFUSED: 422,
    Cause.MISCONFIGURED: 500,
}


def ask_the_model(request: dict[str, Any]) -> dict[str, Any] | Uncached:
    """Return ``{"answer", "stop_reason", "usage"}``; raise a ``Problem`` without an answer."""
    try:
        message: AIMessage = model().invoke(prompt(request), **request.get("parameters", {}))
    except CacheMiss:  # the model was not called: the caller accepts a stored answer only
        raise
    except Exception as error:
        failure = Failure.of(error)
        if failure is None:
            raise
        status, wait = STATUS[failure.cause], failure.retry_after
        if failure.cause is Cause.REFUSED and not request.get("parameters"):
            status = 500  # what the operator has set was refused, and nothing of the caller's
        raise Problem(status, failure.cause, failure.message, retry_after=wait) from error
    return _answered(message)


def _answered(message: AIMessage) -> dict[str, Any] | Uncached:
    told = {"stop_reason": stop_reason(message), "usage": usage(message)}
    answer = text(message)
    why = uncacheable(message) or uncacheable(answer)
    if uncacheable(answer):
        raise Problem(502, "no_answer", f"the model returned no text: {why}", details=told)
    response = {"answer": answer, **told}
    return Uncached(response, why) if why else response


def prompt(request: dict[str, Any]) -> list[BaseMessage]:
    """Return the conversation as LangChain's messages."""
    system = [SystemMessage(request["system"])] if "system" in request else []
    earlier = [ROLES[turn["role"]](turn["content"]) for turn in request.get("messages", [])]
    return [*system, *earlier, HumanMessage(request["question"])]
