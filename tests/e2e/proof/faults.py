"""Faults: a bug of ask is an error to Lambda, a throttled model is not; a database that is full."""

from __future__ import annotations

import contextlib
import json
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.e2e.proof.proof import timed
from tests.e2e.proof.ways import FLUSH

from local_cloud.model.bedrock_faults import BedrockFault
from local_cloud.stack.ask_client import ask
from local_cloud.stack.lambda_events import function_url

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.proof.proof import Proof

    from local_cloud.lambda_runtime.deployed_function import DeployedFunction

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


def crash(proof: Proof, deployed: DeployedFunction) -> None:
    """Let ask's own code fail: the exception leaves the handler, and Lambda counts an error."""
    event = function_url("POST", "/ask", {"question": "What crashes?"})
    with _bug(deployed), proof.cloud.running(deployed) as environment:
        came = environment.invoke(event)
    kind = came.payload.get("errorType")
    proof.tell(
        "AskFunction has a bug",
        f"{kind}, counted in AWS/Lambda Errors",
        true=came.error is not None and kind == "RuntimeError",
        expected="an invocation that ends in an error",
        seconds=came.seconds,
        instead=came.payload,
    )


def throttled(proof: Proof, deployed: DeployedFunction) -> None:
    """Let Bedrock throttle the model: the caller gets 503, and Lambda counts no error."""
    event = function_url("POST", "/ask", {"question": "What is throttled?"})
    proof.cloud.model.fail(BedrockFault.THROTTLED)
    try:
        with proof.cloud.running(deployed) as environment:
            came, log = environment.invoke(event), environment.log()
    finally:
        proof.cloud.model.heal()
    status, counted = came.payload.get("statusCode"), '"ModelErrors"' in log
    proof.tell(
        "AskFunction, the model is throttled",
        f"answers {status}, counted in ModelErrors",
        true=came.error is None and status == HTTPStatus.SERVICE_UNAVAILABLE and counted,
        expected="an invocation that ends well, with a reply 503",
        seconds=came.seconds,
        instead=(came.payload, log),
    )


def full_database(proof: Proof) -> None:
    """Flush a database that has no room and evicts nothing."""
    stack, question, began = proof.cloud.stack, "What fills the database?", time.time()
    ask(stack, question)
    proof.cloud.redis.call("CONFIG", "SET", "maxmemory", 1)
    try:
        with timed() as taken:
            done = stack.invoke(FLUSH, {}).payload
    finally:
        proof.cloud.redis.call("CONFIG", "SET", "maxmemory", 0)
    lines = [line for line in stack.logs(stack.physical(FLUSH), since=began) if '"flushed"' in line]
    status = ask(stack, question).status
    proof.tell(
        "a full database is flushed",
        f"cleared, {done.get('removed')} entries freed; then a {status}",
        true=_flushed(done) and any(map(_flushed, map(_read, lines))) and status == "miss",
        expected="cleared and freed, in the result and the log",
        seconds=taken.seconds,
        instead=(done, lines, status),
    )


def _flushed(told: dict[str, Any]) -> bool:
    return bool(told.get("cleared") and told.get("complete") and told.get("removed"))


def _read(line: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(line)
    return told


@contextlib.contextmanager
def _bug(deployed: DeployedFunction) -> Iterator[None]:
    code = deployed.task / "sitecustomize.py"
    code.write_text(BUG)
    try:
        yield
    finally:
        code.unlink()
