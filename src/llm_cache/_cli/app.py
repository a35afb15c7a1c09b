"""The commands of ``llm-cache``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from llm_cache._cli import (
    ask_question,
    clear,
    doctor,
    explain,
    ls,
    reclaim,
    rm,
    rotate,
    serve,
    show,
    stats,
    tail,
    warm,
    why,
)
from llm_cache._cli.failures import EXIT_CODES, reported
from llm_cache._version import __version__

HELP = f"""Operate a cache of model answers in Upstash Redis.

The database is that of --stack NAME, whose secrets are in SSM, or that of these variables:
UPSTASH_REDIS_REST_URL and UPSTASH_REDIS_REST_TOKEN, or LLM_CACHE_URL_PARAMETER and
LLM_CACHE_TOKEN_PARAMETER (names of SSM parameters); and LLM_CACHE_NAMESPACE.

The KEY of an answer is in the reply of `ask`, in its header Cache-Status, in the outcomes of a
report, and in the output of `llm-cache ls`.

Exit codes: {EXIT_CODES}.
"""

app = typer.Typer(
    help=HELP,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",  # joins the lines of a paragraph
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Accept the options before a command."""


CHECKING, INSPECTING, CLEARING = "Check", "Inspect", "Clear and delete"
STACK, LOCAL = "Use and watch a deployed stack", "This machine"
for _panel, _command in (
    (CHECKING, doctor.doctor),
    (INSPECTING, stats.stats),
    (INSPECTING, ls.ls),
    (INSPECTING, show.show),
    (INSPECTING, why.why),
    (INSPECTING, explain.explain),
    (STACK, ask_question.ask),
    (STACK, warm.warm),
    (STACK, tail.tail),
    (STACK, rotate.rotate),
    (CLEARING, clear.clear),
    (CLEARING, rm.rm),
    (CLEARING, reclaim.reclaim),
    (LOCAL, serve.serve),
):
    app.command(rich_help_panel=_panel)(reported(_command))


def run(arguments: Sequence[str] | None) -> int:
    """Run one command and return its exit code."""
    given = None if arguments is None else list(arguments)
    try:
        app(args=given, prog_name="llm-cache")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
