"""HTTP: a question in, an answer out; the caller says how long it is kept, how old it may be."""

from __future__ import annotations

from aws_lambda_powertools import Logger
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from answering import answer_in_time
from problems import HANDLERS, Problem
from reading import read
from replies import body, respond
from service import health, openapi

logger = Logger()


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


ROUTES = [
    Route("/ask", ask, methods=["POST"]),
    Route("/health", health),
    Route("/openapi.json", openapi),
    # your own routes go here
]
app = Starlette(routes=ROUTES, exception_handlers=HANDLERS)
app.router.redirect_slashes = False  # it would redirect to whatever the Host header says
