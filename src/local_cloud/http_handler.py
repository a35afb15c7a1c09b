"""The base of the local cloud's HTTP servers."""

from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler


class QuietHandler(BaseHTTPRequestHandler):
    """Handles the requests of one connection, without a log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one write a reply: two would wait for a delayed acknowledgement

    def log_message(self, *_: object) -> None:
        """Log nothing."""

    def send_reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] = {}) -> None:
        """Send a whole reply."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
