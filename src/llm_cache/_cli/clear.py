"""``llm-cache clear``."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from llm_cache._admin.namespace import CacheNamespace
from llm_cache._cli import options
from llm_cache._cli.connection import Connection
from llm_cache._cli.failures import ExitCode, failed
from llm_cache._cli.output import Output
from llm_cache._cli.reclaim import Step, continuation, reclaiming, run_steps
from llm_cache._cli.scanning import SECONDS
from llm_cache._entries.keys import random_token
from llm_cache._errors import InvalidPolicy, InvalidSettings
from llm_cache._protocol import clearing
from llm_cache._protocol.clearing import Reclaimed
from llm_cache._protocol.redis_commands import mget
from llm_cache._stack import terminal

Reclaim = Annotated[
    float,
    typer.Option(
        "--reclaim", metavar="SECONDS", min=0, help="Then free their memory, for at most SECONDS."
    ),
]
Database = Annotated[
    bool,
    typer.Option(
        "--database", help="Delete every key of the database, also of other programs (FLUSHDB)."
    ),
]


def clear(
    *,
    tag: options.Tag = None,
    tenant: options.Tenant = None,
    database: Database = False,
    reclaim: Reclaim = 0,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    namespace: options.Namespace = None,
    stack: options.Stack = None,
    json: options.Json = False,
) -> int:
    """Clear a tenant, a tag or the whole namespace: their answers become misses.

    One command, instant at any size; it works on a full database. It asks before it clears a whole
    namespace or database.
    """
    connection, output = Connection.open(stack=stack, namespace=namespace), Output(json)
    if database:
        return _flush_database(connection, output, tag or tenant, yes=yes)
    target = connection.namespace
    what = _describe(target.name, tag, tenant)
    fields = {"namespace": target.name, "tag": tag, "tenant": tenant, "cleared": not dry_run}
    if dry_run:
        action = f"dry run: a clear of {what} would let reclaim free"
        preview, again = _preview(target, tag, tenant), "more time: --reclaim SECONDS; stopped at"
        seconds = reclaim or SECONDS
        return run_steps(preview, output, action, again, seconds=seconds, fields=fields)
    whole = tag is None and tenant is None
    if whole and not confirm(f"Clear every answer of {what}?", yes=yes):
        return failed("nothing was cleared", ExitCode.NO)
    fields["known"] = known = _is_known(connection, tag, tenant)
    target.clear(tag, tenant=tenant)
    if not known:
        output.warn(f"no answer was ever stored under {what}; check the name")
    if reclaim:
        action, again = f"cleared {what}; reclaimed", continuation(connection)
        return run_steps(reclaiming(target), output, action, again, seconds=reclaim, fields=fields)
    output.show(fields, f"cleared {what}")
    return 0


def _describe(namespace: str, tag: str | None, tenant: str | None) -> str:
    names = [f"{kind} {name} of " for kind, name in (("tag", tag), ("tenant", tenant)) if name]
    return "".join(names) + namespace


def confirm(question: str, *, yes: bool) -> bool:
    """Ask at the terminal, unless ``yes``; raise ``InvalidSettings`` without a terminal."""
    if not yes and not terminal.interactive():
        raise InvalidSettings("--yes", None, f"required without a terminal to ask: {question}")
    return yes or terminal.confirm(question)


def _is_known(connection: Connection, tag: str | None, tenant: str | None) -> bool:
    """Return whether an answer was ever stored under the name. One command."""
    key = clearing.epoch_of(connection.keys_for(tag, tenant), tag, tenant)
    (epoch,) = connection.run(iter(mget(key)))
    return epoch is not None


def _preview(target: CacheNamespace, tag: str | None, tenant: str | None) -> Step:
    def step(cursor: str, seconds: float) -> Reclaimed:
        return target.preview(tag, tenant=tenant, seconds=seconds, cursor=cursor)

    return step


def _flush_database(connection: Connection, output: Output, name: str | None, *, yes: bool) -> int:
    if name:
        raise InvalidPolicy("--database", name, "no --tag and no --tenant beside it", withheld=True)
    if not confirm("Delete every key of the database, also of other programs?", yes=yes):
        return failed("nothing was deleted", ExitCode.NO)
    keys = connection.config.keyspace
    connection.run(
        clearing.flush_database(keys, token=random_token(), now=time.time(), asynchronous=True)
    )
    output.show({"database": True, "cleared": True}, "deleted every key of the database")
    return 0
