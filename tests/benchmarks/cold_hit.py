"""A cold hit on `ask`, as a whole, beside the same function built on the replaced class.

From the start of a process to the reply for a question asked before: Python's own start, every
import, clients, the connection to Upstash, and the hit. Each side as it is deployed: ours by this
repository's packages, the other as ``sam build`` packages by default, the files of the wheels
without bytecode; neither can write any, as on Lambda. Left out, of both: what Lambda does before
Python starts, AWS's runtime client, and SSM (the secrets are in the environment).
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from layers.package import budgets
from tests.benchmarks.imports import install_replaced
from tests.benchmarks.serving import served
from tests.functions.bedrock import Bedrock, bedrock
from tests.layer.artifacts import HOST, RUNTIME, build

from local_cloud.events import function_url
from local_cloud.upstash import UpstashEndpoint

ROUNDS = 9
EVENT = function_url("POST", "/ask", {"question": "What is the capital of France?"})
REPLIED = """
import json, sys
sys.path[:0] = {path}
from {module} import handler
class Context:
    function_name, aws_request_id, memory_limit_in_mb = "ask", "1", 1024
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:ask:live"
    get_remaining_time_in_millis = lambda self: 60_000
reply = handler(json.loads(sys.argv[1]), Context())
print("\\n" + json.dumps(reply), flush=True)
"""


@dataclass
class Side:
    """One of the two functions: the folders on its path, first to last, and its module."""

    name: str
    path: list[Path]
    module: str
    times: list[float] = field(default_factory=list)
    answer: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    def ask(self, environ: dict[str, str]) -> float:
        """Return the seconds until the reply of a fresh process."""
        path = [str(folder) for folder in self.path]
        script = REPLIED.format(path=path, module=self.module)
        # Neither user nor site packages, and no bytecode written.
        command = [sys.executable, "-I", "-S", "-B", "-W", "ignore", "-c", script]
        began = time.perf_counter()
        with subprocess.Popen(
            [*command, json.dumps(EVENT)], env=environ, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            reply = next((line for line in process.stdout if '"statusCode"' in line), "")
            seconds = time.perf_counter() - began
        told = json.loads(reply)
        assert told["statusCode"] == 200, told
        self.answer = json.loads(told["body"])["answer"]
        return seconds


def sides(replaced: Path) -> tuple[Side, Side]:
    """Package both."""
    install_replaced(replaced, "langchain-aws")
    shutil.copy(Path(__file__).with_name("replaced_ask.py"), replaced)
    built = build(HOST)
    return (
        Side("the replaced class", [replaced, RUNTIME], "replaced_ask"),
        Side("ask", [built.folder / "AskFunction", built.layer, RUNTIME], "ask"),
    )


def environment(upstash: UpstashEndpoint, model: Bedrock) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": model.url,
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
        "LLM_CACHE_NAMESPACE": "bench",
        "MODEL_ID": "amazon.nova-2-lite-v1:0",
        "MODEL_MAX_TOKENS": "512",
        "REPLACED_MODEL_ID": "amazon.titan-text-express-v1",
        "PATH": os.environ["PATH"],
    }


def measure(rounds: int = ROUNDS) -> tuple[Side, Side]:
    """Ask each once, to be asked again in turns; nothing but hits is measured."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served() as (_, upstash),
        bedrock() as model,
    ):
        both, environ = sides(Path(folder)), environment(upstash, model)
        answers = [(side.ask(environ), side.answer)[1] for side in both]
        asked = len(model.requests)
        for _ in range(rounds + 1):  # the first round warms the disk
            for side in both:
                side.times.append(side.ask(environ))
        assert len(model.requests) == asked == 2, "a repeated question reached the model"
        assert [side.answer for side in both] == answers
        for side in both:
            del side.times[0]
    return both


def main() -> None:
    replaced, ours = measure()
    print(f"\nCold hit, start of the process to reply ({HOST}), median of {ROUNDS} in turns\n")
    print(f"{'':<36}{'time':>10}{'ratio':>8}{'budget':>8}")
    print(f"{replaced.name:<36}{replaced.median:>8.3f} s{1:>8.3f}")
    ratio = ours.median / replaced.median
    print(f"{ours.name:<36}{ours.median:>8.3f} s{ratio:>8.3f}{budgets.COLD_HIT:>8.2f}")
