"""From an HTTP request to what is asked, by whom, and what of the cache they accept."""

from __future__ import annotations

from starlette.requests import Request

from adapter import context_of, event_of
from answering import Asked
from defaults import defaults
from llm_cache import CachePolicy
from question import Question
from tenant import sharing, tenant_of

sharing(), defaults()  # a wrong setting fails here, at the start, and not a caller's request


async def read(request: Request) -> Asked:
    """Read a request; raise a ``Problem`` that says what is wrong with it."""
    tenant = tenant_of(event_of(request))
    question = Question.from_json(await request.body())
    accepted = question.policy(",".join(request.headers.getlist("cache-control")))
    policy = CachePolicy(tenant=tenant).within(accepted).within(defaults())
    streams = question.stream and not _whole(request)
    return Asked(question.request, policy, context_of(request), streams)


def _whole(request: Request) -> bool:
    """Whether an answer is told at once: Mangum's fronts stream nothing."""
    return "aws.event" in request.scope
