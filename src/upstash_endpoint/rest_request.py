"""Read Redis commands from the forms of a REST request.

See https://upstash.com/docs/redis/features/restapi: a JSON array in the body, a path, a path whose
last argument is the body, `/pipeline`, `/multi-exec`, and the paths that stream events.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NoReturn, TypeAlias
from urllib.parse import unquote_to_bytes

from upstash_endpoint.refused import Refused

Command: TypeAlias = list[bytes]

_EVENTS = frozenset((b"SUBSCRIBE", b"PSUBSCRIBE", b"MONITOR"))


class RequestForm(Enum):
    """The kind of a request."""

    COMMAND = auto()
    PIPELINE = auto()
    TRANSACTION = auto()
    EVENTS = auto()


@dataclass(frozen=True, slots=True)
class RestRequest:
    """The commands of one request; only a pipeline may contain an empty command."""

    form: RequestForm
    commands: list[Command]


def read_request(path: bytes, query: bytes, body: bytes) -> RestRequest:
    """Read a request from its undecoded path; raise Refused if it has no valid form."""
    if path in {b"", b"/"}:
        return RestRequest(RequestForm.COMMAND, [_not_empty(_command(_json(body, "command")))])
    if path == b"/pipeline":
        return RestRequest(RequestForm.PIPELINE, _batch(body))
    if path == b"/multi-exec":
        return RestRequest(
            RequestForm.TRANSACTION, [_not_empty(command) for command in _batch(body)]
        )
    command = _path_command(path)
    if command[0].upper() in _EVENTS:  # Upstash's own client sends an empty array as body
        return RestRequest(RequestForm.EVENTS, [command])
    command += [body] if body else []
    for key, value in read_query(query):
        if key != b"_token":
            command += [key, value] if value else [key]
    return RestRequest(RequestForm.COMMAND, [command])


def read_query(query: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the parameters of a query string; a missing value is empty."""
    for part in query.split(b"&") if query else ():
        key, _, value = part.replace(b"+", b" ").partition(b"=")
        yield unquote_to_bytes(key), unquote_to_bytes(value)


def _path_command(path: bytes) -> Command:
    # A trailing slash is no argument; every other empty segment is an empty argument.
    return [unquote_to_bytes(part) for part in path[1:].removesuffix(b"/").split(b"/")]


def _batch(body: bytes) -> list[Command]:
    rows = _json(body, "pipeline request")
    if not isinstance(rows, list):
        raise Refused("ERR failed to parse pipeline request: expected JSON array")
    if not rows:
        raise Refused("ERR empty pipeline request")
    return [_command(row) for row in rows]


def _command(row: object) -> Command:
    if not isinstance(row, list):
        raise Refused("ERR failed to parse command: expected JSON array")
    return [_argument(item) for item in row]


def _not_empty(command: Command) -> Command:
    if not command:
        raise Refused("ERR empty command")
    return command


def _argument(item: object) -> bytes:
    # Numbers are strings already, as the client wrote them.
    if isinstance(item, bool):
        return b"true" if item else b"false"
    if isinstance(item, str):
        return _utf8(item)
    if item is None:
        raise Refused("ERR null args are not supported")
    bracket = "[" if isinstance(item, list) else "{"
    raise Refused(f'ERR unsupported arg type: "{bracket}": json.Delim')


def _json(body: bytes, what: str) -> object:
    try:
        text = body.decode("utf-8", "replace")
        # int and float would change 1e3 to 1000.0 and 1.10 to 1.1.
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(f"ERR failed to parse {what}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half a surrogate pair becomes U+FFFD, as in Go
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
