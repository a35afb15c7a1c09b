"""The published client's commands and replies, over connections of our own.

``upstash-redis`` 1.8 waits for ever on a silent server, sleeps three seconds before its one retry,
drops an idle connection after five seconds, and posts by httpx, which costs a request more than all
else together. So its functions format the commands and read the replies, and this package posts.
This is the only module that imports it.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from upstash_redis import Redis
from upstash_redis.errors import UpstashError
from upstash_redis.format import cast_response
from upstash_redis.http import format_response, make_headers

from llm_cache._errors import (
    InvalidSettings,
    LlmCacheError,
    QuotaExceeded,
    StoreError,
    StoreGarbled,
    StoreRefused,
    StoreTimeout,
    StoreUnavailable,
)
from llm_cache._protocol.effects import CommandArgs
from llm_cache._upstash.asynchronous import PerLoop
from llm_cache._upstash.blocking import Connections
from llm_cache._upstash.connecting import Origin
from llm_cache._upstash.credentials import Credentials
from llm_cache._upstash.http_exchange import Dropped, Reply, Request
from llm_cache._upstash.trust import trusted

_THROTTLED = 429  # RFC 6585
_SYNC = "Upstash-Sync-Token"


def credentials_of(redis_: object) -> Credentials:
    """Return where a client of the caller's leads to; the client is left as it is."""
    if not isinstance(redis_, Redis):
        kind = type(redis_).__qualname__
        accepted = "an upstash_redis.Redis; it serves the asynchronous methods too"
        raise InvalidSettings("redis_", kind, accepted)
    token = redis_._headers["Authorization"].removeprefix("Bearer ")
    return Credentials(redis_._url, token, names=("the URL of redis_", "the token of redis_"))


class Client:
    """Sends commands to one Upstash database. Threads and event loops may share it."""

    def __init__(self, at: Credentials) -> None:
        origin = Origin.of(at.url)
        if origin.secure:
            trusted()  # loaded here, so that no command's time includes it
        headers = make_headers(at.token, "base64", allow_telemetry=False)
        headers["Content-Type"] = "application/json"
        self._request = Request("POST", origin.target, origin.authority, headers)
        self._blocking, self._asynchronous = Connections(origin), PerLoop(origin)
        self._sync_token = ""

    def execute(self, command: CommandArgs, until: float) -> Any:
        """Run a command and return its reply; raise ``StoreError``.

        ``until`` is in seconds of ``time.monotonic``. One request, and another, at once, when the
        connection of the first broke: it may have died while it was idle.
        """
        request = self._encoded(command)
        try:
            reply = self._blocking.send(request, until)
        except Dropped:
            reply = self._blocking.send(request, until)
            return _known(command, self._read(command, reply))
        return self._read(command, reply)

    async def aexecute(self, command: CommandArgs, until: float) -> Any:
        """Run a command as ``execute`` does; the caller cancels it at the deadline."""
        request = self._encoded(command)
        try:
            reply = await self._asynchronous.send(request, until)
        except Dropped:
            return _known(
                command, self._read(command, await self._asynchronous.send(request, until))
            )
        return self._read(command, reply)

    def _encoded(self, command: CommandArgs) -> bytes:
        token = self._sync_token
        return self._request.encode(
            _encode(command).encode(), f"{_SYNC}: {token}\r\n" if token else ""
        )

    def _read(self, command: CommandArgs, reply: Reply) -> Any:
        self._sync_token = reply.headers.get(_SYNC.lower(), self._sync_token)
        try:
            result = format_response(reply.json(), "base64")
            return cast_response([str(part) for part in command], result, None)
        except UpstashError as error:
            raise _refused(str(error), reply) from None
        except Exception as error:
            if reply.status == _THROTTLED:
                told = "Upstash takes no requests now (HTTP 429)"
                raise QuotaExceeded(told, reply.retry_after()) from error
            if isinstance(error, StoreGarbled):
                raise
            kind = type(error).__name__
            raise StoreGarbled(f"not an answer of Upstash ({kind})") from error


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def _known(command: CommandArgs, reply: Any) -> Any:
    """Return the reply to a command sent twice; raise where it does not say what the first did."""
    if command[0] == "UNLINK" and reply == 0:
        raise StoreUnavailable("the answer is gone; whether it was there is not known")
    return reply


_ARGUMENTS = re.compile(r'["\[{\n]')
_MAX_ERROR = 200  # characters of Redis's own words
# "max requests limit exceeded", "max daily request limit exceeded" and the like. Not the limits of
# one command ("max request size exceeded") nor of memory ("DB capacity quota exceeded"): a full
# database still serves hits. https://upstash.com/docs/redis/troubleshooting
_QUOTA = re.compile(
    r"(?![^.]*\bsize\b)[^.]*\b(requests?|commands?|connections?|bandwidth)\b[^.]*\bexceeded\b"
)


def _refused(told: str, reply: Reply) -> StoreRefused:
    """Return Upstash's words, up to where they may repeat what it was sent: an answer, say."""
    said = _ARGUMENTS.split(told, maxsplit=1)[0][:_MAX_ERROR].strip()
    if reply.status == _THROTTLED or _QUOTA.match(said):
        return QuotaExceeded(said, reply.retry_after())
    return StoreRefused(said)


def raise_as_store_error(error: Exception) -> NoReturn:
    """Raise the library's error for what a command raised; it holds no address and no value."""
    match error:
        case Dropped():
            raise StoreUnavailable(str(error)) from error
        case LlmCacheError():
            raise error
        case TimeoutError():
            raise StoreTimeout("no answer from Upstash in time") from error
        case UnicodeEncodeError():
            why = "the text of the command holds lone surrogates; replace them"
        case TypeError():
            why = "a command takes text and numbers only"
        case RuntimeError():
            why = "the event loop or the interpreter is shutting down; ask before it does"
        case _:
            why = "no fault of Upstash; see the cause, and report a bug"
    told = f"the request failed in this process: {why} ({type(error).__name__})"
    raise StoreError(told) from error
