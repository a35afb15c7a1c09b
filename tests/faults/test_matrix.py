"""Every fault at every operation: nothing reaches the caller but a clear's truth, and in time."""

import pytest
from tests.faults.matrix import ASYNC, OPERATIONS, TIMEOUT, cell
from tests.faults.wire import WIRE

from local_cloud.redis_server import RedisServer
from local_cloud.upstash import UpstashEndpoint

MARGIN = 1.0  # seconds that a busy machine may add; the table has what it took
ERRORS = ("StoreTimeout", "StoreUnavailable", "StoreRefused", "StoreGarbled")
HARMLESS = ("miss", "nothing raised")


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llm_cache.cache.CLEAR_TIMEOUT", TIMEOUT)
    monkeypatch.setattr("llm_cache.namespace.COMMAND_TIMEOUT", TIMEOUT)


@pytest.mark.parametrize("operation", [*OPERATIONS, *ASYNC])
@pytest.mark.parametrize("fault", WIRE)
def test_a_fault_costs_its_time_and_nothing_else(
    fault: str, operation: str, upstash: UpstashEndpoint, redis_server: RedisServer
) -> None:
    came = cell(fault, operation, upstash, redis_server)
    told_the_truth = operation.removeprefix("a") in ("clear", "reclaim")
    assert came.got in (ERRORS if told_the_truth else HARMLESS)
    assert came.requests >= 1
    # the lease, and after it the store: each may wait once
    waits = 2 if operation in ("lease", "alease") else 1
    assert came.seconds < waits * TIMEOUT + MARGIN
    assert came.left == []
    assert came.after == "miss, hit"
