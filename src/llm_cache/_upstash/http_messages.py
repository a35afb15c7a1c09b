"""HTTP/1.1 messages: the endpoint that a URL names, a request as bytes, a complete reply."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from llm_cache._errors import StoreGarbled, StoreUnavailable
from llm_cache._version import __version__

MAX_VALUES = 100_000  # of JSON: text comes in base64, and the longest list is a page of keys
MAX_DIGITS = 15  # of a number
INFORMATIONAL, SUCCESS, REDIRECT = 1, 2, 3  # the first digit of a status
_MARKS = (b",", b"[", b"{")  # at least one precedes or begins each value


class ConnectionDropped(StoreUnavailable):
    """The server closed or reset the connection before the reply was complete."""


def invalid_reply(reason: str) -> StoreGarbled:
    """Return the error for bytes that are no reply of Upstash."""
    return StoreGarbled(f"not a reply of Upstash ({reason})")


class HttpEndpoint(NamedTuple):
    """The server that a URL names, and the request target on it."""

    host: str
    port: int
    secure: bool
    target: str

    @classmethod
    def of(cls, url: str) -> HttpEndpoint:
        """Return the endpoint of an ``http`` or ``https`` URL."""
        parts = urlsplit(url)
        secure = parts.scheme.lower() == "https"
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(parts.hostname or "", parts.port or (443 if secure else 80), secure, target)

    @property
    def address(self) -> str:
        """The host and the port, as ``CONNECT`` names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header: the host, and a port other than the scheme's own."""
        return self.address.removesuffix(":443" if self.secure else ":80")


class HttpRequest:
    """The part of a request that stays the same: method, target, and the fixed headers.

    ``headers`` must hold no line breaks; the callers check their values.
    """

    def __init__(self, method: str, target: str, host: str, headers: Mapping[str, str]) -> None:
        fixed = {"Host": host, "User-Agent": f"lambda-llm-cache/{__version__}", **headers}
        fixed["Accept-Encoding"] = "identity"  # a small compressed body could expand to a huge one
        lines = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
        self._head = f"{method} {target} HTTP/1.1\r\n{lines}".encode("latin-1")

    def encode(self, body: bytes = b"", headers: str = "") -> bytes:
        """Return the bytes to send; ``headers`` are further complete header lines."""
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        return b"".join((self._head, f"{headers}{length}\r\n".encode("latin-1"), body))


class HttpReply(NamedTuple):
    """A complete reply. Header names are in lower case.

    ``reusable``: whether the connection may carry another request.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    reusable: bool

    def json(self) -> Any:
        """Return the JSON value of the body; raise ``StoreGarbled`` if it holds none."""
        if self.status // 100 == REDIRECT:
            raise invalid_reply("a redirect, which is not followed: correct the URL")
        body = self.body
        if len(body) > MAX_VALUES < sum(body.count(mark) for mark in _MARKS):
            raise invalid_reply("too many values")
        try:
            return json.loads(body.decode())
        except (ValueError, RecursionError) as error:
            raise invalid_reply(type(error).__name__) from error

    def retry_after(self) -> float | None:
        """Return the seconds of ``Retry-After`` (RFC 9110, section 10.2.3); None without one."""
        value = self.headers.get("retry-after", "")
        if value.isascii() and value.isdigit():
            return float(value[:MAX_DIGITS])
        from email.utils import parsedate_to_datetime

        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, OverflowError):
            return None
