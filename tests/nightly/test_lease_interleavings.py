"""Every order of more callers, clears and losses than there is time for in the quick tests.

Two callers are alike, so their ends are tried in one of their two sequences.
"""

import itertools
from collections.abc import Iterator

import pytest
from tests.integration.call_interleavings import Ending, calls_in_every_order
from tests.integration.upstash.connection import Connection

from upstash_endpoint.redis_server import RedisServer

ALIVE = [end for end in Ending if end is not Ending.DEAD]  # who dies, dies with its whole process


@pytest.fixture
def server(redis_server: RedisServer) -> Iterator[Connection]:
    connection = Connection(redis_server)
    yield connection
    connection.close()


@pytest.mark.parametrize("epoch", [None, "cbefore"])
@pytest.mark.parametrize(("clears", "losses"), [(1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("ends", [*itertools.combinations_with_replacement(Ending, 2)])
def test_clear_and_lost_reply_in_two_processes_keep_every_promise(
    server: Connection, ends: tuple[Ending, Ending], clears: int, losses: int, epoch: str | None
) -> None:
    calls_in_every_order(server, ends, epoch=epoch, clears=clears, losses=losses)


@pytest.mark.parametrize("ends", [*itertools.combinations_with_replacement(ALIVE, 2)])
def test_clear_and_lost_reply_in_one_process_keep_every_promise(
    server: Connection, ends: tuple[Ending, Ending]
) -> None:
    calls_in_every_order(server, ends, processes="00", clears=1, losses=1)


@pytest.mark.parametrize("processes", ["000", "001", "010", "011", "012"])
@pytest.mark.parametrize("ends", [*itertools.product([Ending.STORED, Ending.FAILED], repeat=3)])
def test_three_callers_in_one_to_three_processes_keep_every_promise(
    server: Connection, ends: tuple[Ending, Ending, Ending], processes: str
) -> None:
    calls = calls_in_every_order(server, ends, processes=processes)
    assert max(calls) <= 1 + ends.count(Ending.FAILED)


@pytest.mark.parametrize("ends", [*itertools.product([Ending.NOT_STORED, Ending.STORED], repeat=3)])
def test_three_callers_without_shared_answers_keep_every_promise(
    server: Connection, ends: tuple[Ending, Ending, Ending]
) -> None:
    calls_in_every_order(server, ends, processes="001")
