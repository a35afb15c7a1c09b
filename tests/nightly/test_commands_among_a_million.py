"""The commands that scan stay within their memory among a million answers, and stop at Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.integration.filling import among_many
from upstash_redis import Redis

from llm_cache import UpstashRedisCache
from llm_cache._protocol.clearing import PAGE
from upstash_endpoint.endpoint import UpstashEndpoint
from upstash_endpoint.redis_server import RedisServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc has the peak of memory")
MILLION = 1_000_000
MORE_MEMORY = 30  # MB above a run that finds one entry
# The peak of the process itself: ``wait4`` would count the process that forked it.
PROGRAM = """
import pathlib, re, sys
from llm_cache._cli.main import main
code = main(sys.argv[2:])
status = pathlib.Path("/proc/self/status").read_text()
pathlib.Path(sys.argv[1]).write_text(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
sys.exit(code)
"""


class Finished(NamedTuple):
    """The end of a command: its exit code, its output, its seconds, and its peak of memory."""

    code: int
    out: str
    err: str
    seconds: float
    megabytes: float

    @property
    def value(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


class Shell:
    """Runs ``llm-cache`` in a process of its own."""

    def __init__(self, upstash: UpstashEndpoint, folder: Path) -> None:
        address = {"UPSTASH_REDIS_REST_URL": upstash.url, "UPSTASH_REDIS_REST_TOKEN": upstash.token}
        self.environ = {**os.environ, **address, "LLM_CACHE_NAMESPACE": "shop"}
        self.out, self.err, self.peak = folder / "out", folder / "err", folder / "peak"

    def run(self, *arguments: str, interrupt: bool = False) -> Finished:
        """Run a command to its end, or press Ctrl-C when it has printed progress or a result."""
        began = time.monotonic()
        with self.out.open("w") as out, self.err.open("w") as err:
            command = [sys.executable, "-c", PROGRAM, str(self.peak), *arguments]
            process = subprocess.Popen(command, env=self.environ, stdout=out, stderr=err)
        if interrupt:
            while not self.out.stat().st_size and not self.err.stat().st_size:
                time.sleep(0.1)
            process.send_signal(signal.SIGINT)
        code = process.wait()
        seconds, megabytes = time.monotonic() - began, int(self.peak.read_text()) / 1_024
        print(f"\nllm-cache {' '.join(arguments)}: {seconds:.0f} s, {megabytes:.0f} MB")
        return Finished(code, self.out.read_text(), self.err.read_text(), seconds, megabytes)


@pytest.fixture
def cache(redis_server: RedisServer, redis: Redis) -> Iterator[UpstashRedisCache]:
    """A cache with a million answers; another namespace has one."""
    with among_many(redis_server, redis, MILLION) as (cache, connection):
        yield cache
        connection.call("FLUSHDB", "SYNC")


@pytest.mark.usefixtures("cache")
def test_stats_and_ls_take_no_memory_for_each_entry(
    upstash: UpstashEndpoint, tmp_path: Path
) -> None:
    shell = Shell(upstash, tmp_path)
    small = shell.run("stats", "--json", "--namespace", "other")
    assert (small.code, small.value["entries"]) == (0, 1)
    most = small.megabytes + MORE_MEMORY

    for options in ([], ["--all"]):
        upstash.meter.reset()
        whole = shell.run("stats", "--json", "--seconds", "600", *options)
        commands = upstash.meter.read().commands
        print(f"{commands} commands")
        assert (whole.code, whole.value["complete"]) == (0, True)
        assert whole.value["entries"] == MILLION + len(options)
        assert whole.megabytes < most
        assert commands <= 3 * 2 * MILLION // PAGE
        assert " entries, " in whole.err  # the progress

    listed = shell.run("ls", "--json", "--limit", str(MILLION), "--seconds", "600")
    assert (listed.code, listed.out.count("\n")) == (0, MILLION)
    assert listed.megabytes < most


def test_interrupted_command_prints_the_cursor_that_continues_it(
    cache: UpstashRedisCache, redis: Redis, upstash: UpstashEndpoint, tmp_path: Path
) -> None:
    shell = Shell(upstash, tmp_path)
    stopped = shell.run("stats", "--json", interrupt=True)
    assert (stopped.code, stopped.value["complete"]) == (130, False)
    assert 0 < stopped.value["entries"] < MILLION
    cursor = stopped.value["cursor"]
    assert f"--cursor {cursor}" in stopped.err
    rest = shell.run("stats", "--json", "--seconds", "600", "--cursor", cursor)
    assert stopped.value["entries"] + rest.value["entries"] == MILLION

    stopped = shell.run("ls", "--json", "--limit", str(MILLION), interrupt=True)
    assert stopped.code == 130
    assert " --cursor " in stopped.err

    cache.clear()
    stopped = shell.run("reclaim", "--json", interrupt=True)
    assert (stopped.code, stopped.value["complete"]) == (130, False)
    rest = shell.run("reclaim", "--json", "--seconds", "600", "--cursor", stopped.value["cursor"])
    assert MILLION - stopped.value["removed"] >= rest.value["removed"] > 0
    assert redis.dbsize() == 3  # epochs, and the entry of the other namespace
    assert rest.megabytes < stopped.megabytes + MORE_MEMORY
