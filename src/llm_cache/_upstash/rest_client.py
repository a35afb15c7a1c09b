"""Commands over Upstash's REST API: encode a command, send it, read its reply.

Functions of ``upstash-redis`` format the headers and read the replies; this package sends. The
client of ``upstash-redis`` 1.8 has no timeout, sleeps three seconds before its one retry, drops an
idle connection after five seconds, and sends by httpx, which costs more CPU than everything else in
a request. This is the only module that imports ``upstash_redis``.
"""

from __future__ import annotations

import json
import re
from typing import Any

from upstash_redis import Redis
from upstash_redis.errors import UpstashError
from upstash_redis.format import cast_response
from upstash_redis.http import format_response, make_headers

from llm_cache._errors import (
    InvalidSettings,
    QuotaExceeded,
    StoreGarbled,
    StoreRefused,
    StoreUnavailable,
)
from llm_cache._protocol.effects import CommandArgs
from llm_cache._upstash.async_pool import AsyncPools
from llm_cache._upstash.blocking_pool import BlockingPool
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.http_messages import (
    ConnectionDropped,
    HttpEndpoint,
    HttpReply,
    HttpRequest,
    invalid_reply,
)
from llm_cache._upstash.tls_trust import tls_context

_THROTTLED = 429  # RFC 6585
_SYNC = "Upstash-Sync-Token"
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def credentials_of(redis_: object) -> Credentials:
    """Return the credentials of a client that the caller made; the client is left unchanged."""
    if not isinstance(redis_, Redis):
        kind = type(redis_).__qualname__
        accepted = "an upstash_redis.Redis; it serves the asynchronous methods too"
        raise InvalidSettings("redis_", kind, accepted)
    token = redis_._headers["Authorization"].removeprefix("Bearer ")
    return Credentials(redis_._url, token, names=("the URL of redis_", "the token of redis_"))


class RestClient:
    """Sends commands to one Upstash database. Threads and event loops may share it."""

    def __init__(self, credentials: Credentials) -> None:
        endpoint = HttpEndpoint.of(credentials.url)
        if endpoint.secure:
            tls_context()  # loaded here, so that no command's time includes it
        headers = make_headers(credentials.token, "base64", allow_telemetry=False)
        headers["Content-Type"] = "application/json"
        self._request = HttpRequest("POST", endpoint.target, endpoint.authority, headers)
        self._blocking, self._asynchronous = BlockingPool(endpoint), AsyncPools(endpoint)
        self._sync_token = ""

    def execute(self, command: CommandArgs, deadline: float) -> Any:
        """Run a command and return its reply; raise ``StoreError``.

        ``deadline`` is in seconds of ``time.monotonic``. One request; a second one at once if the
        connection breaks, because it may have died while it was idle.
        """
        request = self._encoded(command)
        try:
            reply = self._blocking.send(request, deadline)
        except ConnectionDropped:
            reply = self._blocking.send(request, deadline)
            return _check_repeated(command, self._read(command, reply))
        return self._read(command, reply)

    async def aexecute(self, command: CommandArgs, deadline: float) -> Any:
        """Run a command as ``execute`` does; the caller cancels it at the deadline."""
        request = self._encoded(command)
        try:
            reply = await self._asynchronous.send(request, deadline)
        except ConnectionDropped:
            reply = await self._asynchronous.send(request, deadline)
            return _check_repeated(command, self._read(command, reply))
        return self._read(command, reply)

    def _encoded(self, command: CommandArgs) -> bytes:
        token = self._sync_token
        return self._request.encode(
            _encode(command).encode(), f"{_SYNC}: {token}\r\n" if token else ""
        )

    def _read(self, command: CommandArgs, reply: HttpReply) -> Any:
        self._sync_token = reply.headers.get(_SYNC.lower(), self._sync_token)
        return read_reply(command, reply)


def read_reply(command: CommandArgs, reply: HttpReply) -> Any:
    """Return the result of ``command`` in a reply.

    Raises ``StoreRefused`` for an error of Redis, ``QuotaExceeded`` for HTTP 429 and a used-up
    quota, and ``StoreGarbled`` for a body that is not Upstash's.
    """
    try:
        result = format_response(reply.json(), "base64")
        return cast_response([str(part) for part in command], result, None)
    except UpstashError as error:
        raise _refusal(str(error), reply) from None
    except Exception as error:
        if reply.status == _THROTTLED:
            text = "Upstash refuses requests for a while (HTTP 429)"
            raise QuotaExceeded(text, reply.retry_after()) from error
        if isinstance(error, StoreGarbled):
            raise
        raise invalid_reply(type(error).__name__) from error


def _check_repeated(command: CommandArgs, result: Any) -> Any:
    """Return the result of a command that was sent twice; raise if the first try may have run."""
    if command[0] == "UNLINK" and result == 0:
        text = "the entry is deleted; whether it existed is unknown, because a reply was lost"
        raise StoreUnavailable(text)
    return result


_ARGUMENTS = re.compile(r'["\[{\n]')
_MAX_ERROR = 200  # characters of an error of Redis
# "max requests limit exceeded", "max daily request limit exceeded" and the like. Not the limits of
# one command ("max request size exceeded") nor of memory ("DB capacity quota exceeded"): a full
# database still serves hits. https://upstash.com/docs/redis/troubleshooting
_QUOTA = re.compile(
    r"(?![^.]*\bsize\b)[^.]*\b(requests?|commands?|connections?|bandwidth)\b[^.]*\bexceeded\b"
)


def _refusal(error: str, reply: HttpReply) -> StoreRefused:
    """Return the error of Redis, cut where it may repeat arguments: they may hold an answer."""
    text = _ARGUMENTS.split(error, maxsplit=1)[0][:_MAX_ERROR].strip()
    if reply.status == _THROTTLED or _QUOTA.match(text):
        return QuotaExceeded(text, reply.retry_after())
    return StoreRefused(text)
