"""A cold start as deployed: AWS's own runtime client, the packages, secrets in SSM, all over TLS.

CPU is that of the function's process, from its start to its reply, read from its CPU clock. The
time begins when the process is started, some 30 ms of it for the process that guards it.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.benchmarks.cold_direct import EVENT
from tests.benchmarks.packaged import Account
from tests.benchmarks.tables import COLD, Row, ratio, spread
from tests.layer.artifacts import HOST

from local_cloud.lambda_runtime import Deployed, Environment
from local_cloud.stack.events import function_url, messages
from local_cloud.stack.invocation import Invocation

REPLACED = {"a hit": "replaced class, a hit", "a miss": "replaced class, a miss"}
COLUMNS = {"name": "cold start", "init_cpu": "CPU of init, ms", **COLD}


@dataclass
class Start:
    """One kind of cold start; ``event`` makes the event of each round."""

    name: str
    handler: str
    task: Path
    opt: Path
    variables: dict[str, str]
    event: Callable[[int], object]
    of: str = ""
    init: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)

    def take(self, number: int) -> None:
        """Start, invoke once, and note what it took."""
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            with Environment.start(
                self._deployed(), Path(folder), variables=self.variables
            ) as environment:
                clock = cpu_clock(environment.pid())
                init = time.clock_gettime(clock)
                result = environment.invoke(self.event(number))
                wall, cpu = time.perf_counter() - began, time.clock_gettime(clock)
                assert succeeded(result), (self.name, result, environment.log())
                self.peaks.append(environment.peak_memory())
        self.init.append(init)
        self.cpu.append(cpu)
        self.wall.append(wall)

    def _deployed(self) -> Deployed:
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{self.handler.split('.')[0]}:live"
        return Deployed(
            self.handler.split(".")[0],
            arn,
            self.handler,
            HOST.runtime,
            self.task,
            self.opt,
            timeout=60,
            memory=1024,
        )


def cpu_clock(pid: int) -> int:
    """Return the id of another process's CPU clock, as Linux numbers them (clock_getcpuclockid)."""
    return (~pid << 3) | 2


def succeeded(result: Invocation) -> bool:
    """Whether the function did its work."""
    reply: Any = result.payload
    failed = result.error or reply.get("batchItemFailures")
    return not failed and reply.get("statusCode", 200) == 200


def starts(account: Account) -> list[Start]:
    """Return each function, with a hit and a miss where it asks a model."""
    built, layer = account.built.folder, account.built.folder / "LlmCacheLayer"
    ours = account.variables(ssm=True, ours=True)
    theirs = account.variables(ssm=True, ours=False)
    empty = account.trust.directory.parent / "no-layer"
    empty.mkdir(exist_ok=True)
    replaced = ("replaced_ask.handler", account.replaced, empty, theirs)
    ask = ("ask.handler", built / "AskFunction", layer, ours)
    summarize = ("summarize.handler", built / "SummarizeFunction", layer, ours)
    flush = ("flush_cache.handler", built / "FlushCacheFunction", layer, ours)
    hit, miss = REPLACED["a hit"], REPLACED["a miss"]
    return [
        Start(hit, *replaced, same_question),
        Start(miss, *replaced, new_question),
        Start("ask, a hit", *ask, same_question, hit),
        Start("ask, a miss", *ask, new_question, miss),
        Start("summarize, a hit", *summarize, same_document, hit),
        Start("summarize, a miss", *summarize, new_document, miss),
        Start("flush_cache", *flush, other_tag, hit),
    ]


def same_question(_: int) -> object:
    """Ask what was asked before."""
    return EVENT


def new_question(number: int) -> object:
    """Ask what nobody asked."""
    return function_url("POST", "/ask", {"question": f"What is {number} and {number}?"})


def same_document(_: int) -> object:
    """Name the same document, as a message that is delivered twice does."""
    return messages({"bucket": "documents", "key": "documents/same.txt"})


def new_document(number: int) -> object:
    """Name a document of which there is no summary."""
    return messages({"bucket": "documents", "key": f"documents/{number}.txt"})


def other_tag(_: int) -> object:
    """Clear a tag that no measured answer has."""
    return {"tag": "another"}


def run(account: Account, rounds: int) -> list[Start]:
    """Start each in turns. The answer to the question is stored already, that document's is not."""
    every = starts(account)
    replace(every[4], init=[], cpu=[], wall=[], peaks=[]).take(0)
    before = account.aws.calls
    for number in range(rounds):
        for start in every:
            start.take(number)
    misses = sum("miss" in start.name for start in every) * rounds
    new = account.aws.calls - before
    assert new == misses, f"{new} calls of a model, not {misses}: some hit was none"
    return every


def rows(every: list[Start]) -> list[Row]:
    """Return the rows of the table; times in milliseconds."""
    measured = {
        start.name: [spread(times, 1000) for times in (start.init, start.cpu, start.wall)]
        for start in every
    }
    return [_row(start, measured) for start in every]


def _row(start: Start, measured: dict[str, list[dict[str, float]]]) -> Row:
    init, cpu, wall = measured[start.name]
    row: Row = {"name": start.name, "init_cpu": init, "cpu": cpu, "wall": wall}
    row["peak"] = max(start.peaks) / 1e6
    if start.of:
        _, of_cpu, of_wall = measured[start.of]
        row |= {"cpu_ratio": ratio(cpu, of_cpu), "wall_ratio": ratio(wall, of_wall)}
        row["of"] = start.of
    return row
