"""Ask the function as Lambda does."""

import asyncio
import base64
import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import httpx
from starlette.types import Receive, Scope, Send
from tests.functions.bedrock import Bedrock
from tests.functions.events import Context, function_url
from tests.wait_log import logged_waits

import answer
import ask
import identity
import middleware
import web
from bedrock import model
from llm_cache import InvalidSettings
from upstash_endpoint.children import wait_until

QUESTION = {"question": "What is the capital of France?"}


@dataclass
class Reply:
    """What a caller gets; ``body`` is JSON."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def cache(self) -> str:
        """What the cache did."""
        status: str = self.body["cache"]["status"]
        return status


def cold() -> None:
    """Forget what a warm environment keeps, but for the model's client: making it takes long."""
    model.answers.cache_clear()
    if model.model.cache_info().currsize:
        with suppress(InvalidSettings):
            model.model().cache = model.answers()
    for setting in (
        identity.sharing,
        answer.default_policy,
        middleware.prefix,
        middleware.origins,
        answer.response_cache,
    ):
        setting.cache_clear()
    web.app.middleware_stack = None


def call(
    body: object = None,
    *,
    method: str = "POST",
    path: str = "/ask",
    seconds: float = 60,
    iam: object = None,
    **headers: str,
) -> Reply:
    """Send a request, and wait for its reply."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return handle(function_url(method, path, body, named, iam), seconds)


def handle(event: dict[str, Any], seconds: float = 60) -> Reply:
    """Hand over an event, and read the reply."""
    reply: Any = ask.handler(event, cast(Any, Context(seconds)))
    text = reply["body"] if "OPTIONS" not in str(event) else ""  # of a preflight, no JSON
    body = json.loads(text) if text else None
    lists = reply.get("multiValueHeaders") or {}  # of a load balancer, where it wants them so
    headers = {name: ", ".join(values) for name, values in lists.items()}
    return Reply(reply["statusCode"], body, headers | reply.get("headers", {}))


async def at_once(model: Bedrock, events: Sequence[dict[str, Any]], calls: int) -> list[Any]:
    """Send questions together while the model holds its answers back."""
    model.hold = threading.Event()
    with logged_waits() as waits:
        asked = asyncio.gather(*(_post(event) for event in events))
        await asyncio.to_thread(
            wait_until, lambda: len(model.requests) >= calls, seconds=60, what="the calls"
        )
        await asyncio.to_thread(waits.until, len(events) - calls)
        model.hold.set()
        return list(await asked)


async def _post(event: dict[str, Any]) -> httpx.Response:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await web.app({**scope, "aws.event": event}, receive, send)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ask") as client:
        content, headers = base64.b64decode(event["body"]), event["headers"]
        return await client.post("/ask", content=content, headers=headers)
