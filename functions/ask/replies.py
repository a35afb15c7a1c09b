"""What a caller gets of an answer."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import cache_status
from answering import Answered, Asked
from llm_cache import Status


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

    304 without the body to who has the answer (RFC 9110, 13.1.2). Of a POST, too: it changes
    nothing that a caller could see, so it is asked and not told.
    """
    headers = cache_status.headers(answered.report, asked.policy)
    tag = f'"{hashlib.sha256(told["answer"].encode()).hexdigest()[:32]}"'
    response = JSONResponse(told, headers={**headers, "ETag": tag})
    given = ",".join(request.headers.getlist("if-none-match")).split(",")
    if not {tag, "*"} & {one.strip().removeprefix("W/") for one in given}:
        return response
    kept = {name: response.headers[name] for name in KEPT if name in response.headers}
    return Response(status_code=304, headers=kept)


KEPT = ("ETag", "Cache-Status", "Age")
