"""Every order of the steps of two callers who share one answer, a clear and a lost lease.

The callers are alike, so of two ways to end one sequence is tried.
"""

from itertools import combinations_with_replacement

import pytest
from tests.integration.call_interleavings import Ending, calls_in_every_order
from tests.integration.upstash.connection import Connection

epochs = pytest.mark.parametrize("epoch", [None, "cbefore"])
processes = pytest.mark.parametrize("processes", ["00", "01"])
all_ends = pytest.mark.parametrize("ends", [*combinations_with_replacement(Ending, 2)])
frequent_ends = pytest.mark.parametrize(
    "ends", [*combinations_with_replacement([Ending.STORED, Ending.FAILED], 2)]
)


@epochs
@processes
def test_one_of_two_callers_computes(server: Connection, processes: str, epoch: str | None) -> None:
    assert calls_in_every_order(server, [Ending.STORED] * 2, processes=processes, epoch=epoch) == {
        1
    }


@all_ends
def test_callers_never_wait_forever(server: Connection, ends: tuple[Ending, Ending]) -> None:
    assert max(calls_in_every_order(server, ends, processes="01")) <= 2
    if Ending.DEAD not in ends:
        assert max(calls_in_every_order(server, ends, processes="00")) <= 2


@epochs
@processes
@frequent_ends
def test_answer_begun_before_a_clear_is_not_served_after_it(
    server: Connection, ends: tuple[Ending, Ending], processes: str, epoch: str | None
) -> None:
    assert calls_in_every_order(server, ends, processes=processes, epoch=epoch, clears=1) <= {1, 2}


@frequent_ends
def test_lost_lease_leaves_no_caller_waiting(
    server: Connection, ends: tuple[Ending, Ending]
) -> None:
    assert calls_in_every_order(server, ends, losses=1) <= {1, 2}
