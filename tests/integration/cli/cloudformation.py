"""CloudFormation at the wire, with one stack: moto's needs packages that nothing else here does."""

import contextlib
import threading
from collections.abc import Iterator, Mapping
from http.server import ThreadingHTTPServer
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from local_cloud.http_handler import QuietHandler


def _pairs(tag: str, pairs: Mapping[str, str]) -> str:
    members = (
        f"<member><{tag}Key>{escape(name)}</{tag}Key><{tag}Value>{escape(value)}</{tag}Value></member>"
        for name, value in pairs.items()
    )
    return f"<{tag}s>{''.join(members)}</{tag}s>"


@contextlib.contextmanager
def serve_stack(
    name: str, parameters: Mapping[str, str], outputs: Mapping[str, str]
) -> Iterator[str]:
    """Answer ``DescribeStacks`` with one stack; yield the URL."""
    stack = (
        f"<member><StackName>{name}</StackName><StackStatus>CREATE_COMPLETE</StackStatus>"
        "<CreationTime>2026-01-01T00:00:00Z</CreationTime>"
        f"{_pairs('Parameter', parameters)}{_pairs('Output', outputs)}</member>"
    )

    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802  named by http.server
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked = parse_qs(body).get("StackName", [name])[0]
            if asked == name:
                self.send_reply(
                    200,
                    b"<DescribeStacksResponse><DescribeStacksResult><Stacks>%s</Stacks>"
                    b"</DescribeStacksResult></DescribeStacksResponse>" % stack.encode(),
                )
            else:
                message = f"Stack with id {asked} does not exist"
                error = f"<Code>ValidationError</Code><Message>{message}</Message>"
                self.send_reply(
                    400, b"<ErrorResponse><Error>%s</Error></ErrorResponse>" % error.encode()
                )

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
