"""``llm-cache ask``."""

from __future__ import annotations

import json as json_module
from typing import Annotated, Any

import typer

from llm_cache._cli import options
from llm_cache._cli.failures import failed
from llm_cache._cli.output import Output
from llm_cache._policy.modes import Mode
from llm_cache._stack.ask_call import AskCall
from llm_cache._stack.stack_access import StackAccess

HITS = ("hit", "collapsed", "stale")

Question = Annotated[str, typer.Argument(metavar="QUESTION", help="The question, in quotes.")]
Ttl = Annotated[
    float | None,
    typer.Option("--ttl", metavar="SECONDS", min=0, help="Store the answer for this time."),
]
HowToLook = Annotated[
    Mode | None,
    typer.Option(
        "--mode",
        help="refresh replaces a wrong answer; only_if_cached never calls the model.",
    ),
]


def ask(
    question: Question,
    *,
    stack: options.RequiredStack,
    ttl: Ttl = None,
    mode: HowToLook = None,
    json: options.Json = False,
) -> int:
    """Ask a deployed stack a question; print the answer, and whether it was a hit.

    Ask twice to see a hit. The model is called, and costs money, if the answer is not in the cache.
    """
    chosen = {"ttl": ttl, "mode": mode}
    policy = {name: value for name, value in chosen.items() if value is not None}
    body = {"question": question, **({"cache": policy} if policy else {})}
    call = AskCall.of(StackAccess.open(stack))
    reply = call.send(json_module.dumps(body).encode())
    if reply.failure:
        return failed(f"POST {call.url}: {reply.failure}")
    text = f"{reply.body.get('answer', '')}\n\n{describe(reply.cache)}"
    Output(json).show(reply.body, text)
    return 0


def describe(cache: dict[str, Any]) -> str:
    """Return one line about what the cache did: ``hit, 12 s old, 48 s left, key shop:…``."""
    status, why, key = cache.get("status", "unknown"), cache.get("why"), cache.get("key")
    if status in HITS:
        parts = [status, f"{cache.get('age') or 0} s old", f"{cache.get('ttl') or 0} s left"]
    elif cache.get("stored"):
        parts = [f"{status} ({why})" if why else status, f"stored for {cache.get('ttl')} s"]
    else:
        parts = [status, f"not stored ({why})" if why else "not stored"]
    return ", ".join([*parts, f"key {key}"] if key else parts)
