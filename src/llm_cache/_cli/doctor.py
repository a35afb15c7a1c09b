"""``llm-cache doctor``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer
from rich.text import Text

from llm_cache._cli import options
from llm_cache._cli.connection import Connection
from llm_cache._cli.failures import ExitCode
from llm_cache._cli.output import Output
from llm_cache._config.cache_config import NAMESPACE
from llm_cache._doctor.finding import Finding, State
from llm_cache._errors import InvalidSettings

Acl = Annotated[
    bool,
    typer.Option("--acl", help="Only print the Redis users with the least rights; check nothing."),
]
SYMBOLS = {
    State.OK: ("✓", "ok", "green"),
    State.FAILED: ("✗", "FAILED", "red"),
    State.UNKNOWN: ("-", "-", "yellow"),
}


def doctor(
    *,
    acl: Acl = False,
    namespace: options.Namespace = None,
    stack: options.Stack = None,
    json: options.Json = False,
) -> int:
    """Find what is wrong (token, rights, URL, full database, clock), and name the fix.

    One line a check. Exits with 1 if a check failed. It leaves nothing in the database, and takes
    seconds at any size.
    """
    output = Output(json)
    if acl:
        return _print_users(output, stack=stack, namespace=namespace)
    from llm_cache._doctor.examination import examine

    code = ExitCode.DONE
    for finding in examine(os.environ, namespace=namespace, stack=stack):
        output.show(finding._asdict(), line(finding))
        if finding.state is State.FAILED:
            code = ExitCode.NO
    return code


def line(finding: Finding, encoding: str | None = None) -> Text:
    """Return the line of a finding, with only the characters of the output's encoding."""
    encoding = encoding or sys.stdout.encoding or "utf-8"
    symbol, ascii_symbol, color = SYMBOLS[finding.state]
    try:
        symbol.encode(encoding)
    except UnicodeEncodeError:
        symbol = ascii_symbol
    remedy = f". Fix: {finding.remedy}" if finding.remedy else ""
    text = f" {finding.check}: {finding.text}{remedy}"
    return Text.assemble((symbol, color), text.encode(encoding, "replace").decode(encoding))


def _print_users(output: Output, *, stack: str | None, namespace: str | None) -> int:
    from llm_cache._doctor.roles import ROLES, acl_block

    name = namespace or _namespace_of(stack)
    users = {role.user: role.acl(name).splitlines() for role in ROLES}
    output.show({"namespace": name, "users": users}, acl_block(name))
    return ExitCode.DONE


def _namespace_of(stack: str | None) -> str:
    if stack:
        return Connection.open(stack=stack, namespace=None).config.keyspace.prefix
    if name := os.environ.get(NAMESPACE, "").strip():
        return name
    raise InvalidSettings(NAMESPACE, None, "a namespace; or use --namespace or --stack")
