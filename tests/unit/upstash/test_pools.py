"""Which connections a pool keeps, and which it closes."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from llm_cache import StoreTimeout
from llm_cache._upstash import async_pool, blocking_pool
from llm_cache._upstash.async_pool import AsyncConnection, AsyncPool, AsyncPools
from llm_cache._upstash.blocking_pool import MOST_IDLE, BlockingPool
from llm_cache._upstash.http_messages import ConnectionDropped, HttpEndpoint, HttpReply

ENDPOINT = HttpEndpoint.of("http://127.0.0.1:9")
REPLY = HttpReply(200, {}, b"", reusable=True)


class Wire:
    """A connection, blocking or the transport of an asynchronous one, without a socket."""

    def __init__(self) -> None:
        self.closed = self.is_readable = False
        self.reply: HttpReply | Exception = REPLY

    def exchange(self, *_: object) -> HttpReply:
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply

    async def aexchange(self, _: bytes) -> HttpReply:
        await asyncio.sleep(0)
        return self.exchange()

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed


class Pool:
    """A pool of wires, at a time that the test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, asynchronous: bool) -> None:
        self.asynchronous, self.wires, self.now = asynchronous, list[Wire](), 1000.0
        clock = SimpleNamespace(monotonic=lambda: self.now)
        for module in (async_pool, blocking_pool):
            monkeypatch.setattr(module, "time", clock)
        kind: Any = AsyncPool if asynchronous else BlockingPool
        self.pool = kind(ENDPOINT)
        self.pool._open_connection = self._open_async
        monkeypatch.setattr(blocking_pool, "open_connection", self._open)

    def _open(self, *_: object) -> Wire:
        self.wires.append(Wire())
        return self.wires[-1]

    async def _open_async(self, *_: object) -> Any:
        connection, wire = AsyncConnection(), self._open()
        asynchronous: Any = connection
        asynchronous.transport, asynchronous.exchange = wire, wire.aexchange
        return connection

    def make_idle(self, count: int) -> None:
        for _ in range(count):
            connection = asyncio.run(self._open_async()) if self.asynchronous else self._open()
            self.pool._keep(connection, REPLY)

    def send(self) -> None:
        if self.asynchronous:
            asyncio.run(self.pool.send(b"", 0.0))
        else:
            self.pool.send(b"", 0.0)

    @property
    def closed(self) -> list[bool]:
        return [wire.closed for wire in self.wires]


@pytest.fixture(params=["blocking", "asynchronous"])
def pool(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Pool:
    return Pool(monkeypatch, asynchronous=request.param == "asynchronous")


def test_idle_connection_is_reused_for_a_minute(pool: Pool) -> None:
    for seconds, closed in ((0, [False]), (59, [False]), (61, [True, False])):
        pool.now += seconds
        pool.send()
        assert pool.closed == closed


def test_connections_that_expired_while_idle_are_closed_after_the_next_request(pool: Pool) -> None:
    pool.make_idle(2)
    pool.now += 50
    pool.send()
    pool.now += 20
    pool.send()
    assert pool.closed == [True, False]


def test_connection_that_is_not_reusable_is_closed(pool: Pool) -> None:
    pool.make_idle(1)
    pool.wires[0].reply = HttpReply(200, {}, b"", reusable=False)
    pool.send()
    assert pool.closed == [True]
    pool.make_idle(1)
    pool.wires[1].is_readable = pool.wires[1].closed = True
    pool.send()
    assert pool.closed == [True, True, False]


@pytest.mark.parametrize(("error", "closed"), [(ConnectionDropped, True), (StoreTimeout, False)])
def test_dropped_connection_closes_all_idle_connections_and_a_timeout_none(
    pool: Pool, error: type[Exception], *, closed: bool
) -> None:
    pool.make_idle(3)
    pool.wires[2].reply = error("failed")
    with pytest.raises(error):
        pool.send()
    assert pool.closed[:2] == [closed, closed]


def test_blocking_pool_closes_the_oldest_idle_connection_beyond_its_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = Pool(monkeypatch, asynchronous=False)
    pool.make_idle(MOST_IDLE + 1)
    assert pool.closed == [True, *[False] * MOST_IDLE]


def test_asynchronous_pool_sends_at_most_its_limit_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_pool, "MOST_IDLE", 1)
    pool = Pool(monkeypatch, asynchronous=True)

    async def send_two() -> None:
        await asyncio.gather(*(pool.pool.send(b"", 0.0) for _ in range(2)))

    asyncio.run(send_two())
    assert pool.closed == [False]


def test_each_event_loop_has_a_pool_that_ends_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = AsyncPools(ENDPOINT)
    opened: Any = Pool(monkeypatch, asynchronous=True)
    monkeypatch.setattr(AsyncPool, "_open_connection", opened._open_async)
    for count in (1, 2):
        asyncio.run(pools.send(b"", 0.0))
        assert (opened.closed, pools._pools) == ([True] * count, {})
    loop = asyncio.new_event_loop()  # it does not finish its generators
    loop.run_until_complete(pools.send(b"", 0.0))
    loop.close()
    asyncio.run(pools.send(b"", 0.0))
    assert pools._pools == {}
