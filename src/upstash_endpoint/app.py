"""The endpoint as an ASGI application."""

from __future__ import annotations

import contextlib
import itertools
import secrets
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount

from upstash_endpoint.events import Events
from upstash_endpoint.execution import Execution
from upstash_endpoint.refused import Refused
from upstash_endpoint.replies import Answer, Format, refusal
from upstash_endpoint.resp import Failure
from upstash_endpoint.rest import Call, Form, read_call, read_query
from upstash_endpoint.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.types import Receive, Scope, Send

    from upstash_endpoint.meter import Meter
    from upstash_endpoint.pool import Pool
    from upstash_endpoint.tokens import Keyring

METHODS = ("HEAD", "GET", "POST", "PUT")
MAX_BODY_BYTES = 64 * 1024 * 1024
"""A bound on memory: Upstash limits each command of a pipeline, not the whole."""


def create_app(keyring: Keyring, meter: Meter) -> Starlette:
    """Build the endpoint in front of a Redis server."""
    tokens = Tokens(keyring)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        tokens.close()

    return Starlette(routes=[Mount("/", Endpoint(tokens, meter))], lifespan=lifespan)


class Endpoint:
    """Answers every path: the whole of it is the REST protocol."""

    def __init__(self, tokens: Tokens, meter: Meter) -> None:
        self._tokens = tokens
        self._meter = meter
        self._era = secrets.token_urlsafe(6)
        self._replies = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        except Refused as refused:
            response = self._respond(refusal(refused))
        except OSError as error:
            text = f"ERR the Redis server is unavailable: {error}"
            response = self._respond(refusal(Refused(text, status=503)))
        # Read-your-writes clients send it back; it changes with every reply.
        response.headers["Upstash-Sync-Token"] = f"{self._era}.{next(self._replies)}"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        scope = request.scope
        body = b""
        try:
            if request.method not in METHODS:
                raise Refused("ERR method not allowed", status=405)
            pool = self._tokens.pool(_token(request))
            format_ = Format.of(request.headers)
            body = await _body(request)
        finally:
            target = len(scope["raw_path"]) + len(scope["query_string"])
            self._meter.request(scope["client"], target + len(body))
        call = read_call(scope["raw_path"], scope["query_string"], body)
        if call.form is Form.EVENTS:
            return await self._listen(pool, call, format_)
        return self._respond(await self._run(pool, call, format_))

    async def _run(self, pool: Pool, call: Call, format_: Format) -> Answer:
        execution = Execution(self._tokens, pool, self._meter.command)
        if call.form is Form.PIPELINE:
            return format_.pipeline(await execution.pipeline(call.commands))
        if call.form is Form.TRANSACTION:
            return format_.transaction(await execution.transaction(call.commands))
        return format_.one(await execution.one(call.commands[0]))

    async def _listen(self, pool: Pool, call: Call, format_: Format) -> Response:
        self._meter.command(call.commands[0])
        events = await Events.open(pool, call.commands[0])
        if isinstance(events.first.value, Failure):
            return self._respond(format_.one(events.first))
        headers = {"Cache-Control": "no-cache"}
        return StreamingResponse(events.stream(), headers=headers, media_type="text/event-stream")

    def _respond(self, answer: Answer) -> Response:
        self._meter.response(len(answer.body))
        return Response(answer.body, answer.status, media_type=answer.media_type)


def _token(request: Request) -> str:
    query = dict(read_query(request.scope["query_string"]))
    if given := query.get(b"_token"):
        return given.decode("utf-8", "replace")
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else scheme


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused(f"ERR max request size exceeded. Limit: {MAX_BODY_BYTES} bytes", 413)
    return bytes(body)
