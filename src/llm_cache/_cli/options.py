"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import typer


def _cursor(value: str) -> str:
    if not (value.isascii() and value.isdigit()):
        raise typer.BadParameter(f"{value!r} is not a cursor that a command has printed")
    return value


Namespace: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--namespace", "-n", metavar="NAME", help="Use this namespace, not LLM_CACHE_NAMESPACE."
    ),
]
Stack: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--stack",
        "-s",
        metavar="NAME",
        envvar="LLM_CACHE_STACK",
        help="Use the database and the namespace of this stack in AWS.",
    ),
]
RequiredStack: TypeAlias = Annotated[
    str,
    typer.Option(
        "--stack",
        "-s",
        metavar="NAME",
        envvar="LLM_CACHE_STACK",
        help="The stack in AWS, as in `make deploy`.",
    ),
]
Json: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Tag: TypeAlias = Annotated[
    str | None, typer.Option("--tag", metavar="NAME", help="Only answers with this tag.")
]
Tenant: TypeAlias = Annotated[
    str | None, typer.Option("--tenant", metavar="NAME", help="Only answers of this tenant.")
]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
DryRun: TypeAlias = Annotated[
    bool, typer.Option("--dry-run", help="Change nothing; count the entries to free.")
]
Seconds: TypeAlias = Annotated[
    float, typer.Option("--seconds", metavar="SECONDS", min=0, help="Stop after this time.")
]
Cursor: TypeAlias = Annotated[
    str,
    typer.Option(
        "--cursor", metavar="CURSOR", callback=_cursor, help="Continue where a run has stopped."
    ),
]
