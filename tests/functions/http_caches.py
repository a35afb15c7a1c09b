"""HTTP caches as clients: hishel, requests-cache and CacheControl."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import requests
from cachecontrol import CacheControl
from hishel import CacheOptions, SqliteStorage
from hishel.httpx import CacheClient
from requests_cache import CachedSession

METHODS = ["GET", "HEAD", "POST"]


@dataclass(frozen=True)
class CachedReply:
    """A reply; ``from_cache``: the client's cache served it without a request."""

    status: int
    headers: dict[str, str]
    content: bytes
    from_cache: bool


class Send(Protocol):
    """Send a request through a cache."""

    def __call__(self, method: str, path: str, **rest: Any) -> CachedReply: ...


Cache = Callable[[str, Path], AbstractContextManager[Send]]


def hishel(*, shared: bool) -> Cache:
    """Return hishel as a shared or a private cache; it may store POST."""

    @contextmanager
    def made(url: str, folder: Path) -> Iterator[Send]:
        options = CacheOptions(shared=shared, supported_methods=METHODS)
        storage = SqliteStorage(database_path=folder / "hishel.db")
        with closing(storage), CacheClient(base_url=url, storage=storage, rfc=options) as client:

            def send(method: str, path: str, **rest: Any) -> CachedReply:
                found = client.request(method, path, **rest)
                known = found.extensions["caching"]
                served = known["from_cache"] and not known["revalidated"]
                return CachedReply(found.status_code, dict(found.headers), found.content, served)

            yield send

    return made


def of_requests(session: Callable[[], requests.Session]) -> Cache:
    """Return a cache in the form of a ``requests`` session."""

    @contextmanager
    def made(url: str, _: Path) -> Iterator[Send]:
        with session() as client:

            def send(method: str, path: str, **rest: Any) -> CachedReply:
                found: Any = client.request(method, url + path, timeout=60, **rest)
                headers = {name.lower(): value for name, value in found.headers.items()}
                served = found.from_cache and not getattr(found, "revalidated", False)
                return CachedReply(found.status_code, headers, found.content, served)

            yield send

    return made


def requests_cache() -> requests.Session:
    return CachedSession(
        backend="memory",
        cache_control=True,
        allowable_methods=METHODS,
        allowable_codes=range(200, 600),
    )


def cache_control() -> requests.Session:
    return CacheControl(requests.Session(), cacheable_methods=tuple(METHODS))


CACHES = {
    "hishel, private": hishel(shared=False),
    "hishel, shared": hishel(shared=True),
    "requests-cache": of_requests(requests_cache),
    "CacheControl": of_requests(cache_control),
}
