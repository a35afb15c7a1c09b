"""The Lambda Runtime API, version 2018-06-01: what a runtime polls for work and reports to.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, and the restore calls that
SnapStart adds. It serves one runtime, which has one invocation at a time.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "/2018-06-01/runtime/"


@dataclass(frozen=True, slots=True)
class Task:
    """An invocation that waits to be polled for; `seconds` is its timeout."""

    event: bytes
    arn: str
    seconds: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def headers(self) -> dict[str, str]:
        """Return what the runtime is told beside the event; the deadline counts from now."""
        return {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": self.id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.arn,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What the runtime posted: `kind` is response, error, init/error or restore/error."""

    kind: str
    body: bytes


class RuntimeApi(ThreadingHTTPServer):
    """The server, on a free port of loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tasks: Queue[Task | None] = Queue()
        self.reports: Queue[Report] = Queue()
        self.polled = threading.Event()
        """Set when the runtime first asks for work: its initialisation is over."""
        self.snapshot_due = threading.Event()
        """Set when the runtime waits to be snapshotted and restored."""
        self.restored = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port, as AWS_LAMBDA_RUNTIME_API holds them."""
        return f"127.0.0.1:{self.server_port}"

    def close(self) -> None:
        """Stop serving; a runtime that is still waiting is let go."""
        self.tasks.put(None)
        self.restored.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Ignore a runtime that hung up: it was killed."""


class _Handler(BaseHTTPRequestHandler):
    server: RuntimeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one write for a reply: else each invocation waits for delayed acknowledgements

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        if self.path == PREFIX + "invocation/next":
            self.server.polled.set()
            if task := self.server.tasks.get():
                self._send(200, task.event, task.headers())
            else:
                self.close_connection = True
        elif self.path == PREFIX + "restore/next":
            self.server.snapshot_due.set()
            self.server.restored.wait()
            self._send(200)
        else:
            self._send(404)

    def do_POST(self) -> None:
        kind = self.path.removeprefix(PREFIX)
        if kind.startswith("invocation/"):
            kind = kind.rsplit("/", 1)[1]
        try:
            body = self._body()
        except (ValueError, EOFError):  # the runtime died over it: it has not reported
            self.close_connection = True
            return
        self.server.reports.put(Report(kind, body))
        self._send(202, b'{"status":"OK"}', {"Content-Type": "application/json"})

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self._read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self._read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _read(self, size: int) -> bytes:
        if len(found := self.rfile.read(size)) < size:
            raise EOFError
        return found

    def _send(self, status: int, body: bytes = b"", headers: Mapping[str, str] = {}) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
