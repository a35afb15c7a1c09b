"""Every order in which two callers who share one answer, a clear and a lost lease can meet.

The callers are alike, so two ends are tried in one of their two sequences.
"""

import itertools
from collections.abc import Iterator

import pytest
from tests.integration.callers import Ends, orders
from tests.integration.upstash.connection import Connection

from upstash_endpoint.redis_server import RedisServer

EPOCHS = [None, "cbefore"]
OFTEN = [Ends.STORED, Ends.FAILED]


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Connection]:
    connection = Connection(redis_server)
    yield connection
    connection.close()


@pytest.mark.parametrize("epoch", EPOCHS)
@pytest.mark.parametrize("processes", ["00", "01"])
def test_in_every_order_one_computes_for_two(
    server: Connection, processes: str, epoch: str | None
) -> None:
    assert orders(server, [Ends.STORED] * 2, processes=processes, epoch=epoch) == {1}


@pytest.mark.parametrize("ends", [*itertools.combinations_with_replacement(Ends, 2)])
def test_however_a_call_ends_nobody_waits_for_nobody(
    server: Connection, ends: tuple[Ends, Ends]
) -> None:
    assert max(orders(server, ends, processes="01")) <= 2
    if Ends.DEAD not in ends:
        assert max(orders(server, ends, processes="00")) <= 2


@pytest.mark.parametrize("epoch", EPOCHS)
@pytest.mark.parametrize("processes", ["00", "01"])
@pytest.mark.parametrize("ends", [*itertools.combinations_with_replacement(OFTEN, 2)])
def test_a_clear_at_any_moment_is_seen_by_who_asks_after_it(
    server: Connection, ends: tuple[Ends, Ends], processes: str, epoch: str | None
) -> None:
    orders(server, ends, processes=processes, epoch=epoch, clears=1)


@pytest.mark.parametrize("ends", [*itertools.combinations_with_replacement(OFTEN, 2)])
def test_a_lease_that_is_lost_at_any_moment_leaves_nobody_waiting(
    server: Connection, ends: tuple[Ends, Ends]
) -> None:
    orders(server, ends, losses=1)
