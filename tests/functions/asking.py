"""Invoke `ask` as Lambda does."""

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
SETTINGS = (
    *(identity.sharing, middleware.prefix, middleware.origins),
    *(answer.default_policy, answer.response_cache),
)


def question(**fields: object) -> dict[str, Any]:
    """Return the body of a question with more fields."""
    return {**QUESTION, **fields}


@dataclass
class Reply:
    """The reply of a front; ``body`` is parsed JSON."""

    status: int
    body: Any
    headers: dict[str, str]

    @property
    def cache(self) -> str:
        status: str = self.body["cache"]["status"]
        return status

    @property
    def error(self) -> dict[str, Any]:
        error: dict[str, Any] = self.body["error"]
        return error


def cold() -> None:
    """Forget what a warm environment keeps, except the model's client, which is slow to create."""
    model.answers.cache_clear()
    if model.model.cache_info().currsize:
        with suppress(InvalidSettings):
            model.model().cache = model.answers()
    for setting in SETTINGS:
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
    """Send a request through a Function URL."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return handle(function_url(method, path, body, named, iam), seconds)


def invoke(event: object, seconds: float = 60) -> Any:
    """Invoke the function, and return its result."""
    return ask.handler(cast(Any, event), cast(Any, Context(seconds)))


def handle(event: dict[str, Any], seconds: float = 60) -> Reply:
    """Invoke the function with a front's event, and parse the reply."""
    reply = invoke(event, seconds)
    text = reply["body"] if "OPTIONS" not in str(event) else ""  # a preflight's body is not JSON
    body = json.loads(text) if text else None
    lists = reply.get("multiValueHeaders") or {}
    headers = {name: ", ".join(values) for name, values in lists.items()}
    return Reply(reply["statusCode"], body, headers | reply.get("headers", {}))


async def at_once(model: Bedrock, events: Sequence[dict[str, Any]], calls: int) -> list[Any]:
    """Send concurrent requests while the model delays its answers, until it has so many calls."""
    model.hold = threading.Event()
    with logged_waits() as waits:
        sent = asyncio.gather(*(_post(event) for event in events))
        await asyncio.to_thread(
            wait_until, lambda: len(model.requests) >= calls, seconds=60, what="the calls"
        )
        await asyncio.to_thread(waits.until, len(events) - calls)
        model.hold.set()
        return [reply.json() | {"headers": reply.headers} for reply in await sent]


async def _post(event: dict[str, Any]) -> httpx.Response:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await web.app({**scope, "aws.event": event}, receive, send)

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://ask") as client:
        content, headers = base64.b64decode(event["body"]), event["headers"]
        return await client.post("/ask", content=content, headers=headers)
