"""A cold hit of `ask`, from process start to reply, without AWS's runtime client.

Measured: Python's start, imports, certificates, secrets, the connection to Upstash over TLS, and
the hit, each side as it is packaged. Not measured: Lambda's own work before Python starts, and the
runtime client (see `cold_deployed.py`).
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.cold_environment import Environment
from tests.benchmarks.tables import Spread, spread
from tests.layer.artifacts import RUNTIME

from local_cloud.stack.lambda_events import function_url

EVENT = function_url("POST", "/ask", {"question": "What is the capital of France?"})
REPLIED = """
import json, sys, time
sys.path[:0] = {path}
from {module} import handler
class Context:
    function_name, aws_request_id, memory_limit_in_mb = "ask", "1", 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:ask:live"
    get_remaining_time_in_millis = lambda self: 60_000
reply = handler(json.loads(sys.argv[1]), Context())
cpu = time.process_time()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1]
print("\\n" + json.dumps({{"reply": reply, "cpu": cpu, "peak": int(peak) * 1024}}), flush=True)
"""


@dataclass
class Side:
    """One of the two functions, with its secrets in one place and the folders on its path."""

    name: str
    path: list[Path]
    module: str
    environ: dict[str, str]
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    answer: str = ""

    def ask(self) -> None:
        script = REPLIED.format(path=[str(folder) for folder in self.path], module=self.module)
        # Neither user nor site packages, and no bytecode written.
        command = [sys.executable, "-I", "-S", "-B", "-W", "ignore", "-c", script]
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, json.dumps(EVENT)], env=self.environ, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            line = next((line for line in process.stdout if '"statusCode"' in line), "")
            self.wall.append(time.perf_counter() - began)
        result = json.loads(line)
        assert result["reply"]["statusCode"] == 200, result
        self.answer = json.loads(result["reply"]["body"])["answer"]
        self.cpu.append(result["cpu"])
        self.peaks.append(result["peak"])

    @property
    def seconds(self) -> tuple[Spread, Spread]:
        """The CPU and the time, without the first run, which stored the answer."""
        return spread(self.cpu[1:]), spread(self.wall[1:])


def sides(environment: Environment, *, ssm: bool) -> tuple[Side, Side]:
    built, where = environment.built, "secrets in SSM" if ssm else "secrets in the environment"
    return (
        Side(
            f"replaced class, {where}",
            [environment.replaced, RUNTIME],
            "replaced_ask",
            environment.variables(ssm=ssm, ours=False),
        ),
        Side(
            f"ask, {where}",
            [built.folder / "AskFunction", built.layer, RUNTIME],
            "ask",
            environment.variables(ssm=ssm, ours=True),
        ),
    )


def run(environment: Environment, rounds: int) -> list[tuple[Side, Side]]:
    """Ask each side once, and then in interleaved rounds; only hits are measured."""
    pairs = [sides(environment, ssm=ssm) for ssm in (False, True)]
    every = [side for pair in pairs for side in pair]
    for side in every:
        side.ask()
    answers, calls = [side.answer for side in every], environment.aws.calls
    for _ in range(rounds):
        for side in every:
            side.ask()
    assert environment.aws.calls == calls, "a repeated question reached the model"
    assert [side.answer for side in every] == answers
    return pairs
