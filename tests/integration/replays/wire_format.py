"""A provider's server on loopback; ``WireFormat`` is its format of answers and events."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

TOOL_RESULT = "It is sunny."
USAGE: Any = {"input_tokens": 9, "output_tokens": 5, "total_tokens": 14}

Event = tuple[str, dict[str, Any]]


class Answer(NamedTuple):
    """A model's answer: a thought, a text, and perhaps a tool call. No two have the same ids."""

    calls: bool
    number: int
    structured: bool = False

    @property
    def thought(self) -> list[str]:
        return ["The user wants ", "the weather."]

    @property
    def text(self) -> list[str]:
        if self.structured:
            return ARGUMENTS
        return ["Let me ", "look."] if self.calls else ["Sunny, ", "as ever."]

    @property
    def signature(self) -> str:
        return f"c2ln{self.number:04}"

    def new_id(self, prefix: str) -> str:
        return f"{prefix}_{uuid.uuid4().hex[:24]}"


NAME = "get_weather"
ARGUMENTS = ['{"ci', 'ty":"Rome"}']
INPUT: dict[str, Any] = json.loads("".join(ARGUMENTS))


@dataclass
class Provider:
    """A running model; ``requests`` holds the bodies it received."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, body: dict[str, Any]) -> Answer:
        """Call a tool for each question, and return a text after each of its results."""
        self.requests.append(body)
        last = (body.get("messages") or body.get("input") or body["contents"])[-1]
        structured = "response_format" in body
        calls = not structured and TOOL_RESULT not in json.dumps(last)
        return Answer(calls, len(self.requests), structured)


@dataclass(frozen=True)
class WireFormat:
    """One provider's format: of a whole answer, of a stream's events, and of their encoding."""

    whole: Callable[[Answer], dict[str, Any]]
    events: Callable[[Answer], Iterator[Event]]
    streams: Callable[[str, dict[str, Any]], bool] = lambda _, body: bool(body.get("stream"))
    encode: Callable[[Event], bytes] = lambda event: (
        f"event: {event[0]}\ndata: {json.dumps(event[1])}\n\n".encode()
    )
    content_type: str = "text/event-stream"

    @contextmanager
    def serve(self) -> Iterator[Provider]:
        """Run a server of this format, and stop it at the end."""
        provider, wire = Provider(), self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                answer, streams = provider.answer(body), wire.streams(self.path, body)
                content_type = wire.content_type if streams else "application/json"
                self.send_response(200)
                self.send_header("Content-Type", content_type)
                self.end_headers()
                if streams:
                    self.wfile.writelines(map(wire.encode, wire.events(answer)))
                else:
                    self.wfile.write(json.dumps(wire.whole(answer)).encode())

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        provider.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield provider
        finally:
            server.shutdown()
            server.server_close()
