"""What a request asks of the model. Imports LangChain, so only a miss imports this module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
)

from bedrock.failures import Cause, Failure
from bedrock.model import model, stop_reason, text, usage
from llm_cache import CacheMiss, Uncached, uncacheable
from problem import Problem

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

ROLES = {"user": HumanMessage, "assistant": AIMessage}
STATUS = {
    Cause.TIMEOUT: 504,
    Cause.BUSY: 503,
    Cause.REFUSED: 422,
    Cause.MISCONFIGURED: 500,
}


def ask_the_model(request: dict[str, Any]) -> dict[str, Any] | Uncached:
    """Return ``{"answer", "stop_reason", "usage"}``; raise a ``Problem`` without an answer."""
    parameters = request.get("parameters", {})
    try:
        message = chosen(parameters).invoke(prompt(request), **parameters)
    except CacheMiss:  # the model was not called: the caller accepts a stored answer only
        raise
    except Exception as error:
        failure = Failure.of(error)
        if failure is None:
            raise
        raise _unanswered(failure, by_the_caller=bool(parameters)) from error
    return _answered(message)


def chosen(parameters: dict[str, Any]) -> BaseChatModel:
    """Return the model; without its default temperature beside a caller's ``top_p``.

    Some models refuse the two together.
    """
    if "top_p" in parameters and "temperature" not in parameters:
        return model().model_copy(update={"temperature": None})
    return model()


def _unanswered(failure: Failure, *, by_the_caller: bool) -> Problem:
    status = STATUS[failure.cause]
    if failure.cause is Cause.REFUSED and not by_the_caller:
        status = 500  # the model refused what the operator has set
    headers = {"Retry-After": failure.retry_after} if failure.retry_after else None
    return Problem(status, failure.cause, failure.message, headers=headers)


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
