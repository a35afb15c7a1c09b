"""The other caches of model calls that are measured, and a raw socket.

Only the environment of the peers has all of them; `hits.py` and `hit_sizes.py` run there.
"""

import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from langchain_community.cache import SQLiteCache
from langchain_community.cache import UpstashRedisCache as Replaced
from langchain_core.caches import BaseCache, InMemoryCache
from langchain_redis import RedisCache
from litellm.caching.caching import Cache as LiteLlm
from redis import Redis as TcpRedis
from tests.benchmarks.client_process import Setup
from upstash_redis import Redis

from llm_cache import UpstashRedisCache

TTL = 3600


class RawSocket:
    """A GET of Upstash's REST protocol over one open socket, without parsing: the floor."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"POST / HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {token}\r\n"

    def get(self, key: str) -> bytes:
        body = json.dumps(["GET", key])
        rest = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        self._socket.sendall((self._head + rest).encode())
        reply = self._socket.recv(65536)
        head, _, content = reply.partition(b"\r\n\r\n")
        _, _, after = head.lower().partition(b"content-length:")
        length = int(after.split(b"\r\n", 1)[0])
        while len(content) < length:
            content += self._socket.recv(65536)
        return content


class PlainJson:
    """JSON.GET and JSON.SET as GET and SET: the measured Valkey has no JSON module."""

    def __init__(self, redis: TcpRedis) -> None:
        self._redis = redis

    def get(self, key: str) -> Any:
        found: Any = self._redis.get(key)
        return None if found is None else json.loads(found)

    def set(self, key: str, _: object, value: object) -> None:
        """Store a value, as redis-py encodes it."""
        self._redis.set(key, json.dumps(value))


@dataclass
class Peers:
    """Each cache over the same server; SQLite in a file of the folder."""

    setup: Setup
    folder: str

    def __post_init__(self) -> None:
        setup = self.setup
        self.bare = Redis(setup.url, setup.token)
        tcp = TcpRedis(host="127.0.0.1", port=setup.port, password=setup.password)
        tcp.json = lambda: PlainJson(tcp)
        self.caches: dict[str, BaseCache] = {
            "this library": UpstashRedisCache(self.bare, ttl=TTL, namespace="bench"),
            "replaced class": Replaced(self.bare, ttl=TTL),
            "langchain-redis (TCP)": RedisCache(redis_client=tcp, ttl=TTL),
            "SQLiteCache": SQLiteCache(f"{self.folder}/answers.db"),
            "InMemoryCache": InMemoryCache(),
        }
        self.litellm = LiteLlm(
            type="redis", host="127.0.0.1", port=str(setup.port), password=setup.password, ttl=TTL
        )
        self.raw = RawSocket(setup.url, setup.token)


def litellm_call(prompt: str) -> dict[str, Any]:
    return {"model": "model", "messages": [{"role": "user", "content": prompt}]}


def litellm_answer(text: str, **more: object) -> dict[str, Any]:
    """Return a completion as LiteLLM stores it: OpenAI's form."""
    message = {"role": "assistant", "content": text, **more}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 250, "completion_tokens": 450, "total_tokens": 700}
    return {"id": "1", "object": "chat.completion", "choices": [choice], "usage": usage}


def hit(cache: BaseCache, prompt: str) -> Callable[[str], object]:
    def run(_: str) -> None:
        assert cache.lookup(prompt, "model"), f"{cache} has no answer"

    return run
