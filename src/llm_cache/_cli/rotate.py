"""``llm-cache rotate``."""

from __future__ import annotations

import os

from llm_cache._cli import options
from llm_cache._cli.output import Output
from llm_cache._stack import terminal
from llm_cache._stack.stack_access import StackAccess
from llm_cache._stack.stack_secrets import StackSecrets


def rotate(*, stack: options.RequiredStack, json: options.Json = False) -> int:
    """Rotate the token: replace the URL and the tokens of Upstash that a stack reads from SSM.

    A terminal asks for them, hidden. Without one they are read from UPSTASH_REDIS_REST_URL,
    UPSTASH_REDIS_REST_TOKEN and UPSTASH_FLUSH_TOKEN. Nothing is stored unless Upstash accepts
    them. The functions need no deployment: they read SSM again when Upstash refuses the old token.
    """
    access = StackAccess.open(stack)
    asks = terminal.interactive()
    stored = StackSecrets(
        access.client("ssm"),
        access.stack.parameters,
        {} if asks else os.environ,
        terminal.ask_secret if asks else None,
    ).replace()
    text = "\n".join(f"stored {name} in SSM as a SecureString" for name in stored)
    Output(json).show({"stored": stored}, text)
    return 0
