"""Why a request gets no answer, and what the caller is told of it."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

MAX_TEXT = 300  # characters of a reply that may be the caller's own, and so of any length


class Problem(Exception):
    """A reply that is no answer: its HTTP status, a stable code, and a message for people.

    ``details`` are further fields of the reply.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        retry_after: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.field = field
        self.retry_after = retry_after
        self.details = details or {}

    @property
    def logged(self) -> dict[str, str]:
        """What the log is told: nothing of what was asked."""
        return {"code": self.code, "cause": type(self.__cause__).__name__}

    @property
    def body(self) -> dict[str, Any]:
        """What the caller is told."""
        told = {"code": self.code, "message": str(self), "field": self.field}
        error = {name: text[:MAX_TEXT] for name, text in told.items() if text is not None}
        return {"error": {**error, **self.details}}

    def response(self) -> JSONResponse:
        """Return the reply, with ``Retry-After`` where it is known."""
        headers = {"Retry-After": self.retry_after} if self.retry_after else None
        return JSONResponse(self.body, self.status, headers=headers)


def invalid(field: str, message: str) -> Problem:
    """Return a 422 that names the field."""
    return Problem(422, "invalid", message, field=field)


async def http_error(_: Request, error: Exception) -> JSONResponse:
    """Tell of 404 and 405 in JSON, like everything else."""
    assert isinstance(error, HTTPException)  # noqa: S101  Starlette sends it nothing else
    response = Problem(error.status_code, "http", error.detail).response()
    response.headers.update(error.headers or {})
    return response


async def unexpected(_: Request, __: Exception) -> JSONResponse:
    """Tell nothing of the inside; Mangum logs it."""
    return Problem(500, "internal", "the request failed").response()


HANDLERS: dict[Any, Any] = {HTTPException: http_error, Exception: unexpected}
