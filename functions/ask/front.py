"""Convert the events of AWS's fronts to requests of the app, and its responses to replies.

A front invokes the function: a Function URL, an HTTP API, a REST API, a load balancer, or a direct
invocation. Any request gets a response of the app or a 400. Only an unexpected error leaves the
handler: Lambda counts it as an error of the function, and the front answers 502.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from mangum import Mangum
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Response, Scope
from starlette.types import Receive, Send

from problem import Problem
from sanitize import sanitized
from web import app

logger = Logger()


class DirectInvocation:
    """Mangum handler for an event without ``requestContext``, from an SDK or Step Functions.

    The event is the body of ``POST /ask``. The result is the body of the reply: the answer, or
    ``{"error": {…}}``.
    """

    def __init__(self, event: LambdaEvent, context: LambdaContext, _: LambdaConfig) -> None:
        self._event = event
        self._context = context

    @classmethod
    def infer(cls, event: LambdaEvent, _: LambdaContext, __: LambdaConfig) -> bool:
        """Return whether the event is a direct invocation."""
        return not isinstance(event, dict) or "requestContext" not in event

    @property
    def body(self) -> bytes:
        """The body of the request."""
        text = json.dumps(self._event, ensure_ascii=False)
        return text.encode(errors="surrogatepass")  # invalid UTF-8, so the app refuses it

    @property
    def scope(self) -> Scope:
        """The ASGI scope of the request."""
        return {
            "type": "http",
            "method": "POST",
            "path": "/ask",
            "query_string": b"",
            "headers": [],
            "aws.event": self._event if isinstance(self._event, dict) else {},
            "aws.context": self._context,
        }

    def __call__(self, response: Response) -> Any:
        """Return the body of the reply."""
        return json.loads(response["body"])


def reply(event: Any, context: Any) -> dict[str, Any]:
    """Return the reply to an event; raise only an unexpected error."""
    try:
        refuse_unsupported(event)
        return _call_app(sanitized(event), context)
    except Problem as problem:
        logger.warning("no answer", extra=problem.logged)
        return _refusal(event, problem)


def _call_app(event: Any, context: Any) -> dict[str, Any]:
    raised: list[BaseException] = []

    async def recording(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except BaseException as error:
            raised.append(error)
            raise

    result = Mangum(recording, lifespan="off", custom_handlers=[DirectInvocation])(event, context)
    if raised:  # Mangum has logged it, and would return 500
        raise raised[0]
    return result


def _refusal(event: Any, problem: Problem) -> dict[str, Any]:
    """Return a problem in the form that the sender of an unreadable event most likely expects."""
    fields = event if isinstance(event, Mapping) else {}
    if "requestContext" not in fields and "raw_path" not in fields:
        return problem.body | _kept_messages(fields)
    response = problem.response()
    headers: dict[str, Any] = {"headers": dict(response.headers)}
    if fields.get("multiValueHeaders"):
        headers = {"multiValueHeaders": {name: [v] for name, v in response.headers.items()}}
    body = bytes(response.body).decode()
    return {"statusCode": problem.status, "isBase64Encoded": False, **headers, "body": body}


SOURCES = {"aws:sqs": "SQS", "aws:sns": "SNS", "aws:s3": "S3"}
SUPPORTED = "a Function URL, an HTTP API, a REST API, a load balancer, direct invocations"


def refuse_unsupported(event: Any) -> None:
    """Raise a ``Problem`` that names the front if it is not supported."""
    name = _unsupported_front(event) or _notification(event)
    if name:
        message = f"events of {name} are not supported; supported are {SUPPORTED}"
        raise Problem(400, "unsupported_front", message)


def _unsupported_front(event: Any) -> str | None:
    """Return the unsupported front of an event with a ``requestContext`` or the like."""
    match event:
        case {"raw_path": _} | {"requestContext": {"serviceArn": _}}:
            return "VPC Lattice"
        case {"methodArn": _} | {"routeArn": _} | {"authorizationToken": _}:
            return "an authorizer"
        case {"requestContext": {"connectionId": _}}:
            return "a WebSocket API"
        case {"requestContext": {"http": _} | {"elb": _}} | {"requestContext": {}, "httpMethod": _}:
            return None
        case {"requestContext": _}:
            return "an unknown front"
    return None


def _notification(event: Any) -> str | None:
    """Return the service that sent an event without a question."""
    match event:
        case {"Records": [{"cf": _}, *_]}:
            return "Lambda@Edge"
        case {"Records": [{"eventSource": str(source)} | {"EventSource": str(source)}, *_]}:
            return SOURCES.get(source, source)
        case {"Records": _}:
            return "an unknown queue, stream or topic"
        case {"detail-type": _, "source": _}:
            return "EventBridge"
    return None


def _kept_messages(event: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a field that makes SQS keep its messages, in the end in the dead-letter queue."""
    match event:
        case {"Records": [*records]}:
            ids = [
                one["messageId"]
                for one in records
                if isinstance(one, Mapping) and "messageId" in one
            ]
            return {"batchItemFailures": [{"itemIdentifier": one} for one in ids]} if ids else {}
    return {}
