"""What the functions need of AWS, and TLS before it and before the endpoint, in one process.

SSM's GetParameters over TLS, as a function reaches it; Bedrock, with a count of its calls, and S3
over plain HTTP, which both sides of a comparison use alike and only a miss needs.

``python -m tests.benchmarks.aws`` reads a `Wanted` from standard input, prints an `Aws` as one line
of JSON, and serves until its standard input closes.
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
from urllib.parse import urlsplit

from tests.faults.certificates import Authority
from tests.functions.bedrock import Bedrock
from tests.json_record import JsonRecord

HOST = "localhost"  # the name on the certificates


@dataclass(frozen=True, slots=True)
class Wanted(JsonRecord):
    """The endpoint to put TLS before, its token, and a folder for the certificates."""

    upstash: str
    token: str
    folder: str


@dataclass(frozen=True, slots=True)
class Aws(JsonRecord):
    """Addresses: of the endpoint and of SSM behind TLS, of the rest of AWS without it."""

    upstash: str
    ssm: str
    plain: str

    @property
    def calls(self) -> int:
        """How often a model was called."""
        with urllib.request.urlopen(f"{self.plain}/calls") as response:
            return int(response.read())


@contextmanager
def aws(wanted: Wanted) -> Iterator[Aws]:
    """Start the process; it ends when the block does, or when this process does."""
    command = [sys.executable, "-m", __name__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(wanted.as_json + "\n")
        process.stdin.flush()
        yield Aws.from_json(process.stdout.readline())
        process.stdin.close()


class Handler(BaseHTTPRequestHandler):
    """Answers for all services; the action tells them apart."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    parameters: dict[str, str]
    model: Bedrock

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_POST(self) -> None:
        """Return parameters, or a model's answer."""
        asked = json.loads(self._content())
        if self.headers.get("X-Amz-Target") == "AmazonSSM.GetParameters":
            found = [
                {"Name": name, "Type": "SecureString", "Value": self.parameters[name], "Version": 1}
                for name in asked["Names"]
            ]
            self._reply(200, json.dumps({"Parameters": found, "InvalidParameters": []}).encode())
        else:
            self.model.requests.append(asked)
            self._reply(200, json.dumps(self.model.reply()).encode())

    def do_GET(self) -> None:
        """Return the count of calls, or a document, whose text holds its name; no summary."""
        if self.path == "/calls":
            self._reply(200, str(len(self.model.requests)).encode())
        elif "/documents/" in self.path:
            self._reply(200, f"The document {urlsplit(self.path).path} is short.".encode())
        else:
            self._reply(404, b"")

    def do_HEAD(self) -> None:
        """Return the headers of what GET returns."""
        self.do_GET()

    def do_PUT(self) -> None:
        """Take a summary."""
        self._content()
        self._reply(200, b"")

    def _content(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        while self.rfile.readline().strip() != b"0":
            self.rfile.readline()
        self.rfile.readline()
        return b""

    def _reply(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def http(secure: ssl.SSLContext | None = None) -> int:
    """Serve all of AWS from threads, and return the port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if secure:
        server.socket = secure.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


async def relay(wanted: Wanted, secure: ssl.SSLContext) -> asyncio.Server:
    """Put TLS before the endpoint."""
    target = urlsplit(wanted.upstash)

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
    wanted = Wanted.from_json(sys.stdin.readline())
    authority = Authority.made(Path(wanted.folder))
    server = await relay(wanted, authority.serving(HOST))
    upstash = f"https://{HOST}:{server.sockets[0].getsockname()[1]}"
    Handler.model = Bedrock()
    Handler.parameters = {"/bench/url": upstash, "/bench/token": wanted.token}
    ssm = f"https://{HOST}:{http(authority.serving(HOST))}"
    print(Aws(upstash, ssm, f"http://127.0.0.1:{http()}").as_json, flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
