"""HTTP: a question in, an answer out; the caller says how long it is kept, how old it may be."""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import cache_status
from answer import Answered, Asked, answer_in_time, defaults
from description import description
from identity import sharing, tenant_of
from llm_cache import CachePolicy, InvalidSettings, Status
from problem import Problem
from question import Question, not_readable

logger = Logger()
NO_STORE = "no-store"
KEPT = ("ETag", "Cache-Status", "Age")  # of a response, where it is sent without its body
TAG = re.compile('"[^"]*"')  # an entity tag without its mark of weakness (RFC 9110, section 8.8.3)


# --- the routes -----------------------------------------------------------------------------------


async def ask(request: Request) -> Response:
    """Answer a question, from the cache if the caller accepts what is there."""
    try:
        asked = await read(request)
        answered = await answer_in_time(asked)
    except Problem as problem:
        logger.warning("no answer", extra=problem.logged)
        return problem.response()
    told = body(asked, answered)
    logger.info("answered", extra={"cache": told["cache"], "usage": told["usage"]})
    return respond(request, asked, answered, told)


async def health(_: Request) -> JSONResponse:
    """Say that the function runs; touches neither the cache nor the model."""
    return JSONResponse({"status": "ok"})


async def openapi(_: Request) -> JSONResponse:
    """Return the OpenAPI description of the function."""
    return JSONResponse(description(prefix()), headers={"Cache-Control": "max-age=300"})


async def read(request: Request) -> Asked:
    """Read a request; raise a ``Problem`` that says what is wrong with it."""
    tenant = tenant_of(request.scope.get("aws.event"))  # of Mangum: no other server has one
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise not_readable("it has a Content-Encoding")
    question = Question.from_json(await request.body())
    accepted = question.policy(",".join(request.headers.getlist("cache-control")))
    policy = CachePolicy(tenant=tenant).within(accepted).within(defaults())
    return Asked(question.request, policy, request.scope.get("aws.context"))


def body(asked: Asked, answered: Answered) -> dict[str, Any]:
    """Return the body: the answer, what the cache did, and the tokens that this request took."""
    response, report = answered
    paid = not report.having(Status.HIT) and not report.having(Status.STALE)
    usage = {name: count if paid else 0 for name, count in response["usage"].items()}
    return {
        "answer": response["answer"],
        "stop_reason": response["stop_reason"],
        "cache": cache_status.body(report, asked.policy),
        "usage": {**usage, "saved_tokens": report.tokens_saved},
    }


def respond(request: Request, asked: Asked, answered: Answered, told: dict[str, Any]) -> Response:
    """Return the response: its body, what the cache did in headers, and an ``ETag``.

    The tag is weak: it names the answer to the question, and the fields about the cache differ from
    reply to reply. A caller who names it has the answer and gets 304 without a body. ``*`` names no
    answer, so it is ignored: nobody pays for an answer that is not sent.
    """
    named = json.dumps([asked.request, told["answer"], told["stop_reason"]], sort_keys=True)
    tag = f'"{hashlib.sha256(named.encode()).hexdigest()[:32]}"'
    headers = {**cache_status.headers(answered.report, asked.policy), "ETag": f"W/{tag}"}
    if tag in TAG.findall(",".join(request.headers.getlist("if-none-match"))):
        return Response(status_code=304, headers=headers)
    return JSONResponse(told, headers=headers)


async def http_error(_: Request, error: Exception) -> JSONResponse:
    """Tell of 404 and 405 in JSON, like everything else."""
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette sends it nothing else
    headers = dict(error.headers or {})
    return Problem(error.status_code, "http", error.detail, headers=headers).response()


async def unexpected(_: Request, __: Exception) -> JSONResponse:
    """Tell nothing of the inside. On Lambda ``front`` raises the error, and this is not sent."""
    headers = {"Cache-Control": NO_STORE}
    return Problem(500, "internal", "the request failed", headers=headers).response()


# --- what holds for every route -------------------------------------------------------------------

PREFIX, ORIGINS = "PATH_PREFIX", "CORS_ORIGINS"


@cache
def prefix() -> str:
    """Return what the front puts before each path: a stage, or a custom domain's base path.

    Raises ``InvalidSettings``.
    """
    told = os.environ.get(PREFIX, "").strip()
    if not re.fullmatch(r"(/[\w.~-]+)*", told, re.ASCII):
        raise InvalidSettings(PREFIX, told, "a path such as /prod, without a slash at its end")
    return told


@cache
def origins() -> list[str]:
    """Return the origins whose pages may call the function; raise ``InvalidSettings``."""
    told = [one.strip() for one in os.environ.get(ORIGINS, "").split(",") if one.strip()]
    if told != ["*"] and not all(re.fullmatch(r"https?://[^/\s*,]+", one) for one in told):
        raise InvalidSettings(ORIGINS, ",".join(told), "* or origins such as https://example.com")
    return told


def route(path: str) -> str:
    """Return the path of a route: without the prefix, and without a slash at its end."""
    if path == prefix() or path.startswith(f"{prefix()}/"):
        path = path.removeprefix(prefix())
    return path.removesuffix("/") or "/"


class Edge:
    """Finds the route, and keeps every response out of caches unless it says otherwise.

    Answers browsers: preflights, and the headers of CORS. A Function URL does so by itself.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cors = _cors(app) if origins() else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", NO_STORE)
            elif scope["method"] == "HEAD":  # RFC 9110, section 9.3.2
                message = {**message, "body": b""}
            await send(message)

        app = self._app if _by_function_url(scope) else self._cors
        return await app({**scope, "path": route(scope["path"])}, receive, sent)


def _cors(app: ASGIApp) -> ASGIApp:
    from starlette.middleware.cors import CORSMiddleware  # noqa: PLC0415  off by default

    return CORSMiddleware(
        app,
        allow_origins=origins(),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Cache-Control", "Content-Type", "If-None-Match", *SIGNED],
        expose_headers=["Age", "Cache-Status", "ETag", "Retry-After"],
    )


SIGNED = ("X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token")


def _by_function_url(scope: Scope) -> bool:
    match scope.get("aws.event"):
        case {"requestContext": {"domainName": str() as name}}:
            return ".lambda-url." in name
    return False


sharing(), defaults(), prefix(), origins()  # a wrong setting fails here, at the start

ROUTES = [
    Route("/ask", ask, methods=["POST"]),
    Route("/health", health),
    Route("/openapi.json", openapi),
    # your own routes go here
]
HANDLERS: dict[Any, Any] = {HTTPException: http_error, Exception: unexpected}
app = Starlette(routes=ROUTES, middleware=[Middleware(Edge)], exception_handlers=HANDLERS)
app.router.redirect_slashes = False  # it would redirect to whatever the Host header says
