"""``llm-cache why``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import typer

from llm_cache._cli import key_lines, options
from llm_cache._cli.connection import Connection
from llm_cache._cli.failures import ExitCode
from llm_cache._cli.formats import duration
from llm_cache._cli.output import Output
from llm_cache._errors import UnreadableEntry
from llm_cache._inspect.entry_pages import State
from llm_cache._inspect.one_entry import KeyState, fault_of, look_up, request_of
from llm_cache._protocol.lookup import Hit, Miss
from llm_cache._reasons import Reason

Tag = Annotated[
    str | None, typer.Option("--tag", metavar="NAME", help="A tag of the lookup's policy.")
]
Tenant = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="The tenant of the lookup's policy.")
]


BY_HEAD = {
    State.LIVE: None,
    State.EXPIRED: Reason.EXPIRED,
    State.CLEARED: Reason.CLEARED,
    State.UNREADABLE: Reason.UNREADABLE,
}
"""What a lookup finds, as far as an entry's head tells."""


class Verdict(NamedTuple):
    """What a lookup finds: no ``reason`` for a hit; why an entry is unreadable."""

    reason: Reason | None
    fault: str = ""


def why(
    key: key_lines.Key,
    *,
    tag: Tag = None,
    tenant: Tenant = None,
    namespace: options.Namespace = None,
    stack: options.Stack = None,
    json: options.Json = False,
) -> int:
    """Tell what a lookup of KEY finds now, hit or miss, and why. It changes nothing.

    A policy with max_age, min_fresh or max_stale may decide otherwise. Exit code 0 for a hit, 1 for
    a miss.
    """
    connection, output = Connection.open(stack=stack, namespace=namespace), Output(json)
    found = key_lines.find(connection, key)
    verdict = _judge(connection, found, tag, tenant)
    names = key_lines.names_of(connection.keys, tag, tenant)
    text = key_lines.joined(_parts(found, verdict, key_lines.clears(found, names)))
    status = {"status": "miss" if verdict.reason else "hit", "why": verdict.reason}
    fault = {"fault": verdict.fault or None, "text": text}
    output.show({**status, **key_lines.as_json(found), **fault}, text)
    return ExitCode.NO if verdict.reason else ExitCode.DONE


def _judge(connection: Connection, found: KeyState, tag: str | None, tenant: str | None) -> Verdict:
    if found.text is None:
        return Verdict(Reason.UNKNOWN)
    if missing := key_lines.missing_key(connection, found):
        return Verdict(BY_HEAD[found.state or State.UNREADABLE], missing)
    protection = connection.protection
    try:
        request = request_of(connection.keys, found, protection=protection, tag=tag, tenant=tenant)
    except UnreadableEntry as error:
        return Verdict(error.reason, str(error))
    result: Hit[Any] | Miss[Any] = connection.run(look_up(request, found))
    if isinstance(result, Hit):
        return Verdict(None)
    return Verdict(result.reason, str(fault_of(request, found.text) or ""))


def _parts(found: KeyState, verdict: Verdict, clears: str) -> Iterator[str]:
    head, left = found.head, 0.0
    ttl = ""
    if head:
        left, ttl = head.created + head.ttl - found.now, f"TTL {duration(head.ttl)}"
    match verdict.reason:
        case None:
            yield f"hit: {key_lines.stored(found)}"
            yield f"{ttl}, {duration(left)} left"
            yield verdict.fault
            return
        case Reason.UNKNOWN:
            yield f"miss: {key_lines.joined(key_lines.absent(found))}"
            return
        case Reason.CLEARED:
            yield f"miss: cleared {clears}"
        case Reason.EXPIRED:
            yield f"miss: expired {duration(-left)} ago"
            yield f"kept for stale_if_error; {key_lines.expiry(found)}"
        case Reason.NOT_TAGGED:
            yield "miss: the entry lacks the tag or the tenant, so its clear would not reach it"
        case _:
            yield f"miss: {verdict.reason}: {verdict.fault}; the next lookup deletes it"
    yield key_lines.stored(found)
    yield ttl
    yield key_lines.lease(found)
