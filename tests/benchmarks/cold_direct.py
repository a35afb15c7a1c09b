"""A cold hit on `ask` as a whole: from the start of a process to the reply, without a runtime.

Python's own start, every import, certificates, secrets, the connection to Upstash over TLS and the
hit. Each side as it is packaged. Left out, of both: what Lambda does before Python starts, and
AWS's runtime client (`cold_deployed.py` has it).
"""

import json
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.packaged import Account
from tests.benchmarks.tables import Spread, spread
from tests.layer.artifacts import RUNTIME

from local_cloud.stack.events import function_url

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
    """One of the two functions with its secrets in one place: its path, first to last."""

    name: str
    path: list[Path]
    module: str
    environ: dict[str, str]
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    peaks: list[int] = field(default_factory=list)
    answer: str = ""

    def ask(self) -> None:
        """Ask in a fresh process, and note what it took until the reply."""
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
        told = json.loads(line)
        assert told["reply"]["statusCode"] == 200, told
        self.answer = json.loads(told["reply"]["body"])["answer"]
        self.cpu.append(told["cpu"])
        self.peaks.append(told["peak"])

    @property
    def seconds(self) -> tuple[Spread, Spread]:
        """The CPU and the time; the first run, which stored the answer, is left out."""
        return spread(self.cpu[1:]), spread(self.wall[1:])


def sides(account: Account, *, ssm: bool) -> tuple[Side, Side]:
    """Return the replaced function and ours."""
    built, where = account.built, "secrets in SSM" if ssm else "secrets in the environment"
    return (
        Side(
            f"replaced class, {where}",
            [account.replaced, RUNTIME],
            "replaced_ask",
            account.variables(ssm=ssm, ours=False),
        ),
        Side(
            f"ask, {where}",
            [built.folder / "AskFunction", built.layer, RUNTIME],
            "ask",
            account.variables(ssm=ssm, ours=True),
        ),
    )


def run(account: Account, rounds: int) -> list[tuple[Side, Side]]:
    """Ask each once, to be asked again in turns; nothing but hits is measured."""
    pairs = [sides(account, ssm=ssm) for ssm in (False, True)]
    every = [side for pair in pairs for side in pair]
    for side in every:
        side.ask()
    answers, asked = [side.answer for side in every], account.aws.calls
    for _ in range(rounds):
        for side in every:
            side.ask()
    assert account.aws.calls == asked, "a repeated question reached the model"
    assert [side.answer for side in every] == answers
    return pairs
