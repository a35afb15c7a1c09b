"""HTTP: a question in, an answer out; the caller says how long it is kept, how old it may be."""

from __future__ import annotations

from aws_lambda_powertools import Logger
from mangum import Mangum
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import cache_status
from answering import answer_in_time, under
from defaults import defaults
from direct import Direct
from llm_cache import CachePolicy
from problems import HANDLERS, Problem
from question import Question
from replies import conditional, reply
from service import health, openapi
from tenant import sharing, tenant_of

logger = Logger()
sharing(), defaults()  # a wrong setting fails here, at the start, and not a caller's request


async def ask(request: Request) -> Response:
    """Answer a question, from the cache if the caller accepts what is there."""
    context = request.scope.get("aws.context")
    try:
        tenant = tenant_of(request.scope.get("aws.event"))
        question = Question.from_json(await request.body())
        accepted = question.policy(",".join(request.headers.getlist("cache-control")))
        policy = CachePolicy(tenant=tenant).within(accepted).within(defaults())
        with under(policy, context) as report:
            answered = await answer_in_time(question.request, context)
    except Problem as problem:
        cause = type(problem.__cause__).__name__
        logger.warning("no answer", extra={"code": problem.code, "cause": cause})
        return problem.response()
    told = reply(answered, report, policy)
    logger.info("answered", extra={"cache": told["cache"], "usage": told["usage"]})
    headers = cache_status.headers(report, policy)
    return conditional(request, JSONResponse(told, headers=headers), told["answer"])


ROUTES = [
    Route("/ask", ask, methods=["POST"]),
    Route("/health", health),
    Route("/openapi.json", openapi),
    # your own routes go here
]
app = Starlette(routes=ROUTES, exception_handlers=HANDLERS)
app.router.redirect_slashes = False  # it would redirect to whatever the Host header says
handler = logger.inject_lambda_context(Mangum(app, lifespan="off", custom_handlers=[Direct]))
