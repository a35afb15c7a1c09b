"""A server of the Lambda Runtime API, version 2018-06-01, with the restore calls of SnapStart.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html. It serves one runtime, which runs
one invocation at a time.
"""

import threading
import time
import uuid
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from queue import Queue

from local_cloud.http_handler import QuietHandler

PREFIX = "/2018-06-01/runtime/"


@dataclass(frozen=True, slots=True)
class PendingInvocation:
    """An invocation that the runtime has not fetched; `seconds` is its timeout."""

    event: bytes
    arn: str
    seconds: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def headers(self) -> dict[str, str]:
        """Return the headers of the invocation; its deadline counts from now."""
        return {
            "Content-Type": "application/json",
            "Lambda-Runtime-Aws-Request-Id": self.id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + self.seconds) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": self.arn,
        }


@dataclass(frozen=True, slots=True)
class RuntimeReport:
    """A report of the runtime: `kind` is response, error, init/error or restore/error."""

    kind: str
    body: bytes


class RuntimeApi(ThreadingHTTPServer):
    """The server, on a free port of loopback."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pending: Queue[PendingInvocation | None] = Queue()
        self.reports: Queue[RuntimeReport] = Queue()
        self.polled = threading.Event()
        """Set by the first request for an invocation, which ends the initialisation."""
        self.snapshot_due = threading.Event()
        """Set when the runtime waits for its snapshot and restore."""
        self.restored = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port, as AWS_LAMBDA_RUNTIME_API holds them."""
        return f"127.0.0.1:{self.server_port}"

    def close(self) -> None:
        """Stop serving, and release a runtime that waits for an invocation."""
        self.pending.put(None)
        self.restored.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """Ignore a closed connection: the runtime was killed."""


class _Handler(QuietHandler):
    server: RuntimeApi

    def do_GET(self) -> None:  # noqa: N802
        if self.path == PREFIX + "invocation/next":
            self.server.polled.set()
            if invocation := self.server.pending.get():
                self.send_reply(200, invocation.event, invocation.headers())
            else:
                self.close_connection = True
        elif self.path == PREFIX + "restore/next":
            self.server.snapshot_due.set()
            self.server.restored.wait()
            self.send_reply(200)
        else:
            self.send_reply(404)

    def do_POST(self) -> None:  # noqa: N802
        kind = self.path.removeprefix(PREFIX)
        if kind.startswith("invocation/"):
            kind = kind.rsplit("/", 1)[1]
        try:
            body = self._body()
        except (ValueError, EOFError):  # the runtime died while it reported
            self.close_connection = True
            return
        self.server.reports.put(RuntimeReport(kind, body))
        self.send_reply(202, b'{"status":"OK"}', {"Content-Type": "application/json"})

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
