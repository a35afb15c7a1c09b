"""The HTTP routes. Add your own to ``ROUTES``."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from aws_lambda_powertools import Logger
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import cache_status
from answer import AskRequest, AskResult, answer_in_time, default_policy
from ask_request import AskBody, not_readable
from identity import sharing, tenant_of
from llm_cache import CachePolicy, Status
from middleware import FrontMiddleware, origins, prefix
from openapi import description
from problem import Problem

logger = Logger()
TAG = re.compile('"[^"]*"')  # an entity tag without its weakness mark (RFC 9110, section 8.8.3)


async def ask(request: Request) -> Response:
    """Answer a question, from the cache if the caller accepts the stored answer."""
    try:
        ask_request = await read(request)
        result = await answer_in_time(ask_request)
    except Problem as problem:
        logger.warning("no answer", extra=problem.logged)
        return problem.response()
    content = body(ask_request, result)
    logger.info("answered", extra={"cache": content["cache"], "usage": content["usage"]})
    return respond(request, ask_request, result, content)


async def health(_: Request) -> JSONResponse:
    """Confirm that the function runs; call neither the cache nor the model."""
    return JSONResponse({"status": "ok"})


async def openapi(_: Request) -> JSONResponse:
    """Return the OpenAPI description of the function."""
    return JSONResponse(description(prefix()), headers={"Cache-Control": "max-age=300"})


async def read(request: Request) -> AskRequest:
    """Read a request; raise a ``Problem`` that describes what is wrong with it."""
    tenant = tenant_of(request.scope.get("aws.event"))  # set by Mangum, and by no other server
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise not_readable("it has a Content-Encoding")
    body = AskBody.from_json(await request.body())
    accepted = body.policy(",".join(request.headers.getlist("cache-control")))
    policy = CachePolicy(tenant=tenant).within(accepted).within(default_policy())
    return AskRequest(body.question, policy, request.scope.get("aws.context"))


def body(ask_request: AskRequest, result: AskResult) -> dict[str, Any]:
    """Return the body: the answer, what the cache did, and the tokens of this request."""
    response, report = result
    paid = not report.having(Status.HIT) and not report.having(Status.STALE)
    usage = {name: count if paid else 0 for name, count in response["usage"].items()}
    return {
        "answer": response["answer"],
        "stop_reason": response["stop_reason"],
        "cache": cache_status.body(report, ask_request.policy),
        "usage": {**usage, "saved_tokens": report.tokens_saved},
    }


def respond(
    request: Request, ask_request: AskRequest, result: AskResult, content: dict[str, Any]
) -> Response:
    """Return the response; 304 without a body if ``If-None-Match`` names the answer's ``ETag``.

    The tag is weak: it names the answer to the question, while the cache's fields vary. ``*`` is
    ignored because it names no answer: a caller without one would pay and get nothing.
    """
    named = [ask_request.question, content["answer"], content["stop_reason"]]
    named_text = json.dumps(named, sort_keys=True)
    tag = f'"{hashlib.sha256(named_text.encode()).hexdigest()[:32]}"'
    headers = {**cache_status.headers(result.report, ask_request.policy), "ETag": f"W/{tag}"}
    if tag in TAG.findall(",".join(request.headers.getlist("if-none-match"))):
        return Response(status_code=304, headers=headers)
    return JSONResponse(content, headers=headers)


async def http_error(_: Request, error: Exception) -> Response:
    """Return 404 and 405 as JSON, like every other problem."""
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette passes no other
    headers = dict(error.headers or {})
    return Problem(error.status_code, "http", error.detail, headers=headers).response()


async def unexpected(_: Request, __: Exception) -> Response:
    """Return a 500 without details. On Lambda ``front`` raises the error instead."""
    return Problem(500, "internal", "the request failed").response()


sharing(), default_policy(), prefix(), origins()  # an invalid setting must fail at start-up

ROUTES = [
    Route("/ask", ask, methods=["POST"]),
    Route("/health", health),
    Route("/openapi.json", openapi),
    # your own routes go here
]
HANDLERS: dict[Any, Any] = {HTTPException: http_error, Exception: unexpected}
app = Starlette(
    routes=ROUTES, middleware=[Middleware(FrontMiddleware)], exception_handlers=HANDLERS
)
app.router.redirect_slashes = False  # a redirect would lead to any host in the Host header
