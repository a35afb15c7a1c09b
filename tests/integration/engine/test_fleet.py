"""Processes of their own, one cold question: what it costs in calls, in time and in commands."""

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
from tests.integration.engine.fleet import NONE, Fleet

from upstash_endpoint.endpoint import UpstashEndpoint

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks")

# One looks the question up, looks for the lease 0, 0.05, 0.15, 0.35, 0.75, 1.55, 2.55 … seconds
# later, and may store the answer.
COMMANDS_EACH = 1 + 6 + 1
NOISE = 60.0  # seconds that all of them may take on a busy machine
FOREVER = 600.0  # seconds

Asking = Callable[..., Fleet]


@pytest.fixture
def fleet(upstash: UpstashEndpoint, tmp_path: Path) -> Asking:
    def make(size: int, **how: float) -> Fleet:
        return Fleet(upstash.url, upstash.token, str(tmp_path), size, **how)  # type: ignore[arg-type]

    return make


@contextmanager
def asking(fleet: Fleet, checkout: Path) -> Iterator[None]:
    """Have all of them ask inside the block, and wait for the last at its end."""
    command = [sys.executable, "-m", "tests.integration.engine.fleet", fleet.as_json]
    # the endpoint speaks plain HTTP, and to read the certificates takes each of them a while
    environment = {**os.environ, "SSL_CERT_DIR": fleet.folder}
    with subprocess.Popen(
        command, cwd=checkout, env=environment, start_new_session=True
    ) as program:
        try:
            yield
            assert program.wait(2 * NOISE) == 0
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)
    assert fleet.noted("errors") == []


def test_a_hundred_processes_ask_the_model_once(
    fleet: Asking, checkout: Path, upstash: UpstashEndpoint
) -> None:
    hundred = fleet(100)
    with asking(hundred, checkout):
        pass
    assert len(hundred.noted("calls")) == 1
    assert hundred.noted("answers") == ["answer 1"] * 100
    told = Counter(hundred.noted("lookups"))
    commands = upstash.meter.read().commands
    print(f"\n100 processes, a call of 1 s: {commands} commands, {dict(told)}")
    assert told["miss unknown"] == 1
    assert commands <= sum(COMMANDS_EACH + float(took) for took in hundred.noted("seconds"))


@pytest.mark.timed
@pytest.mark.parametrize(("lease", "life"), [(5.0, 10.0), (FOREVER, 5.0)])
def test_a_process_that_is_killed_in_mid_call_is_replaced_by_one_other(
    fleet: Asking, checkout: Path, lease: float, life: float
) -> None:
    twelve = fleet(12, lease=lease, life=life, call=0.1, hang=1)
    with asking(twelve, checkout):
        while not (calls := twelve.noted("calls")):
            time.sleep(0.01)
        os.kill(int(calls[0]), signal.SIGKILL)
    assert len(twelve.noted("calls")) == 2
    assert twelve.noted("answers") == ["answer 2"] * 11


def test_a_model_that_fails_once_is_asked_once_more(fleet: Asking, checkout: Path) -> None:
    twelve = fleet(12, lease=FOREVER, life=FOREVER, fail=1)
    with asking(twelve, checkout):
        pass  # they are given less time than the lease
    assert len(twelve.noted("calls")) == 2
    assert sorted(twelve.noted("answers")) == [*["answer 2"] * 11, NONE]
