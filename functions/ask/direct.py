"""An invocation that is no HTTP: by the SDK, the command line, or a task of Step Functions.

Its event is what ``POST /ask`` has as its body, and its result the body of the reply. Where there
is no answer it raises, so that ``Retry`` and ``Catch`` of a state machine can tell by the error's
name what to do; the message says what a caller of ``POST /ask`` is told.
"""

from __future__ import annotations

import json
from typing import Any

from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Response, Scope


class Unanswered(Exception):
    """No answer, for a reason that has no name of its own here."""


class NotValid(Unanswered):
    """The event is no question, or too large: asked again, it fails again."""


class NotCached(Unanswered):
    """``only_if_cached`` found nothing."""


class ModelBusy(Unanswered):
    """The model takes no more requests now: ask again later."""


class ModelTimeout(Unanswered):
    """The model was too slow: ask again."""


class ModelRefused(Unanswered):
    """The model refused the request."""


class ModelMisconfigured(Unanswered):
    """The function cannot call its model."""


class NoAnswer(Unanswered):
    """The model's answer has no text: it was blocked, cut short or empty."""


NAMED = {
    "invalid": NotValid,
    "too_large": NotValid,
    "not_cached": NotCached,
    "model_busy": ModelBusy,
    "model_timeout": ModelTimeout,
    "model_refused": ModelRefused,
    "model_misconfigured": ModelMisconfigured,
    "no_answer": NoAnswer,
}


class Direct:
    """Such an event, as Mangum takes it for HTTP. A front's event has a ``requestContext``."""

    def __init__(self, event: LambdaEvent, context: LambdaContext, _: LambdaConfig) -> None:
        self._event = event
        self._context = context

    @classmethod
    def infer(cls, event: LambdaEvent, _: LambdaContext, __: LambdaConfig) -> bool:
        """Say whether the event is such a one."""
        return not isinstance(event, dict) or "requestContext" not in event

    @property
    def body(self) -> bytes:
        """What ``POST /ask`` would be sent."""
        return json.dumps(self._event).encode()

    @property
    def scope(self) -> Scope:
        """The request, as ASGI has it."""
        return {
            "type": "http",
            "method": "POST",
            "path": "/ask",
            "query_string": b"",
            "headers": [],
            "aws.event": self._event if isinstance(self._event, dict) else {},
            "aws.context": self._context,
        }

    def __call__(self, response: Response) -> dict[str, Any]:
        """Return the reply's body; raise what says why there is no answer."""
        told: dict[str, Any] = json.loads(response["body"])
        if response["status"] == 200:  # noqa: PLR2004
            return told
        error = told["error"]
        where = f"{error['field']}: " if "field" in error else ""
        raise NAMED.get(error["code"], Unanswered)(where + error["message"])
