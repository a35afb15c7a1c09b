"""The answer as the model makes it: server-sent events, where a server of one's own streams.

``data: {"text": …}`` for each part, as it comes; a stored answer is one part. At the end
``data: {"cache": …, "usage": …}``. What goes wrong after the first part is ``event: error``, with
the body that the plain reply would have had; before it, that is the reply.
"""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools import Logger
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.types import Send

from answering import Answered, Asked, in_time, only_if_cached, responses, under
from problems import Problem
from replies import body

logger = Logger()


class Streamed(StreamingResponse):
    """Asks while it is sent. A reader that leaves ends it, and what was not whole is not stored."""

    media_type = "text/event-stream"

    def __init__(self, request: Request, asked: Asked) -> None:
        super().__init__(())
        self._request = request
        self._asked = asked

    async def stream_response(self, send: Send) -> None:
        """Send the events, or a plain reply if nothing can be answered."""
        events = _Events(send, self.raw_headers)
        try:
            answered = await _answer(self._asked, events)
            told = body(self._asked, answered)
            logger.info("answered", extra={"cache": told["cache"], "usage": told["usage"]})
            await events.send({"cache": told["cache"], "usage": told["usage"]})
        except Problem as problem:
            logger.warning("no answer", extra=problem.logged)
            if not events.begun:
                await problem.response()(self._request.scope, self._request.receive, send)
                return
            await events.send(problem.body, event="error")
        await events.end()


async def _answer(asked: Asked, events: _Events) -> Answered:
    """Send each part of the answer; return the whole, which is stored as the plain reply's is."""
    with under(asked.policy, asked.context) as report, only_if_cached():
        if found := await responses().alookup(asked.request):
            await events.text(found["answer"])
            return Answered(found, report)
        from asking import stream_the_model  # noqa: PLC0415  here, since a hit does without

        try:
            with in_time(asked.context):
                response = await stream_the_model(asked.request, events.text)
        except Problem:
            spare = None if events.begun else report.stand_in()
            if spare is None:
                raise
            await events.text(spare[1]["answer"])
            return Answered(spare[1], report)
        await responses().aupdate(asked.request, response)
        return Answered(response, report)


class _Events:
    """Events on their way out; nothing is sent before the first."""

    def __init__(self, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._headers = headers
        self.begun = False

    async def text(self, part: str) -> None:
        await self.send({"text": part})

    async def send(self, data: dict[str, Any], event: str = "") -> None:
        if not self.begun:
            self.begun = True
            start = {"type": "http.response.start", "status": 200, "headers": self._headers}
            await self._send(start)
        named = f"event: {event}\n" if event else ""
        await self._more(f"{named}data: {json.dumps(data)}\n\n", more=True)

    async def end(self) -> None:
        await self._more("", more=False)

    async def _more(self, text: str, *, more: bool) -> None:
        part = {"type": "http.response.body", "body": text.encode(), "more_body": more}
        await self._send(part)
