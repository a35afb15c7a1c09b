"""``llm-cache serve``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from llm_cache._cli import options
from llm_cache._cli.failures import ExitCode, failed
from llm_cache._cli.output import Output
from upstash_endpoint.children import PartFailed
from upstash_endpoint.defaults import PORT, TOKEN

if TYPE_CHECKING:
    from upstash_endpoint.serve import LocalDatabase

Port = Annotated[
    int | None,
    typer.Option(
        "--port", metavar="PORT", help=f"The port; {PORT} by default, or a free one if it is taken."
    ),
]
Token = Annotated[str, typer.Option("--token", metavar="TOKEN", help="The token of the database.")]


def serve(*, port: Port = None, token: Token = TOKEN, json: options.Json = False) -> int:
    """Run an Upstash database on this machine until Ctrl-C.

    Valkey with Upstash's REST API, on loopback, without an account. It is empty at the start; its
    data is in memory and ends with it. Prints the variables for another terminal.
    """
    try:
        from upstash_endpoint.serve import export_lines
        from upstash_endpoint.serve import serve as run
    except ModuleNotFoundError as missing:
        return failed(
            f"serve needs {missing.name}: pip install 'lambda-llm-cache[serve]'", ExitCode.USAGE
        )

    def ready(database: LocalDatabase) -> None:
        if port is None and database.moved:
            Output.warn(f"port {PORT} is taken, so this is another database on another port")
        print("The data is in memory. Ctrl-C ends it.", file=sys.stderr, flush=True)
        endpoint = database.endpoint
        tokens = {"token": endpoint.token, "read_only_token": endpoint.read_only_token}
        Output(json).show({"url": endpoint.url, **tokens}, export_lines(database.variables))

    try:
        run(port, token=token, ready=ready)
    except ValueError as error:
        return failed(error, ExitCode.USAGE)
    except PartFailed as error:
        return failed(error)
    return ExitCode.DONE
