"""HTTP: a question in, an answer out; the caller says how long it is kept, how old it may be."""

from __future__ import annotations

import anyio
from aws_lambda_powertools import Logger
from mangum import Mangum
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import cache_status
from answering import Answer, answer
from llm_cache import CachePolicy
from problems import Problem, model_timeout
from question import Question
from tenant import sharing, tenant_of

logger = Logger()
sharing()  # a wrong setting fails here, at the start, and not a caller's request
RESERVE = 1.0  # seconds kept to tell the caller that the model was too slow


async def ask(request: Request) -> JSONResponse:
    """Answer a question, from the cache if the caller accepts what is there."""
    try:
        tenant = tenant_of(request.scope.get("aws.event"))
        question = Question.from_json(await request.body())
        accepted = question.policy(",".join(request.headers.getlist("cache-control")))
        policy = CachePolicy(tenant=tenant).within(accepted)
        answered = await _within_deadline(question, policy, request.scope.get("aws.context"))
    except Problem as problem:
        cause = type(problem.__cause__).__name__
        logger.warning("no answer", extra={"code": problem.code, "cause": cause})
        return problem.response()
    told = cache_status.body(answered.report, policy)
    logger.info("answered", extra={"cache": told, "usage": answered.usage})
    return JSONResponse(
        {"answer": answered.text, "cache": told, "usage": answered.usage},
        headers=cache_status.headers(answered.report, policy),
    )


async def _within_deadline(question: Question, policy: CachePolicy, context: object) -> Answer:
    """Run the blocking model call in a thread, and give up on it while there is time to say so."""
    remaining = getattr(context, "get_remaining_time_in_millis", None)
    seconds = remaining() / 1000 - RESERVE if remaining else None
    try:
        with anyio.fail_after(seconds):
            return await anyio.to_thread.run_sync(
                answer, question.prompt(), policy, context, abandon_on_cancel=True
            )
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
