"""The prompt of a question and the call of the model. Imports LangChain: only a miss needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from bedrock.aws_failures import AwsFailure, Cause
from bedrock.model import failure_text, model, stop_reason, text, usage
from llm_cache import CacheMiss, Uncached, uncacheable
from problem import Problem

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

ROLES = {"user": HumanMessage, "assistant": AIMessage}
PROBLEMS = {
    Cause.TIMEOUT: (504, "model_timeout"),
    Cause.BUSY: (503, "model_busy"),
    Cause.REFUSED: (422, "model_refused"),
    Cause.DENIED: (500, "model_misconfigured"),
    Cause.UNKNOWN: (500, "model_misconfigured"),
}


def answer_by_model(question: dict[str, Any]) -> dict[str, Any] | Uncached:
    """Return ``{"answer", "stop_reason", "usage"}``; raise a ``Problem`` without an answer."""
    parameters = question.get("parameters", {})
    try:
        message = model_for(parameters).invoke(messages(question), **parameters)
    except CacheMiss:  # the caller accepts stored answers only, so the model was not called
        raise
    except Exception as error:
        failure = AwsFailure.of(error)
        if failure is None:
            raise
        raise _problem(failure, has_parameters=bool(parameters)) from error
    return _response(message)


def model_for(parameters: dict[str, Any]) -> BaseChatModel:
    """Return the model, without its default temperature if the caller sets ``top_p`` alone.

    Some models refuse both together.
    """
    if "top_p" in parameters and "temperature" not in parameters:
        return model().model_copy(update={"temperature": None})
    return model()


def _problem(failure: AwsFailure, *, has_parameters: bool) -> Problem:
    status, code = PROBLEMS[failure.cause]
    if failure.cause is Cause.REFUSED and not has_parameters:
        status = 500  # the model refused the operator's settings
    headers = {"Retry-After": failure.retry_after} if failure.retry_after else None
    return Problem(status, code, failure_text(failure), headers=headers)


def _response(message: AIMessage) -> dict[str, Any] | Uncached:
    details = {"stop_reason": stop_reason(message), "usage": usage(message)}
    answer = text(message)
    why = uncacheable(message) or uncacheable(answer)
    if uncacheable(answer):
        raise Problem(502, "no_answer", f"the model returned no text: {why}", details=details)
    response = {"answer": answer, **details}
    return Uncached(response, why) if why else response


def messages(question: dict[str, Any]) -> list[BaseMessage]:
    """Return the conversation as LangChain messages."""
    system = [SystemMessage(question["system"])] if "system" in question else []
    turns = [ROLES[turn["role"]](turn["content"]) for turn in question.get("messages", [])]
    return [*system, *turns, HumanMessage(question["question"])]
