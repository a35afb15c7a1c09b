"""Single flight in every order of more callers, clears and lost leases.

`make test` tries two callers with one clear or one lost lease
(tests/integration/protocol/test_lease_interleavings.py). Callers are alike, so each pair of ends is
tried in one sequence only.
"""

import itertools
from collections.abc import Iterator

import pytest
from tests.integration.callers import Ends, orders
from tests.integration.upstash.connection import Connection

from upstash_endpoint.redis_server import RedisServer

ALIVE = [end for end in Ends if end is not Ends.DEAD]  # a caller dies with its whole process


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Connection]:
    connection = Connection(redis_server)
    yield connection
    connection.close()


@pytest.mark.parametrize("epoch", [None, "cbefore"])
@pytest.mark.parametrize(("clears", "losses"), [(1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("ends", [*itertools.combinations_with_replacement(Ends, 2)])
def test_two_processes_with_a_clear_and_a_lost_lease(
    server: Connection, ends: tuple[Ends, Ends], clears: int, losses: int, epoch: str | None
) -> None:
    orders(server, ends, epoch=epoch, clears=clears, losses=losses)


@pytest.mark.parametrize("ends", [*itertools.combinations_with_replacement(ALIVE, 2)])
def test_two_callers_in_one_process_with_a_clear_and_a_lost_lease(
    server: Connection, ends: tuple[Ends, Ends]
) -> None:
    orders(server, ends, processes="00", clears=1, losses=1)


@pytest.mark.parametrize("processes", ["000", "001", "010", "011", "012"])
@pytest.mark.parametrize("ends", [*itertools.product([Ends.STORED, Ends.FAILED], repeat=3)])
def test_three_callers_make_one_model_call_and_one_more_per_failure(
    server: Connection, ends: tuple[Ends, Ends, Ends], processes: str
) -> None:
    calls = orders(server, ends, processes=processes)
    assert max(calls) <= 1 + ends.count(Ends.FAILED)


@pytest.mark.parametrize("ends", [*itertools.product([Ends.NOT_STORED, Ends.STORED], repeat=3)])
def test_three_callers_with_uncacheable_answers(
    server: Connection, ends: tuple[Ends, Ends, Ends]
) -> None:
    orders(server, ends, processes="001")
