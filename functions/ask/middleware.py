"""What applies to every route: the path prefix, CORS, and ``Cache-Control: no-store``."""

from __future__ import annotations

import os
import re
from functools import cache

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llm_cache import InvalidSettings
from problem import NO_STORE

PREFIX, ORIGINS = "PATH_PREFIX", "CORS_ORIGINS"
SIGNED = ("X-Amz-Content-Sha256", "X-Amz-Date", "X-Amz-Security-Token")


@cache
def prefix() -> str:
    """Return the stage or base path that the front puts before each path.

    Raises ``InvalidSettings``.
    """
    value = os.environ.get(PREFIX, "").strip()
    if not re.fullmatch(r"(/[\w.~-]+)*", value, re.ASCII):
        raise InvalidSettings(PREFIX, value, "a path such as /prod, without a slash at its end")
    return value


@cache
def origins() -> list[str]:
    """Return the origins whose pages may call the function; raise ``InvalidSettings``."""
    values = [one.strip() for one in os.environ.get(ORIGINS, "").split(",") if one.strip()]
    if values != ["*"] and not all(re.fullmatch(r"https?://[^/\s*,]+", one) for one in values):
        raise InvalidSettings(ORIGINS, ",".join(values), "* or origins such as https://example.com")
    return values


def route(path: str) -> str:
    """Return a path without the prefix and without a slash at its end."""
    if path == prefix() or path.startswith(f"{prefix()}/"):
        path = path.removeprefix(prefix())
    return path.removesuffix("/") or "/"


class FrontMiddleware:
    """Route by the path without its prefix, and forbid caches unless the response allows them.

    Adds CORS headers and answers preflights, except for a Function URL, where AWS does.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._cors = _cors(app) if origins() else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).setdefault("Cache-Control", NO_STORE)
            elif scope["method"] == "HEAD":  # RFC 9110, section 9.3.2
                message = {**message, "body": b""}
            await send(message)

        app = self._app if _from_function_url(scope) else self._cors
        return await app({**scope, "path": route(scope["path"])}, receive, send_changed)


def _cors(app: ASGIApp) -> ASGIApp:
    from starlette.middleware.cors import CORSMiddleware  # noqa: PLC0415  off by default

    return CORSMiddleware(
        app,
        allow_origins=origins(),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Cache-Control", "Content-Type", "If-None-Match", *SIGNED],
        expose_headers=["Age", "Cache-Status", "ETag", "Retry-After"],
    )


def _from_function_url(scope: Scope) -> bool:
    match scope.get("aws.event"):
        case {"requestContext": {"domainName": str() as name}}:
            return ".lambda-url." in name
    return False
