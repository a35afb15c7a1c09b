"""A cold start as deployed: AWS's own runtime client, the packages, secrets in SSM, all over TLS.

CPU is the function process's own, from its start to its reply. The time includes about 30 ms for
the process that guards it.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.benchmarks import cold_environment
from tests.benchmarks.cold_direct import EVENT
from tests.benchmarks.tables import COLD, Row, ratio, spread
from tests.layer.artifacts import HOST

from local_cloud.lambda_runtime.deployed_function import DeployedFunction
from local_cloud.lambda_runtime.execution_environment import ExecutionEnvironment
from local_cloud.stack.invocation import Invocation
from local_cloud.stack.lambda_events import function_url, messages

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

    def measure(self, number: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            with ExecutionEnvironment.start(
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

    def _deployed(self) -> DeployedFunction:
        arn = f"arn:aws:lambda:us-east-1:123456789012:function:{self.handler.split('.')[0]}:live"
        return DeployedFunction(
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
    """Return the id of another process's CPU clock on Linux (clock_getcpuclockid)."""
    return (~pid << 3) | 2


def succeeded(result: Invocation) -> bool:
    reply: Any = result.payload
    failed = result.error or reply.get("batchItemFailures")
    return not failed and reply.get("statusCode", 200) == 200


def starts(around: cold_environment.Environment) -> list[Start]:
    built, layer = around.built.folder, around.built.folder / "LlmCacheLayer"
    ours = around.variables(ssm=True, ours=True)
    theirs = around.variables(ssm=True, ours=False)
    empty = around.trust.directory.parent / "no-layer"
    empty.mkdir(exist_ok=True)
    replaced = ("replaced_ask.handler", around.replaced, empty, theirs)
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
    return EVENT


def new_question(number: int) -> object:
    return function_url("POST", "/ask", {"question": f"What is {number} and {number}?"})


def same_document(_: int) -> object:
    return messages({"bucket": "documents", "key": "documents/same.txt"})


def new_document(number: int) -> object:
    return messages({"bucket": "documents", "key": f"documents/{number}.txt"})


def other_tag(_: int) -> object:
    return {"tag": "another"}


def run(around: cold_environment.Environment, rounds: int) -> list[Start]:
    """Start each in interleaved rounds; the question's answer is stored, the document's is not."""
    every = starts(around)
    replace(every[4], init=[], cpu=[], wall=[], peaks=[]).measure(0)
    before = around.aws.calls
    for number in range(rounds):
        for start in every:
            start.measure(number)
    misses = sum("miss" in start.name for start in every) * rounds
    new = around.aws.calls - before
    assert new == misses, f"{new} model calls for {misses} misses"
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
