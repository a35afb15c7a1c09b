"""Run the deployed functions under AWS's own runtime client."""

import contextlib
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from tests.e2e.proof.invocations import EVENTS, succeeded
from tests.e2e.proof.proof import Proof

from local_cloud.lambda_runtime.deployed_function import DeployedFunction
from local_cloud.lambda_runtime.execution_environment import ExecutionEnvironment
from local_cloud.model.bedrock_faults import BedrockFault
from local_cloud.stack.invocation import Invocation
from local_cloud.stack.lambda_events import function_url, messages
from local_cloud.stack.summary_client import SummaryClient
from upstash_endpoint.asgi_server import KEEP_ALIVE_SECONDS
from upstash_endpoint.children import wait_until

# https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html and
# https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-ib
MAX_MB = 250
MAX_INIT_SECONDS = 10
ASLEEP_SECONDS = KEEP_ALIVE_SECONDS + 2
AT_ONCE = 4
SHORT = 3.0  # seconds, instead of the deployed timeout
ANSWERED = {"miss", "hit", "collapsed"}


# Python runs it at its start, from the function's own folder.
BUG = """
from botocore.client import BaseClient
call = BaseClient._make_api_call
def broken(self, operation, parameters):
    if operation == "Converse":
        raise RuntimeError("a bug")
    return call(self, operation, parameters)
BaseClient._make_api_call = broken
"""


@dataclass(slots=True)
class Sleeper:
    """An environment that was frozen after a question."""

    environment: ExecutionEnvironment
    connected: set[int]
    since: float

    def wake(self, proof: Proof) -> None:
        """Thaw it after Upstash has closed its connection; it must connect again."""
        time.sleep(max(0, self.since + ASLEEP_SECONDS - time.monotonic()))
        slept = time.monotonic() - self.since
        upstash = urlsplit(proof.cloud.upstash.url).port
        dead = upstash in self.connected and upstash not in self.environment.connected_to()
        replies = [_ask(self.environment, f"Question {n} before sleep?") for n in (1, 2)]
        statuses = [_status(reply) for reply in replies]
        proof.check(
            f"AskFunction thawed after {slept:.0f} s, connection closed",
            ", then ".join(statuses),
            dead and statuses == ["hit", "miss"],
            "hit, then miss, over a new connection",
            seconds=replies[0].seconds,
            actual=(dead, [reply.payload for reply in replies]),
        )


@contextlib.contextmanager
def asleep(proof: Proof) -> Iterator[Sleeper]:
    """Ask AskFunction once, then freeze its environment, as Lambda does between requests."""
    with proof.cloud.environment("AskFunction") as environment:
        _ask(environment, "Question 1 before sleep?")
        connected = environment.connected_to()
        environment.freeze()
        yield Sleeper(environment, connected, time.monotonic())


def package(proof: Proof, deployed: DeployedFunction) -> None:
    """Compare the size and the initialisation time of a function with Lambda's limits."""
    function, layer = (_size(folder) for folder in (deployed.task, deployed.opt))
    together, name = function + layer, proof.logical(deployed.name)
    proof.check(
        f"{name}, unzipped",
        f"{function:.1f} MB, with its layer {together:.1f} of {MAX_MB} MB",
        function > 0 and together <= MAX_MB,
        f"at most {MAX_MB} MB with its layer",
    )
    with proof.cloud.running(deployed) as environment:
        seconds = environment.init_seconds
    limit, met = f"at most {MAX_INIT_SECONDS} s", seconds <= MAX_INIT_SECONDS
    proof.check(f"{name}, its initialisation", limit, met, limit, seconds=seconds)


def limits(proof: Proof, deployed: DeployedFunction) -> None:
    """Invoke a function once within its deployed memory size and timeout."""
    name = proof.logical(deployed.name)
    with proof.cloud.running(deployed) as environment:
        reply, peak = environment.invoke(EVENTS[name]), environment.peak_memory() / 2**20
    proof.check(
        f"{name} within {deployed.memory} MB and {deployed.timeout} s",
        f"at most {peak:.0f} MB",
        succeeded(reply) and peak < deployed.memory,
        "within its limits",
        reply=reply,
    )


def large(proof: Proof, deployed: DeployedFunction) -> None:
    """Summarize the largest allowed document within the memory size and the timeout."""
    summaries, before = SummaryClient(proof.cloud.stack), proof.cloud.model.calls
    with proof.cloud.running(deployed) as environment:
        size = int(deployed.variables["SUMMARY_MAX_BYTES"])
        summaries.upload("large.txt", _text(size))
        document = {"bucket": summaries.bucket, "key": "documents/large.txt"}
        reply = environment.invoke(messages(document))
        peak = environment.peak_memory() / 2**20
    calls = proof.cloud.model.calls - before
    proof.check(
        f"SummarizeFunction, a document of {size / 1e6:.0f} MB",
        f"{calls} model calls, at most {peak:.0f} of {deployed.memory} MB",
        succeeded(reply) and peak < deployed.memory and calls > 1,
        "summarized within its limits",
        reply=reply,
    )


def deadline(proof: Proof, deployed: DeployedFunction) -> None:
    """Let the model hang; the function must reply before its timeout."""
    with _short(proof, deployed) as environment, _hanging(proof):
        reply = _ask(environment, "What takes for ever?")
    status = reply.payload.get("statusCode")
    proof.check(
        f"AskFunction, {SHORT:g} s left, the model hangs",
        f"replies {status}",
        status == 504 and reply.seconds < SHORT,
        "replies 504 in time",
        reply=reply,
    )


def timeout(proof: Proof, deployed: DeployedFunction) -> None:
    """Freeze a process during an invocation; it is killed, and the next one works."""
    question = "What stops in the middle?"
    with _short(proof, deployed) as environment, _hanging(proof), ThreadPoolExecutor(1) as pool:
        before = proof.cloud.model.calls
        reply = pool.submit(_ask, environment, question)
        wait_until(lambda: proof.cloud.model.calls > before, seconds=SHORT, what="the model call")
        environment.freeze()
        killed = reply.result()
    with proof.cloud.running(deployed) as environment:
        following = _status(_ask(environment, question))
    error = killed.payload.get("errorType")
    proof.check(
        f"AskFunction hangs, {SHORT:g} s left",
        f"{error}, killed; the next one: {following}",
        error == "Sandbox.Timedout" and following == "miss",
        "killed, and a new one that answers",
        reply=killed,
    )


def several(proof: Proof, deployed: DeployedFunction) -> None:
    """Send the same question to several new environments at once."""
    before = proof.cloud.model.calls
    with contextlib.ExitStack() as stop, ThreadPoolExecutor(AT_ONCE) as pool:
        blocks = [proof.cloud.running(deployed) for _ in range(AT_ONCE)]
        environments = list(pool.map(lambda block: block.__enter__(), blocks))
        for block in blocks:
            stop.push(block)
        question = "What do all ask at once?"
        replies = list(pool.map(lambda environment: _ask(environment, question), environments))
    statuses, calls = [_status(reply) for reply in replies], proof.cloud.model.calls - before
    misses = statuses.count("miss")
    proof.check(
        f"{AT_ONCE} environments of AskFunction at once",
        f"{calls} model call, {misses} miss, {AT_ONCE - misses} others hit",
        calls == 1 and misses == 1 and set(statuses) <= ANSWERED,
        "one model call, and the answer for all",
        seconds=max(reply.seconds for reply in replies),
        actual=[reply.payload for reply in replies],
    )


def snapstart(proof: Proof, deployed: DeployedFunction) -> None:
    """Restore a function from a snapshot, which must hold no connection."""
    with proof.cloud.running(deployed, snapstart=True) as environment:
        connected = environment.connected_to()
        seconds = environment.restore()
        replies = [_ask(environment, "What is asked after a restore?") for _ in range(2)]
    statuses = [_status(reply) for reply in replies]
    proof.check(
        "AskFunction restored from a SnapStart snapshot",
        f"{len(connected)} connections in it; {', then '.join(statuses)}",
        not connected and statuses == ["miss", "hit"],
        "no connection in the snapshot, and answers after it",
        seconds=seconds,
        actual=[reply.payload for reply in replies],
    )


def crash(proof: Proof, deployed: DeployedFunction) -> None:
    """Give ask a bug; the exception leaves the handler, and Lambda counts an error."""
    event = function_url("POST", "/ask", {"question": "What crashes?"})
    with _bug(deployed), proof.cloud.running(deployed) as environment:
        reply = environment.invoke(event)
    kind = reply.payload.get("errorType")
    proof.check(
        "AskFunction has a bug",
        f"{kind}, counted in AWS/Lambda Errors",
        reply.error is not None and kind == "RuntimeError",
        "an invocation that ends in an error",
        reply=reply,
    )


@contextlib.contextmanager
def _bug(deployed: DeployedFunction) -> Iterator[None]:
    code = deployed.task / "sitecustomize.py"
    code.write_text(BUG)
    try:
        yield
    finally:
        code.unlink()


@contextlib.contextmanager
def _short(proof: Proof, deployed: DeployedFunction) -> Iterator[ExecutionEnvironment]:
    """Run a warm environment with a short timeout, which no slow start can exceed."""
    with proof.cloud.running(deployed) as environment:
        _ask(environment, "What is asked before time gets short?")
        environment.deployed = replace(deployed, timeout=SHORT)
        yield environment


@contextlib.contextmanager
def _hanging(proof: Proof) -> Iterator[None]:
    proof.cloud.model.fail(BedrockFault.HANGS)
    try:
        yield
    finally:
        proof.cloud.model.heal()


def _ask(environment: ExecutionEnvironment, question: str) -> Invocation:
    return environment.invoke(function_url("POST", "/ask", {"question": question}))


def _status(reply: Invocation) -> str:
    """Return the cache status, or the whole reply if there is no answer."""
    if "body" not in reply.payload:
        return str(reply.payload)
    body = json.loads(reply.payload["body"])
    return str(body["cache"]["status"] if "cache" in body else body)


def _text(size: int) -> str:
    """Return a text of at most `size` bytes, in paragraphs that all differ."""
    chapters = (f"Chapter {n} tells of the number {n * 7919}. " * 20 for n in range(size // 500))
    return "\n\n".join(chapters)[:size]


def _size(folder: Path) -> float:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return sum(path.stat().st_size for path in files) / 2**20
