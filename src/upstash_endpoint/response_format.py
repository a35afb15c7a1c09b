"""Format Redis replies as the client requests: JSON, JSON with base64, or RESP2."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, TypeAlias

from upstash_endpoint.allowed_commands import check_size
from upstash_endpoint.refused import Refused
from upstash_endpoint.resp import RedisError, RedisReply, SimpleString, Value

JSON_TYPE = "application/json"
RESP2_TYPE = "application/octet-stream"

Json: TypeAlias = "str | int | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class FormattedReply:
    """The status, the body and the media type of a response."""

    status: int
    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class ResponseFormat:
    """The format that a client requests."""

    resp2: bool = False
    base64: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Self:
        """Read `Upstash-Response-Format` and `Upstash-Encoding`; raise Refused if invalid."""
        name = headers.get("upstash-response-format", "json").lower()
        encoded = headers.get("upstash-encoding", "").lower() == "base64"
        if name not in {"json", "resp2"}:
            raise Refused(f"ERR invalid Upstash-Response-Format: {name}")
        if name == "resp2" and encoded:
            raise Refused("ERR Upstash-Encoding is not permitted when the format is resp2")
        return cls(name == "resp2", encoded)

    def one(self, reply: RedisReply) -> FormattedReply:
        """Format the reply to one command; the status of an error is 400."""
        check_size(len(reply.raw))
        status = 400 if isinstance(reply.value, RedisError) else 200
        if self.resp2:
            return FormattedReply(status, reply.raw, RESP2_TYPE)
        return json_answer(self._item(reply.value), status)

    def pipeline(self, replies: Sequence[RedisReply]) -> FormattedReply:
        """Format the replies to a pipeline; the status is always 200."""
        limited = [_limited(reply) for reply in replies]
        if self.resp2:
            return FormattedReply(200, b"".join(reply.raw for reply in limited), RESP2_TYPE)
        return json_answer([self._item(reply.value) for reply in limited])

    def transaction(self, executed: RedisReply) -> FormattedReply:
        """Format the replies to a transaction, or the error that discarded it; always JSON."""
        if not isinstance(executed.value, list):
            return json_answer(self._item(executed.value), 400)
        return json_answer([self._item(value) for value in executed.value])

    def _item(self, value: Value) -> Json:
        if isinstance(value, RedisError):
            return {"error": value.text}
        return {"result": self._json(value)}

    def _json(self, value: Value) -> Json:
        if isinstance(value, list):
            return [self._json(item) for item in value]
        if isinstance(value, bytes):
            plain = isinstance(value, RedisError) or (
                isinstance(value, SimpleString) and value == b"OK"
            )
            if self.base64 and not plain:
                return base64.b64encode(value).decode()
            return value.decode("utf-8", "replace")
        return value


def json_answer(content: Json, status: int = 200) -> FormattedReply:
    """Return a JSON response."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return FormattedReply(status, text.encode(), JSON_TYPE)


def refusal(refused: Refused) -> FormattedReply:
    """Return the response to a refused request."""
    return json_answer({"error": refused.text}, refused.status)


def _limited(reply: RedisReply) -> RedisReply:
    try:
        check_size(len(reply.raw))
    except Refused as refused:
        return RedisReply.error(refused.text)
    return reply
