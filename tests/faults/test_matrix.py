"""Every fault at every operation: nothing reaches the caller but a clear's truth, and in time."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest
from tests.faults import matrix
from tests.faults.breaks import FAULTS
from tests.faults.line import Station, stations
from tests.faults.matrix import OPERATIONS, Cell, cell

AT_ONCE = 4
MARGIN = 5.0  # seconds that a busy machine may add; the table has what it took on a quiet one
KEPT = Path(__file__).with_name("README.md")


@pytest.fixture(scope="module")
def free() -> Iterator[SimpleQueue[Station]]:
    """Stations at which nobody is."""
    queue: SimpleQueue[Station] = SimpleQueue()
    with stations(AT_ONCE) as made:
        for station in made:
            queue.put(station)
        yield queue


@pytest.mark.timed
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_its_time_and_nothing_else(
    fault: str, free: SimpleQueue[Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llm_cache._engine.command_runner.CLEAR_TIMEOUT", matrix.allowed(fault))
    monkeypatch.setattr("llm_cache._admin.namespace.COMMAND_TIMEOUT", matrix.allowed(fault))

    def meet(operation: str) -> tuple[str, Cell]:
        station = free.get()
        try:
            with station.line() as line:
                return operation, cell(fault, operation, line)
        finally:
            free.put(station)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for operation, came in pool.map(meet, OPERATIONS):
            assert came.met >= 1, operation
            assert came.got in matrix.promised(fault, operation), operation
            assert came.seconds < matrix.budget(operation) + MARGIN, operation
            assert came.well, (operation, came)


def test_the_table_that_is_kept_has_every_cell_and_each_is_in_time() -> None:
    lines = KEPT.read_text().splitlines()
    head, _, *rows = [
        [part.strip() for part in line.split("|")[1:-1]] for line in lines if line[:1] == "|"
    ]
    assert head == ["fault", *OPERATIONS]
    assert [fault for fault, *_ in rows] == [*FAULTS]
    for fault, *cells in rows:
        for operation, told in zip(OPERATIONS, cells, strict=True):
            got, _, seconds = told.rpartition(" ")
            assert got in matrix.promised(fault, operation), (fault, operation)
            assert float(seconds) <= matrix.budget(operation) + 0.05, (fault, operation)
