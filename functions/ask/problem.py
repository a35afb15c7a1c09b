"""Why a request gets no answer, and what its caller is told."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

MAX_TEXT = 300  # characters of a reply's text: a caller's own words may be in it


class Problem(Exception):
    """A reply without an answer: its HTTP status, a stable code, and a message for people.

    ``details`` are further fields of the reply, ``headers`` further headers of the response, and
    ``cache`` is what the cache did, for the log.
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
        told = {"code": self.code, "message": str(self), "field": self.field}
        error = {name: text[:MAX_TEXT] for name, text in told.items() if text is not None}
        return {"error": {**error, **self.details}}

    def response(self) -> JSONResponse:
        """Return the HTTP response."""
        return JSONResponse(self.body, self.status, headers=self.headers)


def invalid(field: str, message: str) -> Problem:
    """Return a 422 that names the field."""
    return Problem(422, "invalid", message, field=field)
