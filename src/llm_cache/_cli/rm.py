"""``llm-cache rm``."""

from __future__ import annotations

from typing import Annotated

import typer

from llm_cache._cli import options
from llm_cache._cli.connection import Connection
from llm_cache._cli.failures import ExitCode
from llm_cache._cli.output import Output
from llm_cache._protocol.clearing import delete, hash_in

Keys = Annotated[
    list[str],
    typer.Argument(metavar="KEY...", help="Keys of answers, or the 64 digits at their ends."),
]


def rm(
    keys: Keys,
    *,
    namespace: options.Namespace = None,
    stack: options.Stack = None,
    json: options.Json = False,
) -> int:
    """Delete one wrong answer, or several, by their keys. Exit code 1 if none of them existed.

    One command for each. The memory tier of a warm function serves an answer some seconds longer.
    """
    connection, output = Connection.open(stack=stack, namespace=namespace), Output(json)
    space = connection.config.keyspace
    hashes = [hash_in(space, key) for key in keys]  # a wrong one deletes nothing
    deleted = 0
    for hashed in hashes:
        existed, entry = connection.run(delete(space, hashed)), space.entry(hashed)
        deleted += existed
        output.show(
            {"key": entry, "deleted": existed}, f"{'deleted' if existed else 'no entry'} {entry}"
        )
    return ExitCode.DONE if deleted else ExitCode.NO
