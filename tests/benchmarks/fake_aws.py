"""AWS for the measured functions, and TLS in front of the endpoint, in one process.

SSM's GetParameters is served over TLS. Bedrock and S3, which only a miss needs, are served over
plain HTTP; Bedrock counts its calls.

``python -m tests.benchmarks.fake_aws`` reads an ``AwsRequest`` from standard input, prints a
``FakeAws`` as one line of JSON, and serves until its standard input closes.
"""

import asyncio
import json
import ssl
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from tests.faults.certificate_authority import Authority
from tests.functions.bedrock import Bedrock
from tests.json_record import JsonRecord

HOST = "localhost"  # of the certificates


@dataclass(frozen=True, slots=True)
class AwsRequest(JsonRecord):
    """The endpoint that gets TLS, its token, and a folder for the certificates."""

    upstash: str
    token: str
    folder: str


@dataclass(frozen=True, slots=True)
class FakeAws(JsonRecord):
    """The addresses of the endpoint and SSM with TLS, and of the rest of AWS without."""

    upstash: str
    ssm: str
    plain: str

    @property
    def calls(self) -> int:
        """The number of model calls so far."""
        with urllib.request.urlopen(f"{self.plain}/calls") as response:
            return int(response.read())


@contextmanager
def fake_aws(request: AwsRequest) -> Iterator[FakeAws]:
    """Start the process; it ends with the block, or with this process."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(request.as_json + "\n")
        process.stdin.flush()
        yield FakeAws.from_json(process.stdout.readline())
        process.stdin.close()


class Handler(BaseHTTPRequestHandler):
    """Serves all services; the action names the service."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    parameters: ClassVar[dict[str, str]] = {}
    stored: ClassVar[dict[str, bytes]] = {}
    model: Bedrock

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        """Return parameters, or a model's answer."""
        request = json.loads(self._content())
        if self.headers.get("X-Amz-Target") == "AmazonSSM.GetParameters":
            found = [
                {"Name": name, "Type": "SecureString", "Value": self.parameters[name], "Version": 1}
                for name in request["Names"]
            ]
            self._reply(200, json.dumps({"Parameters": found, "InvalidParameters": []}).encode())
        else:
            self.model.requests.append(request)
            self._reply(200, json.dumps(self.model.reply()).encode())

    def do_GET(self) -> None:
        """Return the number of calls, or a document with its name as text; there is no summary."""
        if self.path == "/calls":
            self._reply(200, str(len(self.model.requests)).encode())
        elif "/documents/" in self.path:
            self._reply(200, f"The document {urlsplit(self.path).path} is short.".encode())
        else:
            self._reply(404, b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        self.stored[self.path] = self._content()
        self._reply(200, b"")

    def _content(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        lines = []
        while (line := self.rfile.readline()).strip() != b"0":
            lines.append(line)
        self.rfile.readline()
        return b"".join(lines)

    def _reply(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def http(secure: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve all of AWS from threads; yield the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if secure:
        server.socket = secure.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


async def tls_relay(upstash: str, secure: ssl.SSLContext) -> asyncio.Server:
    target = urlsplit(upstash)

    async def pump(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            to.write(data)
            await to.drain()
        to.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to = await asyncio.open_connection(target.hostname, target.port)
        both = pump(reader, to), pump(upstream, writer)
        await asyncio.gather(*both, return_exceptions=True)

    return await asyncio.start_server(serve, "127.0.0.1", 0, ssl=secure)


async def main() -> None:
    """Serve until standard input closes."""
    request = AwsRequest.from_json(sys.stdin.readline())
    authority = Authority.create(Path(request.folder))
    server = await tls_relay(request.upstash, authority.server_context(HOST))
    upstash = f"https://{HOST}:{server.sockets[0].getsockname()[1]}"
    Handler.model = Bedrock()
    Handler.parameters = {"/bench/url": upstash, "/bench/token": request.token}
    with http(authority.server_context(HOST)) as ssm, http() as plain:
        addresses = FakeAws(upstash, f"https://{HOST}:{ssm}", f"http://127.0.0.1:{plain}")
        print(addresses.as_json, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
