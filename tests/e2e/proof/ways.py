"""Each way in which the functions are invoked, and where it ends when they fail."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.e2e.proof.proof import timed
from tests.e2e.proof.topics import through_sns

from local_cloud.stack.ask_client import ask, ask_url
from local_cloud.stack.emulated_stack import ALIAS
from local_cloud.stack.lambda_events import S3_TEST_EVENT, function_url, messages
from local_cloud.stack.summary_client import SAMPLE_DOCUMENT, SummaryClient
from upstash_endpoint.children import wait_until

if TYPE_CHECKING:
    from tests.e2e.proof.proof import Proof

    from local_cloud.stack.emulated_stack import EmulatedStack
    from local_cloud.stack.invocation import Invocation

FLUSH = "FlushCacheFunction"
EVENTS: dict[str, dict[str, Any]] = {
    "AskFunction": function_url("POST", "/ask", {"question": "What is asked by the alias?"}),
    FLUSH: {"dry_run": True},
    "SummarizeFunction": messages(S3_TEST_EVENT),
}
"""For each function, an event that it accepts."""


def by_alias(proof: Proof) -> None:
    """Invoke every function by its alias, which starts it cold."""
    for function in proof.cloud.stack.functions:
        what = f"{function} by its alias, cold"
        if function not in EVENTS:
            proof.tell(what, "", true=False, expected=f"an event for it in {__name__}")
            continue
        came = proof.cloud.stack.invoke(function, EVENTS[function])
        proof.tell(
            what,
            "answered",
            true=answered(came),
            expected="answered",
            seconds=came.seconds,
            instead=came.payload,
        )


def answered(came: Invocation) -> bool:
    """Whether a function did what it was asked; over HTTP a status says so, to SQS a list."""
    if came.error or came.payload.get("batchItemFailures"):
        return False
    return bool(came.payload.get("statusCode", HTTPStatus.OK) == HTTPStatus.OK)


def by_url(proof: Proof) -> None:
    """Ask by the Function URL: signed, twice, and not signed."""
    stack, question = proof.cloud.stack, "What is asked by the URL?"
    for what, status in (("a question", "miss"), ("the question again", "hit")):
        reply = ask(stack, question)
        proof.tell(
            f"{what}, by the signed URL",
            reply.status,
            true=reply.status == status,
            expected=status,
            seconds=reply.seconds,
            instead=reply.body,
        )
    refused = stack.request("POST", ask_url(stack), body={"question": question}, signed=False)
    came = str(refused.status_code)
    proof.tell("the question, not signed", came, true=came == "403", expected="403")


def by_schedule(proof: Proof) -> None:
    """Let the scheduler flush what was asked."""
    stack, question = proof.cloud.stack, "What will be flushed?"
    ask(stack, question)
    with timed() as taken:
        lines = stack.fire_schedule()
    flushed = [json.loads(line) for line in lines if '"flushed"' in line]
    removed = flushed[0]["removed"] if flushed else 0
    proof.tell(
        "the schedule fires",
        f"flushed, {removed} entries freed",
        true=removed > 0,
        expected="flushed",
        seconds=taken.seconds,
        instead=lines,
    )
    status = ask(stack, question).status
    proof.tell("a flushed question", status, true=status == "miss", expected="miss")


def failing_by_schedule(proof: Proof) -> None:
    """Let the scheduler run a flush that fails; what it is told of goes to the queue."""
    stack, began = proof.cloud.stack, time.time()
    config = _on_failure(stack)
    queue, due = _queue(stack, config), 1 + config["MaximumRetryAttempts"]
    with proof.cloud.upstash_at(token="wrong"), timed() as taken:
        stack.fire_schedule()
        message = _received(stack, queue)
    told = json.loads(message.get("Body", "{}"))
    lines = stack.logs(stack.physical(FLUSH), since=began)
    attempts = sum(line.startswith("SAMPLE_DOCUMENT") for line in lines)
    refused = "WRONGPASS" in told.get("responsePayload", {}).get("errorMessage", "")
    proof.tell(
        "the schedule fires, Upstash refuses the token",
        f"after {attempts} attempts in the queue of failures",
        true=refused and attempts == due,
        expected=f"in the queue of failures after {due} attempts",
        seconds=taken.seconds,
        instead=told,
    )
    left = _received(stack, queue, seconds=0)
    proof.tell("the queue afterwards", "empty", true=not left, expected="empty", instead=left)


def dead_letters(proof: Proof) -> None:
    """Check where a schedule that cannot be delivered would go: the emulator delivers none."""
    stack = proof.cloud.stack
    name = stack.only("AWS::Scheduler::Schedule")
    target = stack.aws.client("scheduler").get_schedule(Name=name)["Target"]
    queue = target.get("DeadLetterConfig", {}).get("Arn", "")
    due = _on_failure(stack)["DestinationConfig"]["OnFailure"]["Destination"]
    may = _may_send(stack, target["RoleArn"].rpartition("/")[2], queue)
    proof.tell(
        "an undeliverable schedule (not emulated)",
        "its role may send to the queue of failures",
        true=may and queue == due,
        expected="a queue that its role may send to",
        instead=target,
    )


def by_upload(proof: Proof) -> None:
    """Upload a document, of which S3 tells the queue, a copy of it, and one of which SNS tells."""
    summaries, text = (
        SummaryClient(proof.cloud.stack),
        f"{SAMPLE_DOCUMENT}\n\nThis is known at the market, too.",
    )
    by_sns = through_sns(proof.cloud.stack, summaries.bucket)
    for what, name, due, told in (
        ("a document is uploaded", "market.txt", 1, nullcontext()),
        ("a copy of it is uploaded", "market copy.txt", 0, nullcontext()),
        ("a copy is uploaded, and S3 tells SNS", "market by SNS.txt", 0, by_sns),
    ):
        before = proof.cloud.model.calls
        with told, timed() as taken:
            written = summaries.wait_for(name, summaries.upload(name, text))
        calls = proof.cloud.model.calls - before
        proof.tell(
            what,
            f"its summary lies beside it, {calls} model calls",
            true=bool(written["summary"]) and calls == due,
            expected=f"its summary, {due} model calls",
            seconds=taken.seconds,
            instead=written,
        )


def failing_by_queue(proof: Proof) -> None:
    """Send a message that no retry mends: it costs one attempt."""
    stack, began, poison = proof.cloud.stack, time.time(), "names no document"
    summaries = SummaryClient(stack)
    with timed() as taken:
        summaries.send(poison)
        kept = summaries.wait_for_dead_letters()
    lines = stack.logs(stack.physical("SummarizeFunction"), since=began)
    attempts = sum("not summarized" in line for line in lines)
    proof.tell(
        "a message that names no document",
        f"after {attempts} attempt with the dead letters",
        true=kept == [poison] and attempts == 1,
        expected="with the dead letters after 1 attempt",
        seconds=taken.seconds,
        instead=(kept, lines),
    )


def _on_failure(stack: EmulatedStack) -> dict[str, Any]:
    """Return what is done when the flush fails that nobody waits for."""
    config: dict[str, Any] = stack.aws.client("lambda").get_function_event_invoke_config(
        FunctionName=stack.physical(FLUSH), Qualifier=ALIAS
    )
    return config


def _queue(stack: EmulatedStack, config: dict[str, Any]) -> str:
    """Return the URL of the queue that is told of failures."""
    name = config["DestinationConfig"]["OnFailure"]["Destination"].rpartition(":")[2]
    return str(stack.aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def _received(stack: EmulatedStack, queue: str, *, seconds: float = 30) -> dict[str, Any]:
    """Take one message from a queue, or return nothing when none has come after `seconds`."""
    client, found = stack.aws.client("sqs"), []

    def came() -> bool:
        found.extend(client.receive_message(QueueUrl=queue).get("Messages", []))
        return bool(found) or not seconds

    wait_until(came, seconds=seconds, what="the message of a failure", child=stack.aws.child)
    for message in found:
        client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found[0] if found else {}


def _may_send(stack: EmulatedStack, role: str, queue: str) -> bool:
    """Whether an inline policy of a role allows to send to a queue."""
    client = stack.aws.client("iam")
    for name in client.list_role_policies(RoleName=role)["PolicyNames"]:
        policy = client.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for statement in policy["Statement"]:
            if statement["Action"] == "sqs:SendMessage" and statement["Resource"] == queue:
                return True
    return False
