"""An HTTP server in the place of a Function URL."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from tests.http_server import Request, http_server

KEY = "shop:entry:1"
HIT = {"status": "hit", "stored": True, "why": None, "age": 12, "ttl": 48, "key": KEY}
MISS = {"status": "miss", "stored": True, "why": "unknown", "age": None, "ttl": 60, "key": KEY}


class Reply(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str] = {}  # noqa: RUF012  never changed


def answered(cache: dict[str, Any]) -> Reply:
    return Reply(200, {"answer": "Paris.", "cache": cache})


@dataclass
class AskServer:
    """Replies by ``reply``, and records the requests."""

    url: str = ""
    reply: Callable[[dict[str, Any]], Reply] = lambda _: answered(HIT)
    bodies: list[dict[str, Any]] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        body = json.loads(request.body)
        self.bodies.append(body)
        self.authorizations.append(request.headers["Authorization"])
        status, content, headers = self.reply(body)
        return status, headers, json.dumps(content).encode()

    @property
    def questions(self) -> list[str]:
        return [body["question"] for body in self.bodies]


@contextmanager
def ask_server() -> Iterator[AskServer]:
    served = AskServer()
    with http_server(served) as url:
        served.url = f"{url}/"
        yield served
