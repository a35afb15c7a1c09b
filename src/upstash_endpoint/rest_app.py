"""The ASGI application that answers Upstash's REST protocol."""

import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send

from upstash_endpoint.connection_pool import ConnectionPool
from upstash_endpoint.event_stream import EventStream
from upstash_endpoint.execution import Execution
from upstash_endpoint.meter import Meter
from upstash_endpoint.refused import Refused
from upstash_endpoint.resp import RedisError
from upstash_endpoint.response_format import FormattedReply, ResponseFormat, refusal
from upstash_endpoint.rest_request import RequestForm, RestRequest, read_query, read_request
from upstash_endpoint.token_users import DatabaseAccess, TokenUsers

METHODS = ("HEAD", "GET", "POST", "PUT")
MAX_BODY_BYTES = 64 * 1024 * 1024
"""A limit on memory: Upstash limits each command of a pipeline, not the pipeline."""


def create_app(access: DatabaseAccess, meter: Meter) -> Starlette:
    """Return the application in front of a Redis server."""
    users = TokenUsers(access)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        users.close()

    return Starlette(routes=[Mount("/", RestApp(users, meter))], lifespan=lifespan)


class RestApp:
    """Answers the requests of every path."""

    def __init__(self, users: TokenUsers, meter: Meter) -> None:
        self._users = users
        self._meter = meter
        self._instance = secrets.token_urlsafe(6)
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
        # Read-your-writes clients return it; it changes with every reply.
        response.headers["Upstash-Sync-Token"] = f"{self._instance}.{next(self._replies)}"
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        scope = request.scope
        body = b""
        try:
            if request.method not in METHODS:
                raise Refused("ERR method not allowed", status=405)
            pool = self._users.pool(_token(request))
            format_ = ResponseFormat.of(request.headers)
            body = await _body(request)
        finally:
            target = len(scope["raw_path"]) + len(scope["query_string"])
            self._meter.request(scope["client"], target + len(body))
        rest = read_request(scope["raw_path"], scope["query_string"], body)
        if rest.form is RequestForm.EVENTS:
            return await self._listen(pool, rest, format_)
        return self._respond(await self._run(pool, rest, format_))

    async def _run(
        self, pool: ConnectionPool, rest: RestRequest, format_: ResponseFormat
    ) -> FormattedReply:
        execution = Execution(self._users, pool, self._meter.command)
        if rest.form is RequestForm.PIPELINE:
            return format_.pipeline(await execution.pipeline(rest.commands))
        if rest.form is RequestForm.TRANSACTION:
            return format_.transaction(await execution.transaction(rest.commands))
        return format_.one(await execution.one(rest.commands[0]))

    async def _listen(
        self, pool: ConnectionPool, rest: RestRequest, format_: ResponseFormat
    ) -> Response:
        self._meter.command(rest.commands[0])
        events = await EventStream.open(pool, rest.commands[0])
        if isinstance(events.first.value, RedisError):
            return self._respond(format_.one(events.first))
        headers = {"Cache-Control": "no-cache"}
        return StreamingResponse(events.stream(), headers=headers, media_type="text/event-stream")

    def _respond(self, answer: FormattedReply) -> Response:
        self._meter.response(len(answer.body))
        return Response(answer.body, answer.status, media_type=answer.media_type)


def _token(request: Request) -> str:
    query = dict(read_query(request.scope["query_string"]))
    if token := query.get(b"_token"):
        return token.decode("utf-8", "replace")
    scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else scheme


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise Refused(f"ERR max request size exceeded. Limit: {MAX_BODY_BYTES} bytes", 413)
    return bytes(body)
