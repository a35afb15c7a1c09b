"""``llm-cache show``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from llm_cache._cli import key_lines, options
from llm_cache._cli.connection import Connection
from llm_cache._cli.failures import ExitCode
from llm_cache._cli.formats import duration, printable, size, table
from llm_cache._cli.output import Output
from llm_cache._errors import UnreadableEntry
from llm_cache._inspect.entry_heads import Head
from llm_cache._inspect.one_entry import KeyState, request_of
from llm_cache._inspect.stored_answer import StoredAnswer, read_answer

Answer = Annotated[bool, typer.Option("--answer", help="Print the answer too.")]


def show(
    key: key_lines.Key,
    *,
    answer: Answer = False,
    namespace: options.Namespace = None,
    stack: options.Stack = None,
    json: options.Json = False,
) -> int:
    """Show what is stored under KEY: age, TTL, bytes, tokens, model; the answer with --answer.

    Exit code 1 if there is no entry, or if --answer cannot be read.
    """
    connection, output = Connection.open(stack=stack, namespace=namespace), Output(json)
    found = key_lines.find(connection, key)
    if found.text is None:
        output.show(key_lines.as_json(found), key_lines.joined(key_lines.absent(found)))
        return ExitCode.NO
    read, fault = _read(connection, found)
    fields = {**key_lines.as_json(found), "fault": fault or None, **_answer_fields(read, answer)}
    text = table(list(_rows(found, read, fault)))
    output.show(fields, f"{text}\n\n{printable(read.text)}" if answer and read else text)
    return ExitCode.NO if answer and fault else ExitCode.DONE


def _read(connection: Connection, found: KeyState) -> tuple[StoredAnswer | None, str]:
    """Return the answer, or why it cannot be read."""
    if missing := key_lines.missing_key(connection, found):
        return None, missing
    try:
        request = request_of(connection.keys, found, protection=connection.protection)
        return read_answer(request.decode(found.text)), ""
    except UnreadableEntry as error:
        return None, str(error)


def _answer_fields(read: StoredAnswer | None, answer: bool) -> dict[str, Any]:
    return {
        "tokens": read and read.tokens._asdict(),
        "model": read and read.model,
        **({"answer": read and read.value} if answer else {}),
    }


def _rows(found: KeyState, read: StoredAnswer | None, fault: str) -> Iterator[tuple[str, str]]:
    yield "key", found.key
    yield "state", _state(found)
    if found.head:
        yield "stored", key_lines.stored(found).removeprefix("stored ")
        yield "codec", _form(found.head)
        yield "tags", f"{len(found.head.epochs) - 1}, with the tenant"
    yield "TTL", _ttl(found)
    yield "bytes", size(len(found.text or ""))
    if read:
        tokens = read.tokens
        yield "tokens", f"{tokens.input} in, {tokens.output} out"
        yield "model", printable(read.model) if read.model else "not stored"
    else:
        yield "answer", f"cannot be read: {fault}"
    if found.lease:
        yield "lease", key_lines.lease(found)


def _state(found: KeyState) -> str:
    cleared = key_lines.clears(found, {})
    return f"{found.state} {cleared}" if cleared else f"{found.state}"


def _ttl(found: KeyState) -> str:
    if found.head is None:
        return key_lines.expiry(found)
    remaining = found.head.created + found.head.ttl - found.now
    left = f"{duration(found.head.ttl)}, {duration(remaining)} left"
    return f"{left}; {key_lines.expiry(found)}"


def _form(head: Head) -> str:
    compressed = ", compressed" if head.compressed else ""
    by = f" by key {head.key_id}" if head.key_id else ""
    return f"{head.codec}{compressed}, {head.protection}{by}"
