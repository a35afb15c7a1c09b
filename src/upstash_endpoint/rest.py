"""The forms of a request, read into Redis commands.

See https://upstash.com/docs/redis/features/restapi: a JSON array in the body, a path, a path whose
last argument is the body, `/pipeline`, `/multi-exec`, and the paths that stream events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, NoReturn, TypeAlias
from urllib.parse import unquote_to_bytes

from upstash_endpoint.refused import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

Command: TypeAlias = list[bytes]

_EVENTS = frozenset((b"SUBSCRIBE", b"PSUBSCRIBE", b"MONITOR"))


class Form(Enum):
    """What a request asks for."""

    COMMAND = auto()
    PIPELINE = auto()
    TRANSACTION = auto()
    EVENTS = auto()


@dataclass(frozen=True, slots=True)
class Call:
    """The commands of one request; an empty one only in a pipeline."""

    form: Form
    commands: list[Command]


def read_call(path: bytes, query: bytes, body: bytes) -> Call:
    """Read a request, given its path as sent; raise Refused when it has none of the forms."""
    if path in {b"", b"/"}:
        return Call(Form.COMMAND, [_not_empty(_command(_json(body, "command")))])
    if path == b"/pipeline":
        return Call(Form.PIPELINE, _batch(body))
    if path == b"/multi-exec":
        return Call(Form.TRANSACTION, [_not_empty(command) for command in _batch(body)])
    command = _path_command(path)
    if command[0].upper() in _EVENTS:  # Upstash's own client sends an empty array along
        return Call(Form.EVENTS, [command])
    command += [body] if body else []
    for key, value in read_query(query):
        if key != b"_token":
            command += [key, value] if value else [key]
    return Call(Form.COMMAND, [command])


def read_query(query: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the parameters of a query string; one without a value has an empty one."""
    for part in query.split(b"&") if query else ():
        key, _, value = part.replace(b"+", b" ").partition(b"=")
        yield unquote_to_bytes(key), unquote_to_bytes(value)


def _path_command(path: bytes) -> Command:
    # One slash at the end is no argument; any other empty segment is one.
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
    # bool first: it is an int, too. Numbers are strings here already, as the sender wrote them.
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
        # Not through int and float, which would turn 1e3 into 1000.0 and 1.10 into 1.1.
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Refused(f"ERR failed to parse {what}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: U+FFFD, as Go's JSON reader makes it
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
