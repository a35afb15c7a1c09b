"""What a caller gets of an answer."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

import cache_status
from llm_cache import CachePolicy, Report, Status


def reply(answered: dict[str, Any], report: Report, policy: CachePolicy) -> dict[str, Any]:
    """Return the body: the answer, what the cache did, and the tokens that this request took."""
    paid = not report.having(Status.HIT) and not report.having(Status.STALE)
    usage = {name: count if paid else 0 for name, count in answered["usage"].items()}
    return {
        "answer": answered["answer"],
        "cache": cache_status.body(report, policy),
        "usage": {**usage, "saved_tokens": report.tokens_saved},
    }


def conditional(request: Request, response: Response, answer: str) -> Response:
    """Give the answer an ``ETag``, and return 304 without it to who has it (RFC 9110, 13.1.2).

    Of a POST, too: it changes nothing that a caller could see, so it is asked and not told.
    """
    tag = f'"{hashlib.sha256(answer.encode()).hexdigest()[:32]}"'
    response.headers["ETag"] = tag
    given = ",".join(request.headers.getlist("if-none-match")).split(",")
    if not {tag, "*"} & {one.strip().removeprefix("W/") for one in given}:
        return response
    kept = {name: response.headers[name] for name in KEPT if name in response.headers}
    return Response(status_code=304, headers=kept)


KEPT = ("ETag", "Cache-Status", "Age")
