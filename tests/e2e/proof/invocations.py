"""Invoke the functions in every way, and follow failed invocations to their queues."""

import contextlib
import json
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from tests.e2e.proof.proof import Proof, timed

from local_cloud.stack.ask_client import ask, ask_url
from local_cloud.stack.emulated_stack import ALIAS, EmulatedStack
from local_cloud.stack.invocation import Invocation
from local_cloud.stack.lambda_events import S3_TEST_EVENT, function_url, messages
from local_cloud.stack.summary_client import SAMPLE_DOCUMENT, SummaryClient
from upstash_endpoint.children import wait_until

FLUSH = "FlushCacheFunction"
EVENTS: dict[str, dict[str, Any]] = {
    "AskFunction": function_url("POST", "/ask", {"question": "What is asked by the alias?"}),
    FLUSH: {"dry_run": True},
    "SummarizeFunction": messages(S3_TEST_EVENT),
}
"""An event for each function that it accepts."""


def by_alias(proof: Proof) -> None:
    """Invoke every function by its alias, which is a cold start."""
    for function in proof.cloud.stack.functions:
        step = f"{function} by its alias, cold"
        if function not in EVENTS:
            proof.equal(step, "no event", f"an event for it in {__name__}")
            continue
        reply = proof.cloud.stack.invoke(function, EVENTS[function])
        result = "succeeded" if succeeded(reply) else "failed"
        proof.equal(step, result, "succeeded", seconds=reply.seconds, actual=reply.payload)


def succeeded(reply: Invocation) -> bool:
    """Return whether a function did its work: by its error, its HTTP status or its SQS list."""
    if reply.error or reply.payload.get("batchItemFailures"):
        return False
    return bool(reply.payload.get("statusCode", HTTPStatus.OK) == HTTPStatus.OK)


def by_url(proof: Proof) -> None:
    """Ask by the Function URL: signed, twice, and unsigned."""
    stack, question = proof.cloud.stack, "What is asked by the URL?"
    for step, status in (("a question, signed", "miss"), ("the question again, signed", "hit")):
        reply = ask(stack, question)
        proof.equal(step, reply.status, status, seconds=reply.seconds, actual=reply.body)
    refused = stack.request("POST", ask_url(stack), body={"question": question}, signed=False)
    proof.equal("the question, unsigned", str(refused.status_code), "403")


def by_schedule(proof: Proof) -> None:
    """Flush by the schedule, and ask again."""
    stack, question = proof.cloud.stack, "What will be flushed?"
    ask(stack, question)
    with timed() as taken:
        lines = stack.fire_schedule()
    flushed = [json.loads(line) for line in lines if '"flushed"' in line]
    removed = flushed[0]["removed"] if flushed else 0
    result = f"flushed, {removed} entries reclaimed"
    step = "the schedule fires"
    proof.check(step, result, removed > 0, "flushed", seconds=taken.seconds, actual=lines)
    proof.equal("a flushed question", ask(stack, question).status, "miss")


def full_database(proof: Proof) -> None:
    """Flush a full database that evicts nothing."""
    stack, question, began = proof.cloud.stack, "What fills the database?", time.time()
    ask(stack, question)
    proof.cloud.redis.call("CONFIG", "SET", "maxmemory", 1)
    try:
        with timed() as taken:
            result = stack.invoke(FLUSH, {}).payload
    finally:
        proof.cloud.redis.call("CONFIG", "SET", "maxmemory", 0)
    logged = [
        json.loads(line)
        for line in stack.logs(stack.physical(FLUSH), since=began)
        if '"flushed"' in line
    ]
    status = ask(stack, question).status
    proof.check(
        "a full database is flushed",
        f"cleared, {result.get('removed')} entries reclaimed; then a {status}",
        _flushed(result) and any(map(_flushed, logged)) and status == "miss",
        "cleared and reclaimed, in the result and the log",
        seconds=taken.seconds,
        actual=(result, logged, status),
    )


def _flushed(result: dict[str, Any]) -> bool:
    return bool(result.get("cleared") and result.get("complete") and result.get("removed"))


def failing_by_schedule(proof: Proof) -> None:
    """Let a scheduled flush fail; its failure goes to a queue after the retries."""
    stack, began = proof.cloud.stack, time.time()
    config = _invoke_config(stack)
    queue, due = _failure_queue(stack, config), 1 + config["MaximumRetryAttempts"]
    with proof.cloud.upstash_at(token="wrong"), timed() as taken:
        stack.fire_schedule()
        failure = json.loads(_receive(stack, queue).get("Body", "{}"))
    lines = stack.logs(stack.physical(FLUSH), since=began)
    attempts = sum(line.startswith("REPORT") for line in lines)
    refused = "WRONGPASS" in failure.get("responsePayload", {}).get("errorMessage", "")
    proof.check(
        "the schedule fires, Upstash refuses the token",
        f"after {attempts} attempts in the queue of failures",
        refused and attempts == due,
        f"in the queue of failures after {due} attempts",
        seconds=taken.seconds,
        actual=failure,
    )
    left = _receive(stack, queue, seconds=0)
    proof.check("the queue afterwards", "empty", not left, "empty", actual=left)


def by_upload(proof: Proof) -> None:
    """Upload a document, for which S3 notifies the queue, and a copy of it."""
    text = f"{SAMPLE_DOCUMENT}\n\nThis is known at the market, too."
    upload(proof, "a document is uploaded", "market.txt", text, calls=1)
    upload(proof, "a copy of it is uploaded", "market copy.txt", text, calls=0)


def by_topic(proof: Proof) -> None:
    """Upload a document, and a copy of it, while S3 sends its notifications through SNS."""
    stack, text = proof.cloud.stack, "The bridge was opened by the mayor."
    with _through_sns(stack, SummaryClient(stack).bucket):
        upload(proof, "a document is uploaded: S3, SNS, SQS", "topic.txt", text, calls=1)
        upload(proof, "a copy of it is uploaded: S3, SNS, SQS", "copy.txt", text, calls=0)


def upload(proof: Proof, step: str, name: str, text: str, *, calls: int) -> None:
    """Upload a document and wait for its summary, which takes a number of model calls."""
    summaries, before = SummaryClient(proof.cloud.stack), proof.cloud.model.calls
    with timed() as taken:
        written = summaries.upload_and_wait(name, text)
    made = proof.cloud.model.calls - before
    proof.check(
        step,
        f"summarized, {made} model calls",
        bool(written["summary"]) and made == calls,
        f"a summary, {calls} model calls",
        seconds=taken.seconds,
        actual=written,
    )


def failing_by_queue(proof: Proof) -> None:
    """Send an invalid message, which is not retried."""
    stack, began, body = proof.cloud.stack, time.time(), "names no document"
    summaries = SummaryClient(stack)
    with timed() as taken:
        summaries.send(body)
        found = summaries.wait_for_dead_letters()
    lines = stack.logs(stack.physical("SummarizeFunction"), since=began)
    attempts = sum("not summarized" in line for line in lines)
    proof.check(
        "a message that names no document",
        f"after {attempts} attempt in the dead-letter queue",
        found == [body] and attempts == 1,
        "in the dead-letter queue after 1 attempt",
        seconds=taken.seconds,
        actual=(found, lines),
    )


def _invoke_config(stack: EmulatedStack) -> dict[str, Any]:
    """Return the retries and the failure destination of the flush function."""
    config: dict[str, Any] = stack.aws.client("lambda").get_function_event_invoke_config(
        FunctionName=stack.physical(FLUSH), Qualifier=ALIAS
    )
    return config


def _failure_queue(stack: EmulatedStack, config: dict[str, Any]) -> str:
    name = config["DestinationConfig"]["OnFailure"]["Destination"].rpartition(":")[2]
    return str(stack.aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


def _receive(stack: EmulatedStack, queue: str, *, seconds: float = 30) -> dict[str, Any]:
    """Remove one message from a queue; with `seconds=0`, return an empty dict if there is none."""
    client, found = stack.aws.client("sqs"), []

    def received() -> bool:
        found.extend(client.receive_message(QueueUrl=queue).get("Messages", []))
        return bool(found) or not seconds

    wait_until(received, seconds=seconds, what="the message of a failure", child=stack.aws.child)
    for message in found:
        client.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return found[0] if found else {}


@contextlib.contextmanager
def _through_sns(stack: EmulatedStack, bucket: str) -> Iterator[None]:
    """Let S3 notify a topic instead of the queue, and subscribe the queue as documented."""
    s3, sns = stack.aws.client("s3"), stack.aws.client("sns")
    before = s3.get_bucket_notification_configuration(Bucket=bucket)
    before.pop("ResponseMetadata")
    (direct,) = before["QueueConfigurations"]
    topic = sns.create_topic(Name="uploads")["TopicArn"]
    may_publish = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "sns:Publish",
        "Resource": topic,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [may_publish]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=direct["QueueArn"])
    by_sns = {"TopicArn": topic, "Events": direct["Events"], "Filter": direct["Filter"]}
    _notify(stack, bucket, {"TopicConfigurations": [by_sns]})
    try:
        yield
    finally:
        _notify(stack, bucket, before)
        sns.delete_topic(TopicArn=topic)


def _notify(stack: EmulatedStack, bucket: str, configuration: object) -> None:
    stack.aws.client("s3").put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration=configuration
    )
