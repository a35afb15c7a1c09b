"""The events of AWS's fronts, as requests of the app, and its responses, as the fronts want them.

A front is what invokes the function: a Function URL, an HTTP API, a REST API, a load balancer, or a
direct invocation. Whatever a client writes into a request, the reply is a response of the app or a
400. Only an error that no code expects leaves the handler, so that Lambda counts it as an error of
the function; the front then answers 502.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from mangum import Mangum
from mangum.types import LambdaConfig, LambdaContext, LambdaEvent, Response, Scope
from starlette.types import Receive, Send

from event import readable
from problem import Problem
from web import NO_STORE, app

logger = Logger()


class Direct:
    """An event without ``requestContext``: by the SDK, the command line, or Step Functions.

    It is the body of ``POST /ask``, and the result is the body of the reply: the answer, or
    ``{"error": {…}}``. Mangum takes it for a request.
    """

    def __init__(self, event: LambdaEvent, context: LambdaContext, _: LambdaConfig) -> None:
        self._event = event
        self._context = context

    @classmethod
    def infer(cls, event: LambdaEvent, _: LambdaContext, __: LambdaConfig) -> bool:
        """Say whether the event is one."""
        return not isinstance(event, dict) or "requestContext" not in event

    @property
    def body(self) -> bytes:
        """The body of the request."""
        text = json.dumps(self._event, ensure_ascii=False)
        return text.encode(errors="surrogatepass")  # not UTF-8, so it is refused as a body is

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

    def __call__(self, response: Response) -> Any:
        """Return the body of the reply."""
        return json.loads(response["body"])


def reply(event: Any, context: Any) -> dict[str, Any]:
    """Return the reply to an event; raise only what no code expects."""
    try:
        refuse_unsupported(event)
        return _of_the_app(readable(event), context)
    except Problem as problem:
        logger.warning("no answer", extra=problem.logged)
        return _refused(event, problem)


def _of_the_app(event: Any, context: Any) -> dict[str, Any]:
    raised: list[BaseException] = []

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except BaseException as error:
            raised.append(error)
            raise

    told = Mangum(watched, lifespan="off", custom_handlers=[Direct])(event, context)
    if raised:  # Mangum has logged it, and answered 500
        raise raised[0]
    return told


def _refused(event: Any, problem: Problem) -> dict[str, Any]:
    """Return a problem to a front whose event cannot be read, in the form that harms least."""
    fields = event if isinstance(event, Mapping) else {}
    if "requestContext" in fields or "raw_path" in fields:
        headers = {"content-type": "application/json", "cache-control": NO_STORE}
        response: dict[str, Any] = {"statusCode": problem.status, "isBase64Encoded": False}
        if fields.get("multiValueHeaders"):
            response["multiValueHeaders"] = {name: [value] for name, value in headers.items()}
        else:
            response["headers"] = headers
        return {**response, "body": json.dumps(problem.body)}
    return problem.body | _kept_in_the_queue(fields)


# --- what is not supported ------------------------------------------------------------------------

SOURCES = {"aws:sqs": "SQS", "aws:sns": "SNS", "aws:s3": "S3"}
SUPPORTED = "a Function URL, an HTTP API, a REST API, a load balancer, direct invocations"


def refuse_unsupported(event: Any) -> None:
    """Raise a ``Problem`` that names the front, unless it is one that is supported."""
    name = _no_request(event) or _no_invocation(event)
    if name:
        message = f"the event is of {name}; supported are {SUPPORTED}"
        raise Problem(400, "unsupported_front", message)


def _no_request(event: Any) -> str | None:
    """Return which other front an event with a ``requestContext``, or much like it, is of."""
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


def _no_invocation(event: Any) -> str | None:
    """Return what sent an event that tells of something and asks nothing."""
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


def _kept_in_the_queue(event: Mapping[Any, Any]) -> dict[str, Any]:
    """Have SQS keep its messages, in the end in the dead-letter queue, if it reads the reply."""
    match event:
        case {"Records": [*records]}:
            ids = [
                one["messageId"]
                for one in records
                if isinstance(one, Mapping) and "messageId" in one
            ]
            return {"batchItemFailures": [{"itemIdentifier": one} for one in ids]} if ids else {}
    return {}
