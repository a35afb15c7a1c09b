"""An upload of which S3 tells an SNS topic that the queue of documents subscribes to."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from tests.e2e.proof.proof import timed

from local_cloud.stack.summary_client import SummaryClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.proof.proof import Proof

    from local_cloud.stack.emulated_stack import EmulatedStack

TEXT = "The bridge was opened by the mayor."


def by_topic(proof: Proof) -> None:
    """Upload a document while S3 sends its notifications through SNS."""
    summaries, before = SummaryClient(proof.cloud.stack), proof.cloud.model.calls
    with through_sns(proof.cloud.stack, summaries.bucket), timed() as taken:
        written = summaries.wait_for("topic.txt", summaries.upload("topic.txt", TEXT))
    calls = proof.cloud.model.calls - before
    proof.tell(
        "a document is uploaded: S3, SNS, SQS",
        f"its summary lies beside it, {calls} model calls",
        true=bool(written["summary"]) and calls == 1,
        expected="its summary, 1 model call",
        seconds=taken.seconds,
        instead=written,
    )


@contextlib.contextmanager
def through_sns(stack: EmulatedStack, bucket: str) -> Iterator[None]:
    """Have S3 tell a topic, and no queue, of uploads; subscribe the queue as documented."""
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
