"""A Converse server on loopback that fails on request."""

import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zlib import crc32

from upstash_endpoint.endpoint import UpstashEndpoint

USAGE = {"inputTokens": 9, "outputTokens": 5, "totalTokens": 14}


@dataclass
class Bedrock:
    """What the server replies next; ``requests`` holds the bodies that it received."""

    status: int = 200
    error: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    requests: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    stops: str = "end_turn"
    """The stop reason, unless the answer exceeds ``maxTokens``."""
    content: list[dict[str, Any]] | None = None
    """The content blocks; None for a text."""

    def fail(self, status: int, error: str, **headers: str) -> None:
        """Refuse every request from now on."""
        self.status, self.error, self.headers = status, error, headers

    def throttle(self) -> None:
        self.fail(429, "ThrottlingException")

    def recover(self) -> None:
        """Answer every request from now on."""
        self.status, self.error, self.headers, self.hold = 200, "", {}, None
        self.stops, self.content = "end_turn", None

    @property
    def texts(self) -> list[str]:
        """The text of the first message of each request."""
        return [request["messages"][0]["content"][0]["text"] for request in self.requests]

    def reply(self) -> dict[str, Any]:
        if self.status != 200:
            return {"message": "do not show this to callers"}
        text = f"Answer {len(self.requests)}."
        content = [{"text": text}] if self.content is None else self.content
        metrics = {"latencyMs": 1}
        most = self.requests[-1].get("inferenceConfig", {}).get("maxTokens", 512)
        return {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "max_tokens" if most < USAGE["outputTokens"] else self.stops,
            "usage": USAGE,
            "metrics": metrics,
            "results": [{"outputText": text}],  # InvokeModel of Titan, for benchmarks
        }


def frame(name: str, payload: dict[str, Any], kind: str = "event") -> bytes:
    """Return one message of ``application/vnd.amazon.eventstream``."""
    names = {f":{kind}-type": name, ":content-type": "application/json", ":message-type": kind}
    headers = b"".join(
        struct.pack("!B", len(key))
        + key.encode()
        + struct.pack("!BH", 7, len(value))
        + value.encode()
        for key, value in names.items()
    )
    body = json.dumps(payload).encode()
    prelude = struct.pack("!II", 16 + len(headers) + len(body), len(headers))
    message = prelude + struct.pack("!I", crc32(prelude)) + headers + body
    return message + struct.pack("!I", crc32(message))


@contextmanager
def bedrock() -> Iterator[Bedrock]:
    model = Bedrock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            model.requests.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if model.hold is not None:
                model.hold.wait(60)
            body = json.dumps(model.reply()).encode()
            self.send_response(model.status)
            headers = {"x-amzn-ErrorType": model.error, **model.headers} if model.error else {}
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    model.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield model
    finally:
        if model.hold is not None:
            model.hold.set()
        server.shutdown()
        server.server_close()


def environment(model: Bedrock, upstash: UpstashEndpoint) -> dict[str, str]:
    """Return the variables of a function with this model and this database."""
    return {
        "MODEL_ID": "amazon.nova-2-lite-v1:0",
        "MODEL_MAX_TOKENS": "512",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL": model.url,
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
        "LLM_CACHE_NAMESPACE": "test",
        "LLM_CACHE_TTL": "600",
        "LLM_CACHE_TTL_FLOOR": "10",
        "LLM_CACHE_TTL_CEILING": "3600",
    }
