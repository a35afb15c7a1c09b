"""Redis replies, written as the caller asked for them: JSON, JSON with base64, or RESP2."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from upstash_endpoint.commands import check_size
from upstash_endpoint.refused import Refused
from upstash_endpoint.resp import Failure, Reply, Status, Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

JSON_TYPE = "application/json"
RESP2_TYPE = "application/octet-stream"

Json: TypeAlias = "str | int | list[Json] | dict[str, Json] | None"


@dataclass(frozen=True, slots=True)
class Answer:
    """A response: status, body, and the type of the body."""

    status: int
    body: bytes
    media_type: str


@dataclass(frozen=True, slots=True)
class Format:
    """How the caller wants replies written."""

    resp2: bool = False
    base64: bool = False

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Format:
        """Read `Upstash-Response-Format` and `Upstash-Encoding`; raise Refused on a wrong one."""
        name = headers.get("upstash-response-format", "json").lower()
        encoded = headers.get("upstash-encoding", "").lower() == "base64"
        if name not in {"json", "resp2"}:
            raise Refused(f"ERR invalid Upstash-Response-Format: {name}")
        if name == "resp2" and encoded:
            raise Refused("ERR Upstash-Encoding is not permitted when the format is resp2")
        return cls(name == "resp2", encoded)

    def one(self, reply: Reply) -> Answer:
        """Answer one command: an error is HTTP 400."""
        check_size(len(reply.raw))
        status = 400 if isinstance(reply.value, Failure) else 200
        if self.resp2:
            return Answer(status, reply.raw, RESP2_TYPE)
        return json_answer(self._item(reply.value), status)

    def pipeline(self, replies: Sequence[Reply]) -> Answer:
        """Answer a pipeline: HTTP 200 whatever its commands came to."""
        within = [_within_limit(reply) for reply in replies]
        if self.resp2:
            return Answer(200, b"".join(reply.raw for reply in within), RESP2_TYPE)
        return json_answer([self._item(reply.value) for reply in within])

    def transaction(self, executed: Reply) -> Answer:
        """Answer a transaction: its replies, or one error when it was discarded; always JSON."""
        if not isinstance(executed.value, list):
            return json_answer(self._item(executed.value), 400)
        return json_answer([self._item(value) for value in executed.value])

    def _item(self, value: Value) -> Json:
        if isinstance(value, Failure):
            return {"error": value.text}
        return {"result": self._json(value)}

    def _json(self, value: Value) -> Json:
        if isinstance(value, list):
            return [self._json(item) for item in value]
        if isinstance(value, bytes):
            plain = isinstance(value, Failure) or (isinstance(value, Status) and value == b"OK")
            if self.base64 and not plain:
                return base64.b64encode(value).decode()
            return value.decode("utf-8", "replace")
        return value


def json_answer(content: Json, status: int = 200) -> Answer:
    """Write a JSON response."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return Answer(status, text.encode(), JSON_TYPE)


def refusal(refused: Refused) -> Answer:
    """Write what the endpoint itself refuses."""
    return json_answer({"error": refused.text}, refused.status)


def _within_limit(reply: Reply) -> Reply:
    try:
        check_size(len(reply.raw))
    except Refused as refused:
        return Reply.failure(refused.text)
    return reply
