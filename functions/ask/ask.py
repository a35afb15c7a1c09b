"""HTTP: a question in, an answer out; the caller says how long it is kept, how old it may be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from aws_lambda_powertools import Logger
from langchain_core.messages import AIMessage
from mangum import Mangum
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import cache_status
from answering import answer
from bedrock.model import COALESCE, answers, usage
from llm_cache import CacheMetrics, CachePolicy, Report
from problems import Problem, model_timeout
from question import Question
from tenant import sharing, tenant_of

logger, metrics = Logger(), CacheMetrics.from_env()
sharing()  # a wrong setting fails here, at the start, and not a caller's request
RESERVE = 1.0  # seconds kept to tell the caller that the model was too slow


async def ask(request: Request) -> JSONResponse:
    """Answer a question, from the cache if the caller accepts what is there."""
    context = request.scope.get("aws.context")
    try:
        tenant = tenant_of(request.scope.get("aws.event"))
        question = Question.from_json(await request.body())
        accepted = question.policy(",".join(request.headers.getlist("cache-control")))
        policy = CachePolicy(tenant=tenant).within(accepted).within(COALESCE)
        with counted(policy, context) as report:
            message = await _within_deadline(question, context)
    except Problem as problem:
        cause = type(problem.__cause__).__name__
        logger.warning("no answer", extra={"code": problem.code, "cause": cause})
        return problem.response()
    told = cache_status.body(report, policy)
    used = {**usage(message), "saved_tokens": report.tokens_saved}
    logger.info("answered", extra={"cache": told, "usage": used})
    return JSONResponse(
        {"answer": str(message.text), "cache": told, "usage": used},
        headers=cache_status.headers(report, policy),
    )


@contextmanager
def counted(policy: CachePolicy, context: Any) -> Iterator[Report]:
    """Use ``policy``, and count what the cache did even where there is no answer."""
    with answers().policy(policy, context=context) as report:
        try:
            yield report
        finally:
            metrics.write(report)


async def _within_deadline(question: Question, context: object) -> AIMessage:
    """Run the blocking model call in a thread, and give up on it while there is time to say so."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    seconds = remaining() / 1000 - RESERVE if remaining else None
    try:
        with anyio.fail_after(seconds):
            return await anyio.to_thread.run_sync(answer, question.prompt(), abandon_on_cancel=True)
    except TimeoutError:
        raise model_timeout() from None


async def health(_: Request) -> JSONResponse:
    """Say that the function runs; touches neither the cache nor the model."""
    return JSONResponse({"status": "ok"})


async def http_error(_: Request, error: Exception) -> JSONResponse:
    """Tell of 404 and 405 in JSON, like everything else."""
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette sends it nothing else
    response = Problem(error.status_code, "http", error.detail).response()
    response.headers.update(error.headers or {})
    return response


async def unexpected(_: Request, __: Exception) -> JSONResponse:
    """Tell nothing of the inside; Mangum logs it."""
    return Problem(500, "internal", "the request failed").response()


app = Starlette(
    routes=[Route("/ask", ask, methods=["POST"]), Route("/health", health)],
    exception_handlers={
        HTTPException: http_error,
        Exception: unexpected,
    },
)
app.router.redirect_slashes = False  # it would redirect to whatever the Host header says
handler = logger.inject_lambda_context(Mangum(app, lifespan="off"))
