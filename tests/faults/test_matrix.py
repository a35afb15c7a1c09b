"""Each operation meets each fault, with the promised result and in time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest
from tests.faults.matrix import (
    FAULTS,
    OPERATIONS,
    allowed,
    budget,
    expected,
    run_cell,
    short_timeouts,
)
from tests.faults.route import Host, hosts

AT_ONCE = 7
MARGIN = 5.0  # seconds that a busy machine may add
TABLE = Path(__file__).with_name("README.md")


@pytest.fixture(scope="module")
def idle_hosts() -> Iterator[SimpleQueue[Host]]:
    queue: SimpleQueue[Host] = SimpleQueue()
    with hosts(AT_ONCE) as started:
        for host in started:
            queue.put(host)
        yield queue


@pytest.mark.timed
@pytest.mark.parametrize("fault", FAULTS)
def test_operation_ends_in_time_under_a_fault_and_the_cache_works_afterwards(
    fault: str, idle_hosts: SimpleQueue[Host]
) -> None:
    def problems(operation: str) -> list[str]:
        host = idle_hosts.get()
        try:
            with host.route() as route:
                return run_cell(fault, operation, route).problems(MARGIN)
        finally:
            idle_hosts.put(host)

    with short_timeouts(allowed(fault)), ThreadPoolExecutor(AT_ONCE) as pool:
        assert [each for found in pool.map(problems, OPERATIONS) for each in found] == []


def test_written_table_has_the_promised_result_of_every_cell() -> None:
    lines = TABLE.read_text().splitlines()
    head, _, *rows = [
        [part.strip() for part in line.split("|")[1:-1]] for line in lines if line[:1] == "|"
    ]
    assert head == ["fault", *OPERATIONS]
    assert [fault for fault, *_ in rows] == [*FAULTS]
    for fault, *cells in rows:
        for operation, cell in zip(OPERATIONS, cells, strict=True):
            got, _, seconds = cell.rpartition(" ")
            assert got == expected(fault, operation), (fault, operation)
            assert float(seconds) <= budget(operation) + 0.05, (fault, operation)
