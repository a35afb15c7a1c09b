"""One model behind two doors, on loopback: `python -m local_cloud.model.server NAME PORT CLOUD`.

    function ──Bedrock Converse──> /model/…  ──> the emulated AWS at CLOUD
                                                        │ the same call, as OpenAI's API
    the model <── /v1/chat/completions <────────────────┘

The emulated AWS answers from a mock, in silence, when its model fails it. The front door is there
so that nobody is fooled: it counts the calls, fails them on demand as Bedrock would, and turns an
answer that the model did not give into an error. Only the standard library, as the model's
environment has nothing else.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from local_cloud.model import backends
from local_cloud.model.faults import ERRORS, Fault, Faults, Plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_cloud.model.backends import Json

FORWARD_SECONDS = 600


class ModelServer(ThreadingHTTPServer):
    """The state that the requests share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Json], Json], port: int, cloud: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answer, self.cloud = answer, cloud
        self.faults = Faults()
        self._given: dict[str, str] = {}
        self.counts = {"calls": 0, "answers": 0}
        self._lock = threading.Lock()

    def count_call(self) -> None:
        """Count a call to Bedrock."""
        with self._lock:
            self.counts["calls"] += 1

    def complete(self, request: Json) -> Json:
        """Let the model answer, and remember what it said."""
        reply = self.answer(request)
        if "choices" in reply:
            choice = reply["choices"][0]
            with self._lock:
                self._given[backends.text(choice["message"])] = choice["finish_reason"]
                self.counts["answers"] += 1
        return reply

    def ending(self, words: str) -> str | None:
        """Return why the model ended with these words; None if it never said them."""
        return self._given.get(words)


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    server: ModelServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one write for a reply: no waiting for a delayed acknowledgement

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        """Tell the counts; that it answers at all says that the model is loaded."""
        self._reply(200, self.server.counts)

    def do_PUT(self) -> None:
        """Put a fault in force: `{"fault", "times", "seconds"}`, or null for none."""
        plan = json.loads(self._body())
        self.server.faults.set(plan and Plan(Fault(plan["fault"]), plan["times"], plan["seconds"]))
        self._reply(200, {})

    def do_POST(self) -> None:
        """Answer a chat completion, or forward what is Bedrock's."""
        body = self._body()
        if self.path.startswith("/model/"):
            self._bedrock(body)
        else:
            reply = self.server.complete(json.loads(body))
            self._reply(200 if "choices" in reply else 400, reply)

    def _bedrock(self, body: bytes) -> None:
        self.server.count_call()
        plan = self.server.faults.take()
        if plan and plan.fault in ERRORS:
            self._refuse(*ERRORS[plan.fault])
        elif plan and plan.fault is Fault.HANGS:
            threading.Event().wait()
        else:
            time.sleep(plan.seconds if plan else 0)
            self._forward(body)

    def _forward(self, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.server.cloud, timeout=FORWARD_SECONDS)
        connection.request("POST", self.path, body, dict(self.headers))
        response = connection.getresponse()
        reply = response.read()
        connection.close()
        if response.status == HTTPStatus.OK and self.path.endswith("/converse"):
            self._converse(json.loads(reply))
        else:
            kind = response.getheader("Content-Type", "application/json")
            error = response.getheader("x-amzn-ErrorType", "")
            self._send(response.status, reply, {"Content-Type": kind, "x-amzn-ErrorType": error})

    def _converse(self, reply: Json) -> None:
        content = reply["output"]["message"]["content"]
        endings = [self.server.ending(part["text"]) for part in content if "text" in part]
        if None in endings:
            self._refuse(424, "ModelErrorException", "answered by the emulator, not by the model")
            return
        if "length" in endings:  # the emulator calls every ending "end_turn"
            reply["stopReason"] = "max_tokens"
        self._reply(HTTPStatus.OK, reply)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _refuse(self, status: int, error: str, message: str = "asked for by a test") -> None:
        body = json.dumps({"message": message}).encode()
        self._send(status, body, {"Content-Type": "application/json", "x-amzn-ErrorType": error})

    def _reply(self, status: int, body: object) -> None:
        self._send(status, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(name: str, port: str, cloud: str) -> None:
    """Serve the model called `name`; `cloud` is the emulated AWS's host and port."""
    ModelServer(backends.load(name), int(port), cloud).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
