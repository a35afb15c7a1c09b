"""Serve a model as Bedrock and as OpenAI's API.

    python -m local_cloud.model.server NAME PORT CLOUD

    function ──Bedrock Converse──> /model/…  ──> the emulated AWS at CLOUD
                                                        │ the same call, as OpenAI's API
    the model <── /v1/chat/completions <────────────────┘

The emulated AWS answers from a mock when its model fails, without an error. So this server counts
the Bedrock calls, injects faults, and replies with an error to an answer that is not the model's.
It imports only the standard library, because the model's environment has nothing else.
"""

import http.client
import json
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import ThreadingHTTPServer

from local_cloud.http_handler import QuietHandler
from local_cloud.model import backends
from local_cloud.model.backends import Json
from local_cloud.model.bedrock_faults import ERRORS, BedrockFault, FaultSchedule, PlannedFault

FORWARD_SECONDS = 600


class ModelServer(ThreadingHTTPServer):
    """The server, with the state that its requests share."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, answer: Callable[[Json], Json], port: int, cloud: str) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.answer, self.cloud = answer, cloud
        self.faults = FaultSchedule()
        self._endings: dict[str, str] = {}
        self.counts = {"calls": 0, "answers": 0}
        self._lock = threading.Lock()

    def count_call(self) -> None:
        """Count a call to Bedrock."""
        with self._lock:
            self.counts["calls"] += 1

    def complete(self, request: Json) -> Json:
        """Complete a chat with the model, and remember the answer."""
        reply = self.answer(request)
        if "choices" in reply:
            choice = reply["choices"][0]
            with self._lock:
                self._endings[backends.text(choice["message"])] = choice["finish_reason"]
                self.counts["answers"] += 1
        return reply

    def ending(self, answer: str) -> str | None:
        """Return why the model ended this answer; None if the answer is not the model's."""
        return self._endings.get(answer)


class Handler(QuietHandler):
    """One connection."""

    server: ModelServer

    def do_GET(self) -> None:  # noqa: N802
        """Return the counts; any reply means that the model is loaded."""
        self._reply(200, self.server.counts)

    def do_PUT(self) -> None:  # noqa: N802
        """Activate a fault: `{"fault", "times", "seconds"}`, or null for none."""
        plan = json.loads(self._body())
        self.server.faults.set(plan and PlannedFault(BedrockFault(plan.pop("fault")), **plan))
        self._reply(200, {})

    def do_POST(self) -> None:  # noqa: N802
        """Complete a chat, or forward a Bedrock call."""
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
        elif plan and plan.fault is BedrockFault.HANGS:
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
            self.send_reply(
                response.status, reply, {"Content-Type": kind, "x-amzn-ErrorType": error}
            )

    def _converse(self, reply: Json) -> None:
        content = reply["output"]["message"]["content"]
        endings = [self.server.ending(part["text"]) for part in content if "text" in part]
        if None in endings:
            self._refuse(424, "ModelErrorException", "the emulator answered, not the model")
            return
        if "length" in endings:  # the emulator reports "end_turn" always
            reply["stopReason"] = "max_tokens"
        self._reply(HTTPStatus.OK, reply)

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _refuse(self, status: int, error: str, message: str = "injected fault") -> None:
        body = json.dumps({"message": message}).encode()
        self.send_reply(
            status, body, {"Content-Type": "application/json", "x-amzn-ErrorType": error}
        )

    def _reply(self, status: int, body: object) -> None:
        self.send_reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})


def main(name: str, port: str, cloud: str) -> None:
    """Serve a model; `cloud` is the host and port of the emulated AWS."""
    ModelServer(backends.load(name), int(port), cloud).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
