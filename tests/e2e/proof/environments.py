"""What was deployed, downloaded again and run by AWS's own runtime client."""

from __future__ import annotations

import contextlib
import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.e2e.proof.ways import EVENTS, answered

from local_cloud.model.bedrock_faults import BedrockFault
from local_cloud.stack.lambda_events import function_url, messages
from local_cloud.stack.summary_client import SummaryClient
from upstash_endpoint.asgi_server import KEEP_ALIVE_SECONDS
from upstash_endpoint.children import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.proof.proof import Proof

    from local_cloud.lambda_runtime.deployed_function import DeployedFunction
    from local_cloud.lambda_runtime.execution_environment import ExecutionEnvironment
    from local_cloud.stack.invocation import Invocation

ASLEEP_SECONDS = KEEP_ALIVE_SECONDS + 2
AT_ONCE = 4
SHORT = 3.0  # seconds, in place of a deployed time limit that nobody wants to wait for
EVERY_ANSWER = {"miss", "hit", "collapsed"}


@dataclass(slots=True)
class Sleeper:
    """An environment that was frozen after it had answered."""

    environment: ExecutionEnvironment
    connected: set[int]
    since: float

    def wake(self, proof: Proof) -> None:
        """Thaw it when its connection is dead; what it then answers is as if it were not."""
        time.sleep(max(0, self.since + ASLEEP_SECONDS - time.monotonic()))
        slept = time.monotonic() - self.since
        upstash = urlsplit(proof.cloud.upstash.url).port
        dead = upstash in self.connected and upstash not in self.environment.connected_to()
        replies = [_ask(self.environment, f"Question {n} before sleep?") for n in (1, 2)]
        came = [_status(reply) for reply in replies]
        proof.tell(
            f"AskFunction thawed after {slept:.0f} s, Upstash hung up",
            f"{came[0]}, then {came[1]}",
            true=dead and came == ["hit", "miss"],
            expected="hit, then miss, over a new connection",
            seconds=replies[0].seconds,
            instead=(dead, [reply.payload for reply in replies]),
        )


@contextlib.contextmanager
def asleep(proof: Proof) -> Iterator[Sleeper]:
    """Let an environment of AskFunction answer, and freeze it, as Lambda does between requests."""
    with proof.cloud.environment("AskFunction") as environment:
        _ask(environment, "Question 1 before sleep?")
        connected = environment.connected_to()
        environment.freeze()
        yield Sleeper(environment, connected, time.monotonic())


def limits(proof: Proof, deployed: DeployedFunction) -> None:
    """Invoke a function once within the memory and the time that it was deployed with."""
    name = proof.logical(deployed.name)
    with proof.cloud.running(deployed) as environment:
        came, peak = environment.invoke(EVENTS[name]), environment.peak_memory() / 2**20
    proof.tell(
        f"{name} within {deployed.memory} MB and {deployed.timeout} s",
        f"at most {peak:.0f} MB",
        true=answered(came) and peak < deployed.memory,
        expected="within its limits",
        seconds=came.seconds,
        instead=came.payload,
    )


def large(proof: Proof, deployed: DeployedFunction) -> None:
    """Summarize the largest document there may be, within the memory and the time there is."""
    summaries, before = SummaryClient(proof.cloud.stack), proof.cloud.model.calls
    with proof.cloud.running(deployed) as environment:
        most = int(deployed.variables["SUMMARY_MAX_BYTES"])
        summaries.upload("large.txt", _prose(most))
        named = {"bucket": summaries.bucket, "key": "documents/large.txt"}
        came = environment.invoke(messages(named))
        peak = environment.peak_memory() / 2**20
    calls = proof.cloud.model.calls - before
    proof.tell(
        f"SummarizeFunction, a document of {most / 1e6:.0f} MB",
        f"{calls} model calls, at most {peak:.0f} of {deployed.memory} MB",
        true=answered(came) and peak < deployed.memory and calls > 1,
        expected="summarized within its limits",
        seconds=came.seconds,
        instead=came.payload,
    )


def deadline(proof: Proof, deployed: DeployedFunction) -> None:
    """Let the model hang: the function says so before its time is over."""
    with _short(proof, deployed) as environment, _hanging(proof):
        came = _ask(environment, "What takes for ever?")
    status = came.payload.get("statusCode")
    proof.tell(
        f"AskFunction, {SHORT:g} s left, the model hangs",
        f"answers {status}",
        true=status == 504 and came.seconds < SHORT,
        expected="answers 504 in time",
        seconds=came.seconds,
        instead=came.payload,
    )


def timeout(proof: Proof, deployed: DeployedFunction) -> None:
    """Stop a process in the middle of an invocation: it is killed, and the next one works."""
    with (
        _short(proof, deployed) as environment,
        _hanging(proof),
        ThreadPoolExecutor(1) as pool,
    ):
        before = proof.cloud.model.calls
        answer = pool.submit(_ask, environment, "What stops in the middle?")
        wait_until(lambda: proof.cloud.model.calls > before, seconds=SHORT, what="the model call")
        environment.freeze()
        came = answer.result()
    with proof.cloud.running(deployed) as environment:
        following = _status(_ask(environment, "What stops in the middle?"))
    error = came.payload.get("errorType")
    proof.tell(
        f"AskFunction hangs itself, {SHORT:g} s left",
        f"{error}, killed; the next one: {following}",
        true=error == "Sandbox.Timedout" and following == "miss",
        expected="killed, and a new one that answers",
        seconds=came.seconds,
        instead=came.payload,
    )


def several(proof: Proof, deployed: DeployedFunction) -> None:
    """Start environments at once and ask all of them the same at once."""
    before = proof.cloud.model.calls
    with contextlib.ExitStack() as stop, ThreadPoolExecutor(AT_ONCE) as pool:
        starting = [pool.submit(_enter, proof, deployed) for _ in range(AT_ONCE)]
        environments = []
        for started in starting:
            block, environment = started.result()
            stop.push(block)
            environments.append(environment)
        question = "What do all ask at once?"
        replies = list(pool.map(lambda environment: _ask(environment, question), environments))
    came, calls = [_status(reply) for reply in replies], proof.cloud.model.calls - before
    proof.tell(
        f"{AT_ONCE} environments of AskFunction at once",
        f"{calls} model call, {came.count('miss')} miss, {AT_ONCE - came.count('miss')} others hit",
        true=calls == 1 and came.count("miss") == 1 and set(came) <= EVERY_ANSWER,
        expected="one model call, and the answer for all",
        seconds=max(reply.seconds for reply in replies),
        instead=[reply.payload for reply in replies],
    )


def snapstart(proof: Proof, deployed: DeployedFunction) -> None:
    """Snapshot a function and restore it: nothing is connected before, all is connected anew."""
    with proof.cloud.running(deployed, snapstart=True) as environment:
        connected = environment.connected_to()
        seconds = environment.restore()
        replies = [_ask(environment, "What is asked after a restore?") for _ in range(2)]
    came = [_status(reply) for reply in replies]
    proof.tell(
        "AskFunction restored from a SnapStart snapshot",
        f"{len(connected)} connections in it; {', then '.join(came)}",
        true=not connected and came == ["miss", "hit"],
        expected="no connection in the snapshot, and answers after it",
        seconds=seconds,
        instead=[reply.payload for reply in replies],
    )


def _enter(proof: Proof, deployed: DeployedFunction) -> tuple[Any, ExecutionEnvironment]:
    block = proof.cloud.running(deployed)
    return block, block.__enter__()


@contextlib.contextmanager
def _short(proof: Proof, deployed: DeployedFunction) -> Iterator[ExecutionEnvironment]:
    """Run a warm environment whose time limit is short: no start of a busy machine takes it up."""
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
    """Return what the cache did; anything else than an answer shows as it came."""
    if "body" not in reply.payload:
        return str(reply.payload)
    body = json.loads(reply.payload["body"])
    return str(body["cache"]["status"] if "cache" in body else body)


def _prose(most: int) -> str:
    """Return a text of at most so many bytes, in paragraphs of which no two are alike."""
    told = (f"Chapter {n} tells of the number {n * 7919}. " * 20 for n in range(most // 500))
    return "\n\n".join(told)[:most]
