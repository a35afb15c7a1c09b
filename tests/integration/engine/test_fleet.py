"""A fleet of real processes and one prompt: its model calls, and its commands."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.integration.engine.fleet_program import NO_ANSWER, Fleet

from upstash_endpoint.endpoint import UpstashEndpoint

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

# A lookup, polls of the lease after 0, 0.05, 0.15, 0.35, 0.75, 1.55, 2.55 … seconds, and a store.
COMMANDS_EACH = 1 + 6 + 1
FOREVER = 600.0  # seconds

MakeFleet = Callable[..., Fleet]


@pytest.fixture
def fleet(upstash: UpstashEndpoint, tmp_path: Path) -> MakeFleet:
    def make(size: int, **fields: float) -> Fleet:
        return Fleet(upstash.url, upstash.token, str(tmp_path), size, **fields)  # type: ignore[arg-type]

    return make


@contextmanager
def running(fleet: Fleet, checkout: Path) -> Iterator[None]:
    """Run the fleet inside the block, and wait for its end."""
    command = [sys.executable, "-m", "tests.integration.engine.fleet_program", fleet.as_json]
    # The endpoint speaks plain HTTP; reading the certificates would take each process a while.
    environment = {**os.environ, "SSL_CERT_DIR": fleet.folder}
    with subprocess.Popen(
        command, cwd=checkout, env=environment, start_new_session=True
    ) as program:
        try:
            yield
            assert program.wait(120) == 0
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
    assert fleet.recorded("errors") == []


def test_hundred_processes_call_the_model_once(
    fleet: MakeFleet, checkout: Path, upstash: UpstashEndpoint
) -> None:
    hundred = fleet(100)
    with running(hundred, checkout):
        pass
    assert len(hundred.recorded("calls")) == 1
    assert hundred.recorded("answers") == ["answer 1"] * 100
    lookups = Counter(hundred.recorded("lookups"))
    commands = upstash.meter.read().commands
    print(f"\n100 processes, a call of 1 s: {commands} commands, {dict(lookups)}")
    assert lookups["miss unknown"] == 1
    assert commands <= sum(COMMANDS_EACH + float(took) for took in hundred.recorded("seconds"))


@pytest.mark.timed
@pytest.mark.parametrize(("lease", "life"), [(5.0, 10.0), (FOREVER, 5.0)])
def test_killed_leader_is_replaced_by_one_waiter(
    fleet: MakeFleet, checkout: Path, lease: float, life: float
) -> None:
    twelve = fleet(12, lease=lease, life=life, call=0.1, hang=1)
    with running(twelve, checkout):
        while not (calls := twelve.recorded("calls")):
            time.sleep(0.01)
        os.kill(int(calls[0]), signal.SIGKILL)
    assert len(twelve.recorded("calls")) == 2
    assert twelve.recorded("answers") == ["answer 2"] * 11


def test_failed_model_call_of_a_fleet_is_repeated_once(fleet: MakeFleet, checkout: Path) -> None:
    twelve = fleet(12, lease=FOREVER, life=FOREVER, fail=1)
    with running(twelve, checkout):
        pass  # less time than the lease
    assert len(twelve.recorded("calls")) == 2
    assert sorted(twelve.recorded("answers")) == [*["answer 2"] * 11, NO_ANSWER]
