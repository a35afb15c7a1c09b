"""From an HTTP request to what is asked, by whom, and what of the cache they accept."""

from __future__ import annotations

from starlette.requests import Request

from answering import Asked
from defaults import defaults
from llm_cache import CachePolicy
from question import Question
from tenant import sharing, tenant_of

sharing(), defaults()  # a wrong setting fails here, at the start, and not a caller's request


async def read(request: Request) -> Asked:
    """Read a request; raise a ``Problem`` that says what is wrong with it."""
    tenant = tenant_of(request.scope.get("aws.event"))  # of Mangum: no other server has one
    question = Question.from_json(await request.body())
    accepted = question.policy(",".join(request.headers.getlist("cache-control")))
    policy = CachePolicy(tenant=tenant).within(accepted).within(defaults())
    return Asked(question.request, policy, request.scope.get("aws.context"))
