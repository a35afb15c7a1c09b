"""The reply to a request that gets no answer."""

from __future__ import annotations

import json
from typing import Any

from starlette.responses import Response

MAX_TEXT = 300  # characters of each text in a reply: it may quote the caller
NO_STORE = "no-store"


class Problem(Exception):
    """A reply without an answer: HTTP status, stable code, and message.

    - ``details``: more fields of the reply
    - ``headers``: more headers of the response
    - ``cache``: what the cache did, for the log
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        headers: dict[str, str] | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.headers = dict(headers or {})
        self.details = details or {}
        self.cache: dict[str, Any] | None = None

    @property
    def logged(self) -> dict[str, Any]:
        """The fields of the log line; they hold nothing of the question."""
        cause = type(self.__cause__).__name__
        return {"code": self.code, "cause": cause, "cache": self.cache}

    @property
    def body(self) -> dict[str, Any]:
        """The body of the reply."""
        texts = {"code": self.code, "message": str(self), "field": self.field}
        error = {name: text[:MAX_TEXT] for name, text in texts.items() if text is not None}
        return {"error": {**error, **self.details}}

    def response(self) -> Response:
        """Return the HTTP response, which no cache may store."""
        headers = {"Cache-Control": NO_STORE, **self.headers}
        content = json.dumps(self.body)  # ASCII: a quoted lone surrogate has no form in UTF-8
        return Response(content, self.status, headers, media_type="application/json")


def invalid(field: str, message: str) -> Problem:
    """Return a 422 that names the field."""
    return Problem(422, "invalid", message, field=field)
